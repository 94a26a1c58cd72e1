package identity_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

func login(p *process, identifier, password string) (*identityv1.TokenSet, error) {
	return p.auth().Login(context.Background(), &identityv1.LoginRequest{
		Organization: org, Identifier: identifier, Password: password, DeviceLabel: "laptop",
	})
}

// TestLogin_answersEveryRefusalAlike holds that nobody learns from a refusal
// whether an account exists.
func TestLogin_answersEveryRefusalAlike(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		ada, _ := p.customer(ctx, &identityv1.Customer{DisplayName: "Ada", Email: "ada@example.com"})
		pending, err := p.customers().CreateCustomer(ctx, &identityv1.CreateCustomerRequest{Parent: org, Customer: &identityv1.Customer{Email: "new@example.com"}})
		if err != nil {
			t.Fatal(err)
		}
		suspended, _ := p.customer(ctx, &identityv1.Customer{Email: "sus@example.com"})
		if _, err := p.customers().DisableCustomer(ctx, &identityv1.DisableCustomerRequest{Name: suspended.GetName()}); err != nil {
			t.Fatal(err)
		}
		gone, _ := p.customer(ctx, &identityv1.Customer{Email: "gone@example.com"})
		if _, err := p.customers().DeleteCustomer(ctx, &identityv1.DeleteCustomerRequest{Name: gone.GetName()}); err != nil {
			t.Fatal(err)
		}
		_, want := login(p, "ada@example.com", "not the password")
		wantError(t, want, errs.Unauthenticated, "LOGIN_FAILED")
		for _, c := range []struct{ name, identifier, password string }{
			{"unknown mail", "nobody@example.com", goodPassword},
			{"unknown name", org + "/customers/nobody", goodPassword},
			{"name of another organisation", "organizations/other/staff/admin", goodPassword},
			{"no name at all", "///", goodPassword},
			{"empty password", "ada@example.com", ""},
			{"wrong password by name", ada.GetName(), "not the password"},
			{"pending", pending.GetName(), goodPassword},
			{"suspended", "sus@example.com", goodPassword},
			{"suspended by name", suspended.GetName(), goodPassword},
			{"deleted", "gone@example.com", goodPassword},
			{"external id", "x", goodPassword},
		} {
			t.Run(c.name, func(t *testing.T) {
				before := p.count("guildhall.identity.password.hashes")
				_, err := login(p, c.identifier, c.password)
				if err == nil || err.Error() != want.Error() {
					t.Errorf("answers %v, want %v", err, want)
				}
				// Two kinds of accounts may have a mail address, one a name.
				work := int64(2)
				if strings.Contains(c.identifier, "/") {
					work = 1
				}
				if got := p.count("guildhall.identity.password.hashes") - before; got != work {
					t.Errorf("computes %d hashes, want %d", got, work)
				}
			})
		}
		_, err = p.auth().Login(context.Background(), &identityv1.LoginRequest{Organization: "organizations/other", Identifier: "ada@example.com", Password: goodPassword})
		if err == nil || err.Error() != want.Error() {
			t.Errorf("an unknown organisation answers %v, want %v", err, want)
		}
	})
}

func TestLogin_byMailOrName(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	c, _ := p.customer(p.asAdmin(), &identityv1.Customer{Email: "Ada.Byron@Example.com"})
	for _, identifier := range []string{"Ada.Byron@Example.com", "ada.BYRON@example.COM", c.GetName()} {
		tokens, err := login(p, identifier, goodPassword)
		if err != nil || tokens.GetAccount() != c.GetName() {
			t.Errorf("login as %q: %v %v", identifier, tokens.GetAccount(), err)
		}
	}
}

func TestLogin_sharedMailMeansTheOneWhosePasswordItIs(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	c, _ := p.customer(ctx, &identityv1.Customer{Email: "both@example.com"})
	m := p.staffMember(ctx, "both", &identityv1.StaffMember{DisplayName: "Both", Email: "both@example.com"})
	tokens := p.accept(ctx, m.GetName())
	const other = "ganz anders und sehr lang"
	_, err := p.auth().ChangePassword(with(tokens), &identityv1.ChangePasswordRequest{OldPassword: goodPassword, NewPassword: other})
	if err != nil {
		t.Fatal(err)
	}
	for password, want := range map[string]string{goodPassword: c.GetName(), other: m.GetName()} {
		tokens, err := login(p, "both@example.com", password)
		if err != nil || tokens.GetAccount() != want {
			t.Errorf("login gives %s, %v; want %s", tokens.GetAccount(), err, want)
		}
	}
}

