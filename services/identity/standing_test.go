package identity_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/testing/protocmp"

	"github.com/google/go-cmp/cmp"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

func newPermission() *permission {
	return &permission{states: make(map[string]*permissionv1.SetStandingRequest), ended: make(map[string]bool)}
}

// hear is SetStanding; the caller has the lock.
func (s *permission) hear(req *permissionv1.SetStandingRequest) {
	if req.GetVersion() > s.states[req.GetAccount()].GetVersion() {
		s.states[req.GetAccount()] = req
	}
}

// standing says why a caller may not act at all.
func (s *permission) standing(c authn.Caller) permissionv1.Denial {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case strings.Contains("SUSPENDED DELETED", s.states[c.Name].GetState()) && s.states[c.Name] != nil:
		return permissionv1.Denial_DENIAL_SUBJECT_SUSPENDED
	case s.ended[c.Name+"/sessions/"+c.Session]:
		return permissionv1.Denial_DENIAL_SESSION_ENDED
	default:
		return permissionv1.Denial_DENIAL_UNSPECIFIED
	}
}

// word returns the state of an account as permission knows it, "" when it was
// never told.
func (s *permission) word(account string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.states[account].GetState()
}

// me asks who the caller is: an RPC that needs no permission, only to be
// somebody who may act.
func (p *process) me(tokens *identityv1.TokenSet) error {
	_, err := p.auth().WhoAmI(with(tokens), &identityv1.WhoAmIRequest{})
	return err
}

func TestStanding_isToldBeforeTheChangeReturns(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c, tokens := p.customer(ctx, &identityv1.Customer{DisplayName: "Wei"})
		if err := p.me(tokens); err != nil {
			t.Fatal(err)
		}
		if got := p.permission.word(c.GetName()); got != "" {
			t.Errorf("permission was told of %q: who was always active takes no room there", got)
		}
		for _, step := range []struct {
			do   func() error
			want string
		}{
			{func() error {
				_, err := p.customers().DisableCustomer(ctx, &identityv1.DisableCustomerRequest{Name: c.GetName()})
				return err
			}, "SUSPENDED"},
			{func() error {
				_, err := p.customers().EnableCustomer(ctx, &identityv1.EnableCustomerRequest{Name: c.GetName()})
				return err
			}, "ACTIVE"},
			{func() error {
				_, err := p.customers().DeleteCustomer(ctx, &identityv1.DeleteCustomerRequest{Name: c.GetName()})
				return err
			}, "DELETED"},
			{func() error {
				_, err := p.customers().UndeleteCustomer(ctx, &identityv1.UndeleteCustomerRequest{Name: c.GetName()})
				return err
			}, "ACTIVE"},
		} {
			if err := step.do(); err != nil {
				t.Fatalf("to %s: %v", step.want, err)
			}
			if got := p.permission.word(c.GetName()); got != step.want {
				t.Errorf("permission knows %q when the change to %s has returned", got, step.want)
			}
		}
		// The account may act again, but not in the session that was ended.
		wantError(t, p.me(tokens), errs.Unauthenticated, "SESSION_ENDED")
	})
}

func TestStanding_versionsGrowAlongTheFeed(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	c, _ := p.customer(ctx, &identityv1.Customer{DisplayName: "Wei"})
	if _, err := p.customers().DisableCustomer(ctx, &identityv1.DisableCustomerRequest{Name: c.GetName()}); err != nil {
		t.Fatal(err)
	}
	var last identityv1.AccountStateChanged
	for _, e := range p.events(ctx, "guildhall.identity.account.state_changed.") {
		var data identityv1.AccountStateChanged
		if e.GetSubject() != c.GetName() {
			continue
		}
		if err := e.GetData().UnmarshalTo(&data); err != nil {
			t.Fatal(err)
		}
		if data.GetVersion() <= last.GetVersion() {
			t.Errorf("version %d of %s follows %d", data.GetVersion(), data.GetState(), last.GetVersion())
		}
		last.State, last.Version = data.GetState(), data.GetVersion()
	}
	want := &permissionv1.SetStandingRequest{Account: c.GetName(), State: last.GetState(), Version: last.GetVersion()}
	if diff := cmp.Diff(want, p.permission.states[c.GetName()], protocmp.Transform()); diff != "" {
		t.Errorf("the direct word is not that of the event (-want +got):\n%s", diff)
	}
}

