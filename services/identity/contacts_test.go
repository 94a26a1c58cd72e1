package identity_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// TestConfirmContact_theOldOneStaysUntilTheNewOneIsProven: then both are told, the
// code is used up, and of it nothing is left.
func TestConfirmContact_theOldOneStaysUntilTheNewOneIsProven(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		admin := p.asAdmin()
		c, tokens := p.customer(admin, &identityv1.Customer{Email: "old@example.com", Phone: "+8613800138000", Language: "zh-CN"})
		ctx := with(tokens)
		code := p.contactCode(ctx, "New@example.com")
		if m := p.awaitMail("CONTACT_VERIFICATION", "New@example.com"); m.Language != "zh-CN" || !strings.Contains(m.Text, "15分钟内有效") {
			t.Errorf("the mail is %+v", m)
		}
		if got := p.record(admin, c.GetName()).GetEmail(); got != "old@example.com" {
			t.Errorf("before the proof the address is %s", got)
		}
		if _, err := login(p, "old@example.com", goodPassword); err != nil {
			t.Error(err)
		}
		_, err := p.confirm(ctx, byMail, "00000000")
		wantError(t, err, errs.Invalid, "CODE_INVALID")
		got, err := p.confirm(ctx, byMail, code[:4]+" "+code[4:])
		if err != nil || got.GetValue() != "New@example.com" || got.GetVerifyTime() == nil {
			t.Fatalf("the contact is %v, %v", got, err)
		}
		_, err = p.confirm(ctx, byMail, code)
		wantError(t, err, errs.Invalid, "CODE_INVALID")
		wantVerified(t, p.record(admin, c.GetName()), true, false)
		if _, err := login(p, "new@example.com", goodPassword); err != nil {
			t.Error(err)
		}
		_, err = login(p, "old@example.com", goodPassword)
		wantError(t, err, errs.Unauthenticated, "LOGIN_FAILED")
		for _, to := range []string{"old@example.com", "New@example.com", "+8613800138000"} {
			if m := p.awaitMail("CONTACT_CHANGED", to); !strings.Contains(m.Text, "N***@example.com") || strings.Contains(m.Text, "New@") {
				t.Errorf("%s is told %q", to, m.Text)
			}
		}
		p.close()
		if strings.Contains(p.log.String(), code) || len(p.below(code)) > 0 {
			t.Error("the code is still somewhere")
		}
	})
}

// TestConfirmContact_codesThatAreVoid: a newer one, five wrong tries, another
// contact, a suspension, time; and that of another account.
func TestConfirmContact_codesThatAreVoid(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		admin := p.asAdmin()
		_, elsewhere := p.customer(admin, &identityv1.Customer{Email: "else@example.com"})
		voids := map[string]func(c *identityv1.Customer, ctx context.Context) error{
			"newer": func(_ *identityv1.Customer, ctx context.Context) error {
				p.contactCode(ctx, "newer@example.com")
				return nil
			},
			"wrong": func(_ *identityv1.Customer, ctx context.Context) error {
				for range 5 {
					if _, err := p.confirm(ctx, byMail, "nonsense"); errs.ReasonOf(err) != "CODE_INVALID" {
						return err
					}
				}
				return nil
			},
			"edited": func(c *identityv1.Customer, _ context.Context) error {
				return second(p.edit(admin, &identityv1.Customer{Name: c.GetName(), Email: "edited-2@example.com"}, "email"))
			},
			"late": func(*identityv1.Customer, context.Context) error { p.clock.advance(15 * time.Minute); return nil },
		}
		for _, name := range []string{"newer", "wrong", "edited", "late"} {
			c, _ := p.customer(admin, &identityv1.Customer{Email: name + "@example.com"})
			tokens, err := login(p, name+"@example.com", goodPassword)
			if err != nil {
				t.Fatal(err)
			}
			code := p.contactCode(with(tokens), name+"-new@example.com")
			if _, err := p.confirm(with(elsewhere), byMail, code); errs.ReasonOf(err) != "CODE_INVALID" {
				t.Errorf("%s: another account is answered %v", name, err)
			}
			if err := voids[name](c, with(tokens)); err != nil {
				t.Fatal(err)
			}
			if tokens, err = p.auth().RefreshToken(context.Background(), &identityv1.RefreshTokenRequest{RefreshToken: tokens.GetRefreshToken()}); err != nil {
				t.Fatal(err)
			}
			if _, err := p.confirm(with(tokens), byMail, code); errs.ReasonOf(err) != "CODE_INVALID" {
				t.Errorf("%s: the code is answered %v", name, err)
			}
		}
	})
}

