package identity_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// pairs is how many times two calls are compared in a row, and mostSame how often
// one is the slower of them by chance: more than that in one of eighty rows.
const pairs, mostSame = 48, 33

// apart reports whether the time that two calls take tells them apart. They are
// called in turns, so that a busy machine is busy for both, and compared pair by
// pair: they differ when one is the slower in more pairs than chance allows (a sign
// test, which asks nothing of the distribution), and when their lower quartiles, to
// which noise adds least, are apart by a notable share. Chance has to say so three
// times in a row, which it does once in half a million runs even without the
// second.
func apart(a, b func()) (differ bool, says string) {
	for range 3 {
		if differ, says = row(a, b); !differ {
			return false, says
		}
	}
	return true, says
}

func row(a, b func()) (differ bool, says string) {
	var first, second []time.Duration
	slower := 0
	measure := func(call func()) time.Duration {
		begun := time.Now()
		call()
		return time.Since(begun)
	}
	for i := range pairs {
		var x, y time.Duration
		if i%2 == 0 {
			x, y = measure(a), measure(b)
		} else {
			y, x = measure(b), measure(a)
		}
		if x > y {
			slower++
		}
		first, second = append(first, x), append(second, y)
	}
	quartile := func(all []time.Duration) time.Duration { slices.Sort(all); return all[len(all)/4] }
	x, y := quartile(first), quartile(second)
	differ = max(slower, pairs-slower) > mostSame && (x-y).Abs() > max(x, y)/5
	return differ, fmt.Sprintf("lower quartiles %s and %s, the first slower in %d of %d", x, y, slower, pairs)
}