func TestLogin_rehashesWhenParametersChange(t *testing.T) {
	h := newHost(t, "bolt")
	p := h.start(config())
	p.asAdmin()
	p.close()
	stronger := config()
	stronger.Passwords.Time = 2
	p = h.start(stronger)
	// The second login compares with the hash that the first one stored.
	for range 2 {
		if _, err := login(p, admin, goodPassword); err != nil {
			t.Fatal(err)
		}
	}
	p.close()
	if _, err := login(h.start(stronger), admin, goodPassword); err != nil {
		t.Fatal(err)
	}
}

func TestRefresh_healsOneLostAnswerAndEndsOnReuse(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		_, first := p.customer(p.asAdmin(), &identityv1.Customer{DisplayName: "Ada"})
		refresh := func(from *identityv1.TokenSet) (*identityv1.TokenSet, error) {
			return p.auth().RefreshToken(context.Background(), &identityv1.RefreshTokenRequest{RefreshToken: from.GetRefreshToken()})
		}
		lost, err := refresh(first)
		if err != nil {
			t.Fatal(err)
		}
		healed, err := refresh(first)
		if err != nil {
			t.Fatalf("the token whose answer was lost is refused: %v", err)
		}
		if _, err := p.auth().WhoAmI(with(healed), &identityv1.WhoAmIRequest{}); err != nil {
			t.Errorf("a healed access token is refused: %v", err)
		}
		next, err := refresh(healed)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = refresh(lost); err == nil {
			t.Fatal("a void token is taken")
		}
		wantError(t, err, errs.Unauthenticated, "REFRESH_TOKEN_INVALID")
		_, err = refresh(next)
		wantError(t, err, errs.Unauthenticated, "REFRESH_TOKEN_INVALID")
	})
}

func TestRefresh_refusesForgeries(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	_, tokens := p.customer(p.asAdmin(), &identityv1.Customer{DisplayName: "Ada"})
	good := tokens.GetRefreshToken()
	for i := range len(good) {
		forged := good[:i] + "A" + good[i+1:]
		if forged == good {
			forged = good[:i] + "B" + good[i+1:]
		}
		if _, err := p.auth().RefreshToken(context.Background(), &identityv1.RefreshTokenRequest{RefreshToken: forged}); errs.ReasonOf(err) != "REFRESH_TOKEN_INVALID" {
			t.Fatalf("with character %d changed: %v", i, err)
		}
	}
	// None of them was taken for a stolen one.
	if _, err := p.auth().RefreshToken(context.Background(), &identityv1.RefreshTokenRequest{RefreshToken: good}); err != nil {
		t.Error(err)
	}
}

