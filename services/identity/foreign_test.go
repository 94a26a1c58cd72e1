package identity_test

import (
	"strings"
	"testing"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

const (
	bcryptOfUU = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"
	pbkdf2ed   = "$pbkdf2-sha256$6400$.6UI/S.nXIk8jcbdHx3Fhg$98jZicV16ODfEsEZeYPGHU3kbrUrvUEXOPimVSQDD44"
)

// TestImport_passwordsOfAnotherSystem log in as before, and are hashed anew.
func TestImport_passwordsOfAnotherSystem(t *testing.T) {
	h := newHost(t, "bolt")
	p := h.start(config())
	ctx := p.asAdmin()
	p.customer(ctx, &identityv1.Customer{Email: "there@example.com", ExternalId: "9"})
	file := strings.Join([]string{
		"external_id,email,password_hash", "1,ada@example.com," + bcryptOfUU, "2,bob@example.com," + pbkdf2ed, "3,cy@example.com,",
		"4,dee@example.com,5f4dcc3b5aa765d61d8327deb882cf99", "9,there@example.com," + bcryptOfUU,
	}, "\n")
	const want = "2 CREATED\n3 CREATED\n4 CREATED\n5 FAILED PASSWORD_HASH_INVALID password_hash\n6 UNCHANGED"
	for _, dry := range []bool{true, false} {
		if got := outcome(t, p, ctx, &identityv1.ImportOptions{DryRun: dry}, file); got != want {
			t.Fatalf("dry run %t: got\n%s\nwant\n%s", dry, got, want)
		}
	}
	for email, password := range map[string]string{"ada@example.com": "U*U", "bob@example.com": "password"} {
		for range 2 { // the second time by the hash that the first one made
			if _, err := login(p, email, password); err != nil {
				t.Errorf("%s: %v", email, err)
			}
			_, err := login(p, email, password+"x")
			wantError(t, err, errs.Unauthenticated, "LOGIN_FAILED")
		}
	}
	_, err := login(p, "cy@example.com", "")
	wantError(t, err, errs.Unauthenticated, "LOGIN_FAILED")
	// Whoever imports takes nobody's place.
	_, err = login(p, "there@example.com", "U*U")
	wantError(t, err, errs.Unauthenticated, "LOGIN_FAILED")
	again := outcome(t, p, ctx, &identityv1.ImportOptions{}, strings.ReplaceAll(file, bcryptOfUU, pbkdf2ed))
	if again != strings.ReplaceAll(want, "CREATED", "UNCHANGED") {
		t.Errorf("run again:\n%s", again)
	}
	if _, err := login(p, "ada@example.com", "U*U"); err != nil {
		t.Errorf("after another import: %v", err)
	}
	list, err := p.customers().ListCustomers(ctx, &identityv1.ListCustomersRequest{Parent: org, Filter: `state = "ACTIVE"`})
	if err != nil || len(list.GetCustomers()) != 3 {
		t.Errorf("%d customers are active, %v; want those who can log in", len(list.GetCustomers()), err)
	}
}