// enumerable is a process with accounts in all states that matter, whose hashes
// cost milliseconds, so that one more or less shows.
func enumerable(t *testing.T) *process {
	cfg := config()
	cfg.Passwords.Memory = 4096
	p := newHost(t, "bolt").start(cfg)
	ctx := p.asAdmin()
	p.customer(ctx, &identityv1.Customer{Email: "known@example.com"})
	p.customer(ctx, &identityv1.Customer{Email: "long@example.com"})
	p.customer(ctx, &identityv1.Customer{Email: "empty@example.com"})
	if _, err := p.customers().CreateCustomer(ctx, &identityv1.CreateCustomerRequest{Parent: org, CustomerId: "pending", Customer: &identityv1.Customer{Email: "pending@example.com"}}); err != nil {
		t.Fatal(err)
	}
	suspended, _ := p.customer(ctx, &identityv1.Customer{Email: "suspended@example.com"})
	if _, err := p.customers().DisableCustomer(ctx, &identityv1.DisableCustomerRequest{Name: suspended.GetName()}); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestASVS_6_3_8_timeTellsNothingOfAnAccount compares logins that are refused,
// for an account that is and one that is not.
func TestASVS_6_3_8_timeTellsNothingOfAnAccount(t *testing.T) {
	p := enumerable(t)
	long := strings.Repeat("vielfältig ", 300)
	refuse := func(t *testing.T, identifier, password string) func() {
		return func() {
			_, err := login(p, identifier, password)
			wantError(t, err, errs.Unauthenticated, "LOGIN_FAILED")
			p.clock.advance(time.Hour) // nobody is to wait
		}
	}
	for name, c := range map[string]struct{ identifier, password, other, otherPassword string }{
		"wrong password":       {"known@example.com", "not the password", "unknown@example.com", "not the password"},
		"empty password":       {"empty@example.com", "", "unknown-empty@example.com", ""},
		"long password":        {"long@example.com", long, "unknown-long@example.com", long},
		"empty beside wrong":   {"empty@example.com", "", "unknown-2@example.com", "not the password"},
		"pending":              {"pending@example.com", goodPassword, "unknown-3@example.com", goodPassword},
		"suspended":            {"suspended@example.com", goodPassword, "unknown-4@example.com", goodPassword},
		"by name":              {admin, "not the password", org + "/staff/nobody", "not the password"},
		"pending by name":      {org + "/customers/pending", goodPassword, org + "/customers/nobody", goodPassword},
		"of no organisation's": {org + "/staff/nobody2", goodPassword, "organizations/other/staff/admin", goodPassword},
	} {
		t.Run(name, func(t *testing.T) {
			known, unknown := refuse(t, c.identifier, c.password), refuse(t, c.other, c.otherPassword)
			if a, b := p.work(known), p.work(unknown); a != b || a == 0 {
				t.Errorf("the first computes %d hashes, the second %d", a, b)
			}
			if differ, says := apart(known, unknown); differ {
				t.Error(says)
			}
		})
	}
}

// work returns how many hashes a call computes.
func (p *process) work(call func()) int64 {
	p.t.Helper()
	before := p.count("guildhall.identity.password.hashes")
	call()
	return p.count("guildhall.identity.password.hashes") - before
}

// TestASVS_6_3_8_timeTellsNothingOfACode compares codes that never were with
// those that were used.
func TestASVS_6_3_8_timeTellsNothingOfACode(t *testing.T) {
	p := enumerable(t)
	ctx := p.asAdminAgain()
	m := p.staffMember(ctx, "bo", &identityv1.StaffMember{DisplayName: "Bo"})
	invitation, err := p.auth().CreateInvitation(ctx, &identityv1.CreateInvitationRequest{Account: m.GetName(), ShowCode: true})
	if err != nil {
		t.Fatal(err)
	}
	accept := func(code string) func() {
		return func() {
			_, err := p.auth().AcceptInvitation(context.Background(), &identityv1.AcceptInvitationRequest{Code: code, Password: goodPassword})
			wantError(t, err, errs.Unauthenticated, "INVITATION_INVALID")
		}
	}
	if _, err := p.auth().AcceptInvitation(context.Background(), &identityv1.AcceptInvitationRequest{Code: invitation.GetCode(), Password: goodPassword}); err != nil {
		t.Fatal(err)
	}
	used, never := accept(invitation.GetCode()), accept("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
	if p.work(used) != 0 || p.work(never) != 0 {
		t.Error("a code that is refused computes hashes")
	}
	if differ, says := apart(used, never); differ {
		t.Error(says)
	}
}

// TestASVS_6_3_8_timeTellsNothingOfAReset compares requests for accounts in all
// states with those for none, while what they ask for is done behind them; and of
// codes, used ones with those that never were.
func TestASVS_6_3_8_timeTellsNothingOfAReset(t *testing.T) {
	p := enumerable(t)
	ask := func(identifier string, wait time.Duration) func() {
		return func() {
			resp, err := p.auth().RequestPasswordReset(context.Background(), &identityv1.RequestPasswordResetRequest{Organization: org, Identifier: identifier})
			if err != nil || resp.String() != "" {
				t.Errorf("%s is answered %v, %v", identifier, resp, err)
			}
			p.clock.advance(wait)
		}
	}
	for name, c := range map[string]struct {
		known, unknown string
		wait           time.Duration
	}{
		"known":           {"known@example.com", "unknown@example.com", time.Hour},
		"again and again": {"long@example.com", "unknown-2@example.com", 0},
		"pending":         {"pending@example.com", "unknown-3@example.com", time.Hour},
		"suspended":       {"suspended@example.com", "unknown-4@example.com", time.Hour},
		"by name":         {admin, org + "/staff/nobody", time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			if differ, says := apart(ask(c.known, c.wait), ask(c.unknown, c.wait)); differ {
				t.Error(says)
			}
		})
	}
	t.Run("code", func(t *testing.T) {
		used := p.resetCode("empty@example.com")
		if _, err := p.reset(used, "another that nobody guesses"); err != nil {
			t.Fatal(err)
		}
		refuse := func(code string) func() {
			return func() {
				_, err := p.reset(code, goodPassword)
				wantError(t, err, errs.Unauthenticated, "PASSWORD_RESET_INVALID")
			}
		}
		if differ, says := apart(refuse(used), refuse("ABCDEFGHIJKLMNOPQRSTUVWXYZ")); differ {
			t.Error(says)
		}
	})
}

// TestApart_findsAHashTooFew: the instrument of these tests sees what it is to
// see, a login by name beside one by mail, which hashes once more. Chance would
// have to say so three times of twelve, which it does once in two thousand runs.
func TestApart_findsAHashTooFew(t *testing.T) {
	p := enumerable(t)
	by := func(identifier string) func() {
		return func() {
			_, err := login(p, identifier, "not the password")
			wantError(t, err, errs.Unauthenticated, "LOGIN_FAILED")
			p.clock.advance(time.Hour)
		}
	}
	// A busy machine hides a difference in some rows; it does not in most.
	found, says := 0, ""
	for rows := 0; rows < 12 && found < 3; rows++ {
		var differ bool
		if differ, says = row(by("unknown@example.com"), by(org+"/staff/nobody")); differ {
			found++
		}
	}
	if found < 3 {
		t.Errorf("two hashes are told from one in %d of 12 rows: %s", found, says)
	}
}