func TestSession_limits(t *testing.T) {
	cfg := config()
	cfg.Sessions.PerAccount = 3
	p := newHost(t, "bolt").start(cfg)
	c, first := p.customer(p.asAdmin(), &identityv1.Customer{DisplayName: "Ada", Email: "ada@example.com"})
	refresh := func(from *identityv1.TokenSet) (*identityv1.TokenSet, error) {
		return p.auth().RefreshToken(context.Background(), &identityv1.RefreshTokenRequest{RefreshToken: from.GetRefreshToken()})
	}
	var last *identityv1.TokenSet
	for range 3 {
		p.clock.advance(time.Second)
		var err error
		if last, err = login(p, c.GetName(), goodPassword); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := refresh(first); errs.ReasonOf(err) != "REFRESH_TOKEN_INVALID" {
		t.Errorf("the oldest of four sessions refreshes: %v", err)
	}
	resp, err := p.auth().ListSessions(with(last), &identityv1.ListSessionsRequest{Parent: c.GetName()})
	if err != nil || len(resp.GetSessions()) != 3 || !resp.GetSessions()[0].GetCurrent() || resp.GetSessions()[0].GetDeviceLabel() != "laptop" {
		t.Errorf("sessions are %v, %v; want 3, the newest current", resp.GetSessions(), err)
	}
	// A session in use lives to its absolute limit, and no longer.
	for range 3 {
		p.clock.advance(9 * 24 * time.Hour)
		if last, err = refresh(last); err != nil {
			t.Fatalf("refresh in use: %v", err)
		}
	}
	p.clock.advance(4 * 24 * time.Hour)
	if _, err := refresh(last); errs.ReasonOf(err) != "REFRESH_TOKEN_INVALID" {
		t.Errorf("refresh past the absolute limit: %v", err)
	}
	if last, err = login(p, c.GetName(), goodPassword); err != nil {
		t.Fatal(err)
	}
	p.clock.advance(15 * 24 * time.Hour)
	if _, err := refresh(last); errs.ReasonOf(err) != "REFRESH_TOKEN_INVALID" {
		t.Errorf("refresh past the idle limit: %v", err)
	}
}

func TestSession_endings(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c, phone := p.customer(ctx, &identityv1.Customer{DisplayName: "Ada", Email: "ada@example.com"})
		alive := func(from *identityv1.TokenSet) bool {
			next, err := p.auth().RefreshToken(context.Background(), &identityv1.RefreshTokenRequest{RefreshToken: from.GetRefreshToken()})
			if err == nil {
				from.RefreshToken = next.GetRefreshToken()
			}
			return err == nil
		}
		again := func() *identityv1.TokenSet {
			tokens, err := login(p, c.GetName(), goodPassword)
			if err != nil {
				t.Fatal(err)
			}
			return tokens
		}
		laptop := again()
		if _, err := p.auth().Logout(with(laptop), &identityv1.LogoutRequest{}); err != nil || alive(laptop) || !alive(phone) {
			t.Errorf("logout: %v; the session lives on or took another along", err)
		}
		laptop = again()
		revoke := &identityv1.RevokeSessionRequest{Name: laptop.GetSession()}
		if resp, err := p.auth().RevokeSession(ctx, revoke); err != nil || resp.GetRevokedCount() != 1 || alive(laptop) || !alive(phone) {
			t.Errorf("revoke one: %v %v", resp, err)
		}
		if resp, err := p.auth().RevokeSession(ctx, revoke); err != nil || resp.GetRevokedCount() != 0 {
			t.Errorf("revoke an ended one: %v %v", resp, err)
		}
		laptop = again()
		_, err := p.auth().ChangePassword(with(laptop), &identityv1.ChangePasswordRequest{OldPassword: goodPassword, NewPassword: goodPassword + "!"})
		if err != nil || !alive(laptop) || alive(phone) {
			t.Errorf("change of password: %v; it ends all sessions but its own", err)
		}
		if resp, err := p.auth().RevokeSession(ctx, &identityv1.RevokeSessionRequest{Name: c.GetName() + "/sessions/-"}); err != nil || resp.GetRevokedCount() != 1 || alive(laptop) {
			t.Errorf("revoke all: %v %v", resp, err)
		}
		ended := 0
		for _, e := range p.events(ctx, "guildhall.identity.session.") {
			if strings.HasPrefix(e.GetSubject(), c.GetName()) {
				ended++
			}
		}
		if ended != 4 {
			t.Errorf("%d events of ended sessions, want 4", ended)
		}
		for _, name := range []string{"x", c.GetName(), c.GetName() + "/x/1", c.GetName() + "/sessions/", org + "/sessions/1"} {
			_, err := p.auth().RevokeSession(ctx, &identityv1.RevokeSessionRequest{Name: name})
			if err == nil {
				t.Errorf("revoke %q succeeds", name)
			}
		}
	})
}

