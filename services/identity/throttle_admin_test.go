package identity_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"guildhall.dev/pkg/errs"
	auditv1 "guildhall.dev/proto/gen/guildhall/audit/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// TestASVS_6_6_3_codesCannotBeTried: wrong codes make their address wait, and
// nobody else.
func TestASVS_6_6_3_codesCannotBeTried(t *testing.T) {
	cfg := config()
	cfg.Throttle.PerNetwork = 10
	p := newHost(t, "bolt").start(cfg)
	ctx := p.asAdmin()
	m := p.staffMember(ctx, "bo", &identityv1.StaffMember{DisplayName: "Bo"})
	invitation, err := p.auth().CreateInvitation(ctx, &identityv1.CreateInvitationRequest{Account: m.GetName(), ShowCode: true})
	if err != nil {
		t.Fatal(err)
	}
	accept := func(from identityv1.AuthServiceClient, code, password string) error {
		_, err := from.AcceptInvitation(context.Background(), &identityv1.AcceptInvitationRequest{Code: code, Password: password})
		return err
	}
	there, here := p.from(stranger), p.from(atHome)
	for range 20 { // a password that is refused is no guess at the code
		wantError(t, accept(there, invitation.GetCode(), "short"), errs.Invalid, "PASSWORD_TOO_SHORT")
	}
	for range 11 {
		wantError(t, accept(there, "wrong", goodPassword), errs.Unauthenticated, "INVITATION_INVALID")
	}
	wantThrottled(t, accept(there, invitation.GetCode(), goodPassword))
	if err := accept(here, invitation.GetCode(), goodPassword); err != nil {
		t.Errorf("from elsewhere: %v", err)
	}
}

// TestASVS_6_4_3_anInvitationIsTheWayPastAWait: what strangers did to an account
// is over when its owner comes in by a code.
func TestASVS_6_4_3_anInvitationIsTheWayPastAWait(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	c, _ := p.customer(ctx, &identityv1.Customer{Email: "ada@example.com"})
	tire(t, p.from(atHome), "Ada@example.com")
	tire(t, p.from(atHome), c.GetName())
	p.accept(ctx, c.GetName())
	for _, identifier := range []string{"ada@example.com", c.GetName()} {
		if wait := guess(t, p.from(atHome), identifier); wait != 0 {
			t.Errorf("%s still waits %s", identifier, wait)
		}
	}
}

// TestASVS_6_2_3_theOldPasswordCannotBeTriedOut by who has stolen a session, and
// what strangers try keeps its owner from nothing.
func TestASVS_6_2_3_theOldPasswordCannotBeTriedOut(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	c, tokens := p.customer(p.asAdmin(), &identityv1.Customer{Email: "ada@example.com"})
	for i := range 30 {
		guess(t, p.from(fmt.Sprintf("203.0.113.%d", i)), c.GetName())
	}
	change := func(old string) error {
		_, err := p.auth().ChangePassword(with(tokens), &identityv1.ChangePasswordRequest{OldPassword: old, NewPassword: goodPassword + "!"})
		return err
	}
	for range 6 {
		wantError(t, change("not the password"), errs.Unauthenticated, "LOGIN_FAILED")
	}
	wantThrottled(t, change(goodPassword))
	p.clock.advance(2 * time.Second)
	if err := change(goodPassword); err != nil {
		t.Error(err)
	}
}

func TestThrottle_isToldOnceAndOfBothAlike(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c, _ := p.customer(ctx, &identityv1.Customer{Email: "ada@example.com"})
		for range 3 {
			for _, identifier := range []string{"ada@example.com", "nobody@example.com"} {
				tire(t, p.from(stranger), identifier)
			}
			p.clock.advance(time.Second)
		}
		if got := about(p.events(ctx, "guildhall.identity.account.throttled"), c.GetName()); len(got) != 1 {
			t.Errorf("events of the throttled account: %v, want one", got)
		}
		entries, err := identityv1.NewIdentityAuditServiceClient(p.conn).ListAuditEntries(ctx, &auditv1.ListAuditEntriesRequest{
			Parent: org, Filter: `action = "identity.logins.throttle"`,
		})
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]int{}
		for _, e := range entries.GetAuditEntries() {
			seen[e.GetResource()]++
		}
		if seen[c.GetName()] != 1 || seen[org] != 1 || len(seen) != 2 {
			t.Errorf("entries of throttled logins are about %v, want one of the account and one of the organisation", seen)
		}
	})
}