// TestConfirmContact_voidAfterASuspension: whoever had begun a change does not end it
// in a session of after.
func TestConfirmContact_voidAfterASuspension(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	admin := p.asAdmin()
	c, tokens := p.customer(admin, &identityv1.Customer{Email: "ada@example.com"})
	code := p.contactCode(with(tokens), "thief@example.com")
	if _, err := p.customers().DisableCustomer(admin, &identityv1.DisableCustomerRequest{Name: c.GetName()}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.customers().EnableCustomer(admin, &identityv1.EnableCustomerRequest{Name: c.GetName()}); err != nil {
		t.Fatal(err)
	}
	tokens, err := login(p, "ada@example.com", goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.confirm(with(tokens), byMail, code)
	wantError(t, err, errs.Invalid, "CODE_INVALID")
}

// TestRequestContactChange_tellsNothingOfOthers: whose a contact is learns only who
// has read the code that was sent there.
func TestRequestContactChange_tellsNothingOfOthers(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		admin := p.asAdmin()
		p.customer(admin, &identityv1.Customer{Email: "taken@example.com", Phone: "+8613900139000"})
		c, tokens := p.customer(admin, &identityv1.Customer{Email: "ada@example.com"})
		ctx := with(tokens)
		free, err := p.moveTo(ctx, "tidy@example.com")
		if err != nil {
			t.Fatal(err)
		}
		used, err := p.moveTo(ctx, "Taken@example.com")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(free, used, protocmp.Transform(), protocmp.IgnoreFields(free, "target_hint")); diff != "" {
			t.Errorf("the answers differ: %s", diff)
		}
		code := codeIn(p.awaitMail("CONTACT_VERIFICATION", "Taken@example.com"))
		for range 2 {
			_, err = p.confirm(ctx, byMail, code)
			wantError(t, err, errs.Exists, "EMAIL_TAKEN")
		}
		if _, err := p.callAt(ctx, "+8613900139000"); err != nil {
			t.Fatal(err)
		}
		_, err = p.confirm(ctx, bySMS, smsCode(p.awaitMail("CONTACT_VERIFICATION", "+8613900139000")))
		wantError(t, err, errs.Exists, "PHONE_TAKEN")
		if got := p.record(admin, c.GetName()); got.GetEmail() != "ada@example.com" || got.GetPhone() != "" {
			t.Errorf("the account is %v", got)
		}
	})
}

// smsCode returns the eight digits in a message.
func smsCode(m mail) string {
	for word := range strings.FieldsFuncSeq(m.Text, func(r rune) bool { return r < '0' || r > '9' }) {
		if len(word) == 8 {
			return word
		}
	}
	return ""
}

// TestRequestContactChange_timeTellsNothing compares requests for an address that
// another account has with those for one that nobody has.
func TestRequestContactChange_timeTellsNothing(t *testing.T) {
	cfg := config()
	cfg.Delivery.PerTarget = 1000
	p := newHost(t, "bolt").start(cfg)
	admin := p.asAdmin()
	p.customer(admin, &identityv1.Customer{Email: "taken@example.com"})
	_, tokens := p.customer(admin, &identityv1.Customer{Email: "ada@example.com"})
	ask := func(address string) func() {
		return func() {
			if _, err := p.moveTo(with(tokens), address); err != nil {
				t.Error(err)
			}
		}
	}
	if differ, says := apart(ask("taken@example.com"), ask("nobody@example.com")); differ {
		t.Error(says)
	}
}

// TestRequestContactChange_soManyCodes: of one account, wherever they go.
func TestRequestContactChange_soManyCodes(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	_, tokens := p.customer(p.asAdmin(), &identityv1.Customer{Email: "ada@example.com"})
	for i := range 5 {
		if _, err := p.moveTo(with(tokens), fmt.Sprintf("victim-%d@example.com", i)); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		_, err := p.moveTo(with(tokens), "victim-6@example.com")
		wantError(t, err, errs.Exhausted, "CONTACT_CODES_THROTTLED")
		if wait := errs.From(err).RetryAfter; wait <= 0 || wait > 10*time.Minute {
			t.Errorf("it says to wait for %s", wait)
		}
		_, err = p.contacts().SendContactVerification(with(tokens), &identityv1.SendContactVerificationRequest{Channel: byMail})
		wantError(t, err, errs.Exhausted, "CONTACT_CODES_THROTTLED")
	}
	list, err := p.contacts().ListContacts(with(tokens), &identityv1.ListContactsRequest{})
	if err != nil || len(list.GetVerifications()) != 1 || list.GetVerifications()[0].GetTargetHint() != "v***@example.com" {
		t.Errorf("waiting are %v, %v; want the last one", list, err)
	}
	p.clock.advance(10 * time.Minute)
	tokens, err = login(p, "ada@example.com", goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	p.settled(with(tokens), "ada-2@example.com")
}

// TestRequestContactChange_retried: the same request sends one code, and gets one
// answer, right or wrong.
func TestRequestContactChange_retried(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	_, tokens := p.customer(p.asAdmin(), &identityv1.Customer{Email: "ada@example.com"})
	ctx := with(tokens)
	ask := &identityv1.RequestContactChangeRequest{Contact: &identityv1.RequestContactChangeRequest_Email{Email: "new@example.com"}, RequestId: "ask"}
	var answers []*identityv1.ContactVerification
	for range 2 {
		v, err := p.contacts().RequestContactChange(ctx, ask)
		if err != nil {
			t.Fatal(err)
		}
		answers = append(answers, v)
	}
	if !proto.Equal(answers[0], answers[1]) || !answers[0].GetChange() {
		t.Errorf("the answers are %v", answers)
	}
	code := codeIn(p.awaitMail("CONTACT_VERIFICATION", "new@example.com"))
	for range 6 { // one try, as often as it is sent
		_, err := p.contacts().ConfirmContact(ctx, &identityv1.ConfirmContactRequest{Channel: byMail, Code: "00000000", RequestId: "wrong"})
		wantError(t, err, errs.Invalid, "CODE_INVALID")
	}
	for range 2 {
		got, err := p.contacts().ConfirmContact(ctx, &identityv1.ConfirmContactRequest{Channel: byMail, Code: code, RequestId: "right"})
		if err != nil || got.GetValue() != "new@example.com" {
			t.Errorf("the contact is %v, %v", got, err)
		}
	}
	if n := p.mailsTo("new@example.com"); n != 1 {
		t.Errorf("%d codes were sent", n)
	}
	ask.Contact = &identityv1.RequestContactChangeRequest_Email{Email: "other@example.com"}
	_, err := p.contacts().RequestContactChange(ctx, ask)
	wantError(t, err, errs.Invalid, "REQUEST_ID_REUSED")
}