func TestInvitation_worksOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c, tokens := p.customer(ctx, &identityv1.Customer{DisplayName: "Ada", Email: "ada@example.com"})
		invite := func(req *identityv1.CreateInvitationRequest) string {
			t.Helper()
			req.Account, req.ShowCode = c.GetName(), true
			invitation, err := p.auth().CreateInvitation(ctx, req)
			if err != nil {
				t.Fatal(err)
			}
			return invitation.GetCode()
		}
		accept := func(code, password string) error {
			_, err := p.auth().AcceptInvitation(context.Background(), &identityv1.AcceptInvitationRequest{Code: code, Password: password})
			return err
		}
		voided := invite(&identityv1.CreateInvitationRequest{})
		code := invite(&identityv1.CreateInvitationRequest{RequestId: "r1"})
		if again := invite(&identityv1.CreateInvitationRequest{RequestId: "r1"}); again != "" {
			t.Error("a retry returns the code, so it was stored")
		}
		wantError(t, accept(voided, goodPassword), errs.Unauthenticated, "INVITATION_INVALID")
		wantError(t, accept("NONSENSE", goodPassword), errs.Unauthenticated, "INVITATION_INVALID")
		wantError(t, accept(code, "short"), errs.Invalid, "PASSWORD_TOO_SHORT")
		wantError(t, accept(code, strings.Repeat("x y", 100)), errs.Invalid, "PASSWORD_TOO_LONG")
		wantError(t, accept(code, "ada@example.com acme ada"), errs.Invalid, "PASSWORD_BLOCKED")
		typed := strings.ToLower(code[:10]) + " " + code[10:]
		if err := accept(typed, goodPassword+"2"); err != nil {
			t.Fatalf("the code as a person types it: %v", err)
		}
		wantError(t, accept(code, goodPassword), errs.Unauthenticated, "INVITATION_INVALID")
		if _, err := p.auth().RefreshToken(context.Background(), &identityv1.RefreshTokenRequest{RefreshToken: tokens.GetRefreshToken()}); err == nil {
			t.Error("a session that was opened with the old password lives on")
		}

		late := invite(&identityv1.CreateInvitationRequest{})
		p.clock.advance(7 * 24 * time.Hour)
		wantError(t, accept(late, goodPassword), errs.Unauthenticated, "INVITATION_INVALID")
	})
}

func TestInvitation_resetEndsTheOldPasswordAtOnce(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	c, tokens := p.customer(ctx, &identityv1.Customer{DisplayName: "Ada"})
	if _, err := p.auth().CreateInvitation(ctx, &identityv1.CreateInvitationRequest{Account: c.GetName(), ResetPassword: true}); err != nil {
		t.Fatal(err)
	}
	_, err := login(p, c.GetName(), goodPassword)
	wantError(t, err, errs.Unauthenticated, "LOGIN_FAILED")
	_, err = p.auth().RefreshToken(context.Background(), &identityv1.RefreshTokenRequest{RefreshToken: tokens.GetRefreshToken()})
	wantError(t, err, errs.Unauthenticated, "REFRESH_TOKEN_INVALID")
	_, err = p.auth().CreateInvitation(ctx, &identityv1.CreateInvitationRequest{Account: org + "/customers/nobody"})
	wantError(t, err, errs.NotFound, "ACCOUNT_NOT_FOUND")
	if _, err := p.customers().DisableCustomer(ctx, &identityv1.DisableCustomerRequest{Name: c.GetName()}); err != nil {
		t.Fatal(err)
	}
	_, err = p.auth().CreateInvitation(ctx, &identityv1.CreateInvitationRequest{Account: c.GetName()})
	wantError(t, err, errs.Precondition, "ILLEGAL_STATE")
}

func TestWhoAmI_saysWhoCalls(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	c, tokens := p.customer(p.asAdmin(), &identityv1.Customer{DisplayName: "Ada"})
	resp, err := p.auth().WhoAmI(with(tokens), &identityv1.WhoAmIRequest{})
	if err != nil || resp.GetAccount() != c.GetName() || resp.GetOrganization() != org || resp.GetSession() != tokens.GetSession() {
		t.Errorf("WhoAmI is %v, %v", resp, err)
	}
	_, err = p.auth().WhoAmI(context.Background(), &identityv1.WhoAmIRequest{})
	wantError(t, err, errs.Unauthenticated, "TOKEN_MISSING")
	p.clock.advance(time.Hour)
	_, err = p.auth().WhoAmI(with(tokens), &identityv1.WhoAmIRequest{})
	wantError(t, err, errs.Unauthenticated, "TOKEN_EXPIRED")
}

func TestSession_expiryTellsTheFeed(t *testing.T) {
	h := newHost(t, "bolt")
	p := h.start(config())
	_, tokens := p.customer(p.asAdmin(), &identityv1.Customer{DisplayName: "Ada"})
	p.close()
	h.clock.advance(30 * 24 * time.Hour)
	p = h.start(config()) // a start sweeps at once
	again, err := login(p, admin, goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		events := about(p.events(with(again), "guildhall.identity.session."), tokens.GetSession())
		if len(events) == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("events of the expired session: %v", events)
		}
	}
}