// TestSession_endsForAccessTokensToo: whichever way a session ends, its access
// token is refused when the call that ended it has returned.
func TestSession_endsForAccessTokensToo(t *testing.T) {
	ends := map[string]func(p *process, ctx context.Context, of *identityv1.TokenSet) error{
		"logout": func(p *process, _ context.Context, of *identityv1.TokenSet) error {
			_, err := p.auth().Logout(with(of), &identityv1.LogoutRequest{})
			return err
		},
		"revoked": func(p *process, ctx context.Context, of *identityv1.TokenSet) error {
			_, err := p.auth().RevokeSession(ctx, &identityv1.RevokeSessionRequest{Name: of.GetSession()})
			return err
		},
		"all revoked": func(p *process, ctx context.Context, of *identityv1.TokenSet) error {
			_, err := p.auth().RevokeSession(ctx, &identityv1.RevokeSessionRequest{Name: of.GetAccount() + "/sessions/-"})
			return err
		},
		"password reset": func(p *process, ctx context.Context, of *identityv1.TokenSet) error {
			_, err := p.auth().CreateInvitation(ctx, &identityv1.CreateInvitationRequest{Account: of.GetAccount(), ResetPassword: true})
			return err
		},
		"password changed in another session": func(p *process, _ context.Context, of *identityv1.TokenSet) error {
			_, err := p.auth().ChangePassword(with(p.again(of)), &identityv1.ChangePasswordRequest{
				OldPassword: goodPassword, NewPassword: "ein ganz anderes Wort",
			})
			return err
		},
		"a stolen refresh token came back": func(p *process, ctx context.Context, of *identityv1.TokenSet) error {
			token := of.GetRefreshToken()
			for range 2 {
				fresh, err := p.auth().RefreshToken(context.Background(), &identityv1.RefreshTokenRequest{RefreshToken: token})
				if err != nil {
					return err
				}
				token = fresh.GetRefreshToken()
			}
			_, err := p.auth().RefreshToken(context.Background(), &identityv1.RefreshTokenRequest{RefreshToken: of.GetRefreshToken()})
			wantError(p.t, err, errs.Unauthenticated, "REFRESH_TOKEN_INVALID")
			return nil
		},
		"too many logins": func(p *process, _ context.Context, of *identityv1.TokenSet) error {
			for range 20 {
				p.again(of)
			}
			return nil
		},
	}
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			_, tokens := p.customer(ctx, &identityv1.Customer{DisplayName: "Wei"})
			if err := p.me(tokens); err != nil {
				t.Fatal(err)
			}
			if err := end(p, ctx, tokens); err != nil {
				t.Fatal(err)
			}
			wantError(t, p.me(tokens), errs.Unauthenticated, "SESSION_ENDED")
			if name == "password changed in another session" || name == "password reset" {
				return
			}
			if err := p.me(p.again(tokens)); err != nil {
				t.Errorf("a new session is refused: %v", err)
			}
		})
	}
}

// again logs the account of tokens in once more.
func (p *process) again(of *identityv1.TokenSet) *identityv1.TokenSet {
	p.t.Helper()
	tokens, err := p.auth().Login(context.Background(), &identityv1.LoginRequest{
		Organization: org, Identifier: of.GetAccount(), Password: goodPassword,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return tokens
}

func TestStanding_pendingWhilePermissionIsAwayThenTold(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c, tokens := p.customer(ctx, &identityv1.Customer{DisplayName: "Wei"})
		other, _ := p.customer(ctx, &identityv1.Customer{DisplayName: "Mei"})
		p.permission.set(true)
		req := &identityv1.DisableCustomerRequest{Name: c.GetName(), RequestId: "r1"}
		_, err := p.customers().DisableCustomer(ctx, req)
		wantError(t, err, errs.Unavailable, "SUSPENSION_PENDING")
		got, err := p.customers().GetCustomer(ctx, &identityv1.GetCustomerRequest{Name: c.GetName()})
		if err != nil || got.GetState() != identityv1.AccountState_ACCOUNT_STATE_SUSPENDED {
			t.Fatalf("the change is not made: %v, %v", got.GetState(), err)
		}
		_, err = p.customers().DisableCustomer(ctx, &identityv1.DisableCustomerRequest{Name: other.GetName()})
		wantError(t, err, errs.Unavailable, "SUSPENSION_PENDING")
		p.permission.set(false)
		if _, err := p.customers().DisableCustomer(ctx, req); err != nil {
			t.Errorf("the same request again: %v", err)
		}
		wantError(t, p.me(tokens), errs.Unauthenticated, "ACCOUNT_SUSPENDED")
		// Of the other nobody asks again.
		p.until(func() bool { return p.permission.word(other.GetName()) == "SUSPENDED" })
	})
}

// TestStanding_isToldAfterARestart: what a crash leaves between the change and
// its delivery is told when the service is back.
func TestStanding_isToldAfterARestart(t *testing.T) {
	h := newHost(t, "bolt")
	p := h.start(config())
	ctx := p.asAdmin()
	c, tokens := p.customer(ctx, &identityv1.Customer{DisplayName: "Wei"})
	p.permission.set(true)
	_, err := p.customers().DeleteCustomer(ctx, &identityv1.DeleteCustomerRequest{Name: c.GetName()})
	wantError(t, err, errs.Unavailable, "SUSPENSION_PENDING")
	p.close()
	again := h.start(config())
	again.until(func() bool { return again.permission.word(c.GetName()) == "DELETED" })
	again.until(func() bool {
		again.permission.mu.Lock()
		defer again.permission.mu.Unlock()
		return again.permission.ended[tokens.GetSession()]
	})
}

// TestToken_endsWithItsSession: an access token does not outlive the limits of
// its session.
func TestToken_endsWithItsSession(t *testing.T) {
	cfg := config()
	cfg.Sessions.Absolute = time.Minute
	p := newHost(t, "bolt").start(cfg)
	ctx := p.asAdmin()
	_, tokens := p.customer(ctx, &identityv1.Customer{DisplayName: "Wei"})
	if got := tokens.GetExpiresIn(); got != 60 {
		t.Errorf("the token lives for %d s, its session for 60", got)
	}
}