func TestGetLoginThrottle_saysWhatCounts(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c, _ := p.customer(ctx, &identityv1.Customer{Email: "ada@example.com"})
		name := c.GetName() + "/loginThrottle"
		get := func() *identityv1.LoginThrottle {
			t.Helper()
			got, err := p.throttles().GetLoginThrottle(ctx, &identityv1.GetLoginThrottleRequest{Name: name})
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		if got := get(); got.GetName() != name || got.GetAttemptCount() != 0 || got.GetReadyTime() != nil || got.GetWaitingCount() != 0 {
			t.Errorf("of an account that is left alone: %v", got)
		}
		tire(t, p.from(stranger), "ada@example.com")
		for i := range 20 {
			guess(t, p.from(fmt.Sprintf("203.0.113.%d", i)), "ada@example.com")
		}
		if got := get(); got.GetAttemptCount() != 21 || got.GetReadyTime() == nil || got.GetWaitingCount() != 1 {
			t.Errorf("of an account under attack: %v", got)
		}
		clear := &identityv1.ClearLoginThrottleRequest{Name: name, RequestId: "01234567-89ab-7def-8123-456789abcdef"}
		for range 2 { // the second is a retry
			if got, err := p.throttles().ClearLoginThrottle(ctx, clear); err != nil || got.GetAttemptCount() != 0 || got.GetReadyTime() != nil {
				t.Errorf("clear: %v, %v", got, err)
			}
		}
		if wait := guess(t, p.from(stranger), "ada@example.com"); wait != 0 {
			t.Errorf("after it was cleared the account waits %s", wait)
		}
		if got, err := p.throttles().ClearLoginThrottle(ctx, clear); err != nil || get().GetAttemptCount() != 1 {
			t.Errorf("a retry clears again: %v, %v", got, err)
		}
		_, err := p.throttles().ClearLoginThrottle(ctx, &identityv1.ClearLoginThrottleRequest{Name: admin + "/loginThrottle", RequestId: clear.GetRequestId()})
		wantError(t, err, errs.Invalid, "REQUEST_ID_REUSED")
	})
}

func TestLoginThrottle_refusals(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	both := func(name string) []error {
		_, got := p.throttles().GetLoginThrottle(ctx, &identityv1.GetLoginThrottleRequest{Name: name})
		_, cleared := p.throttles().ClearLoginThrottle(ctx, &identityv1.ClearLoginThrottleRequest{Name: name})
		return []error{got, cleared}
	}
	for _, err := range both(org + "/customers/nobody/loginThrottle") {
		wantError(t, err, errs.NotFound, "CUSTOMER_NOT_FOUND")
	}
	for _, err := range both("organizations/other/staff/admin/loginThrottle") {
		if !errs.Is(err, errs.NotFound) {
			t.Errorf("another tenant's: %v", err)
		}
	}
	for _, name := range []string{"x", admin, admin + "/x", org + "/teams/t/loginThrottle"} {
		for _, err := range both(name) {
			if !errs.Is(err, errs.Invalid) {
				t.Errorf("%q: %v", name, err)
			}
		}
	}
	p.checker.forbid("identity.loginThrottles.get")
	p.checker.forbid("identity.loginThrottles.clear")
	for _, err := range both(admin + "/loginThrottle") {
		if !errs.Is(err, errs.Denied) {
			t.Errorf("without permission: %v", err)
		}
	}
}

// TestBootstrap_reissueEndsWaits: the way back in is not kept shut by guesses.
func TestBootstrap_reissueEndsWaits(t *testing.T) {
	h := newHost(t, "bolt")
	p := h.start(config())
	p.asAdmin()
	for i := range 30 {
		guess(t, p.from(fmt.Sprintf("203.0.113.%d", i)), admin)
	}
	p.close()
	cfg := config()
	cfg.Bootstrap.Reissue = true
	h.start(cfg).asAdmin()
}
