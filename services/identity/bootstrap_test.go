package identity_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/testkit"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity"
)

func TestBootstrap_showsThePasswordOnce(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			h := newHost(t, engine)
			first := h.start(config())
			password := first.password()
			if password == "" || strings.Count(first.console.String(), password) != 1 {
				t.Fatalf("the console shows %q, want one password once", first.console)
			}
			first.close()
			if strings.Contains(first.log.String(), password) {
				t.Error("the password stands in the log")
			}
			second := h.start(config())
			if second.console.Len() != 0 {
				t.Errorf("the second start shows %q", second.console)
			}
			_, err := second.auth().Login(context.Background(), &identityv1.LoginRequest{Organization: org, Identifier: admin, Password: password})
			wantError(t, err, errs.Precondition, "PASSWORD_CHANGE_REQUIRED")
			_, err = second.auth().Login(context.Background(), &identityv1.LoginRequest{
				Organization: org, Identifier: admin, Password: password, NewPassword: password,
			})
			wantError(t, err, errs.Invalid, "PASSWORD_BLOCKED")
			_, err = second.auth().Login(context.Background(), &identityv1.LoginRequest{
				Organization: org, Identifier: admin, Password: password, NewPassword: goodPassword,
			})
			if err != nil {
				t.Fatalf("login with a new password: %v", err)
			}
			_, err = second.auth().Login(context.Background(), &identityv1.LoginRequest{
				Organization: org, Identifier: admin, Password: password, NewPassword: goodPassword + "!",
			})
			wantError(t, err, errs.Unauthenticated, "LOGIN_FAILED")
		})
	}
}

func TestBootstrap_replicasStartingTogetherMakeOne(t *testing.T) {
	h := newHost(t, "postgres")
	const replicas = 4
	processes := make([]*process, replicas)
	var starting sync.WaitGroup
	for i := range processes {
		other := *h
		starting.Go(func() { processes[i] = other.start(config()) })
	}
	starting.Wait()
	shown := 0
	for _, p := range processes {
		if p.password() != "" {
			shown++
			p.asAdmin()
		}
	}
	if shown != 1 {
		t.Errorf("%d replicas show a password, want 1", shown)
	}
	keys := make(map[string]bool)
	for _, p := range processes {
		resp, err := p.auth().GetJwks(context.Background(), &identityv1.GetJwksRequest{})
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range resp.GetKeys() {
			keys[k.GetKid()] = true
		}
	}
	if len(keys) != 2 {
		t.Errorf("replicas publish %d keys, want the same 2", len(keys))
	}
}

func TestBootstrap_reissuesWhileUnused(t *testing.T) {
	h := newHost(t, "bolt")
	first := h.start(config())
	lost := first.password()
	first.close()
	second := h.start(reissuing())
	if second.password() == "" || second.password() == lost {
		t.Fatalf("reissue shows %q", second.console)
	}
	_, err := second.auth().Login(context.Background(), &identityv1.LoginRequest{Organization: org, Identifier: admin, Password: lost})
	wantError(t, err, errs.Unauthenticated, "LOGIN_FAILED")
	second.asAdmin()
}

// TestBootstrap_reissueIsTheWayBackIn locks the administrator out in each way
// there is, and lets it in again.
func TestBootstrap_reissueIsTheWayBackIn(t *testing.T) {
	for name, lock := range map[string]func(p *process, deputy context.Context) error{
		"the password is lost": func(*process, context.Context) error { return nil },
		"disabled": func(p *process, deputy context.Context) error {
			_, err := p.staff().DisableStaffMember(deputy, &identityv1.DisableStaffMemberRequest{Name: admin})
			return err
		},
		"deleted": func(p *process, deputy context.Context) error {
			_, err := p.staff().DeleteStaffMember(deputy, &identityv1.DeleteStaffMemberRequest{Name: admin})
			return err
		},
		"disabled and deleted": func(p *process, deputy context.Context) error {
			if _, err := p.staff().DisableStaffMember(deputy, &identityv1.DisableStaffMemberRequest{Name: admin}); err != nil {
				return err
			}
			_, err := p.staff().DeleteStaffMember(deputy, &identityv1.DeleteStaffMemberRequest{Name: admin})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, "bolt")
			first := h.start(config())
			chief := first.asAdmin()
			before, err := first.auth().Login(context.Background(), &identityv1.LoginRequest{Organization: org, Identifier: admin, Password: goodPassword})
			if err != nil {
				t.Fatal(err)
			}
			deputy := with(first.accept(chief, first.staffMember(chief, "deputy", &identityv1.StaffMember{DisplayName: "Deputy"}).GetName()))
			if err := lock(first, deputy); err != nil {
				t.Fatal(err)
			}
			first.close()
			second := h.start(reissuing())
			_, err = second.auth().RefreshToken(context.Background(), &identityv1.RefreshTokenRequest{RefreshToken: before.GetRefreshToken()})
			wantError(t, err, errs.Unauthenticated, "REFRESH_TOKEN_INVALID")
			_, err = second.auth().Login(context.Background(), &identityv1.LoginRequest{Organization: org, Identifier: admin, Password: goodPassword})
			wantError(t, err, errs.Unauthenticated, "LOGIN_FAILED")
			if _, err := second.auth().Login(context.Background(), &identityv1.LoginRequest{
				Organization: org, Identifier: admin, Password: second.password(), NewPassword: goodPassword + "!",
			}); err != nil {
				t.Errorf("login with the new one-time password: %v", err)
			}
		})
	}
}

// TestBootstrap_reissueAfterThePurge: the name is nobody else's, and the operator's
// again.
func TestBootstrap_reissueAfterThePurge(t *testing.T) {
	h := newHost(t, "bolt")
	p := h.start(config())
	chief := p.asAdmin()
	deputy := p.staffMember(chief, "deputy", &identityv1.StaffMember{DisplayName: "Deputy"}).GetName()
	asDeputy := with(p.accept(chief, deputy))
	if _, err := p.staff().DeleteStaffMember(asDeputy, &identityv1.DeleteStaffMemberRequest{Name: admin}); err != nil {
		t.Fatal(err)
	}
	p.close()
	h.clock.advance(31 * 24 * time.Hour)
	p = h.start(config())
	tokens, err := login(p, deputy, goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	p.until(func() bool {
		return errs.Is(second(p.staff().GetStaffMember(with(tokens), &identityv1.GetStaffMemberRequest{Name: admin})), errs.NotFound)
	})
	p.close()
	p = h.start(reissuing())
	if _, err := p.auth().Login(context.Background(), &identityv1.LoginRequest{
		Organization: org, Identifier: admin, Password: p.password(), NewPassword: goodPassword + "!",
	}); err != nil {
		t.Errorf("login with the one-time password: %v", err)
	}
}

// reissuing is the configuration of a start that lets the administrator in.
func reissuing() *identity.Config {
	cfg := config()
	cfg.Bootstrap.Reissue = true
	return cfg
}

func TestBootstrap_tellsItsEvents(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	events := p.events(p.asAdmin())
	created := &identityv1.OrganizationCreated{}
	for _, e := range events {
		if e.GetSubject() == org {
			if err := e.GetData().UnmarshalTo(created); err != nil {
				t.Fatal(err)
			}
		}
	}
	if created.GetAdministrator() != admin || !created.GetOperator() {
		t.Errorf("the organisation's event carries %v", created)
	}
	if got := strings.Join(about(events, admin), ", "); got != "account.state_changed PENDING, account.state_changed ACTIVE" {
		t.Errorf("events of the administrator: %s", got)
	}
}
