package identity_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/structpb"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

func withPassword(password string) *identityv1.ProveSessionRequest {
	return &identityv1.ProveSessionRequest{Proof: &identityv1.ProveSessionRequest_Password{Password: password}}
}

func withCode(code string) *identityv1.ProveSessionRequest {
	return &identityv1.ProveSessionRequest{Proof: &identityv1.ProveSessionRequest_TotpCode{TotpCode: code}}
}

func withRecovery(code string) *identityv1.ProveSessionRequest {
	return &identityv1.ProveSessionRequest{Proof: &identityv1.ProveSessionRequest_RecoveryCode{RecoveryCode: code}}
}

func withPasskey(credential *structpb.Struct) *identityv1.ProveSessionRequest {
	return &identityv1.ProveSessionRequest{Proof: &identityv1.ProveSessionRequest_Passkey{Passkey: credential}}
}

// later returns the tokens of a session that was proven twenty minutes ago.
func (p *process) later(tokens *identityv1.TokenSet) *identityv1.TokenSet {
	p.t.Helper()
	p.clock.advance(20 * time.Minute)
	return p.refreshed(tokens)
}

func (p *process) refreshed(tokens *identityv1.TokenSet) *identityv1.TokenSet {
	p.t.Helper()
	tokens, err := p.auth().RefreshToken(context.Background(), &identityv1.RefreshTokenRequest{RefreshToken: tokens.GetRefreshToken()})
	if err != nil {
		p.t.Fatal(err)
	}
	return tokens
}

// prove proves a session again, and returns the token.
func (p *process) prove(tokens *identityv1.TokenSet, req *identityv1.ProveSessionRequest) (*identityv1.TokenSet, error) {
	resp, err := p.auth().ProveSession(with(tokens), req)
	return &identityv1.TokenSet{AccessToken: resp.GetAccessToken(), RefreshToken: tokens.GetRefreshToken()}, err
}

// TestProveSession_byThePassword: who has no factor goes on with what was refused,
// and stays logged in as before.
func TestProveSession_byThePassword(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		_, tokens := p.customer(ctx, &identityv1.Customer{DisplayName: "Ada"})
		stale := p.later(tokens)
		sensitive := func(in *identityv1.TokenSet) error {
			_, err := p.factors().EnrollTotp(with(in), &identityv1.EnrollTotpRequest{})
			return err
		}
		wantErrorOf(t, "stale", sensitive(stale), "STEP_UP_REQUIRED")
		begun, err := p.auth().BeginSessionProof(with(stale), &identityv1.BeginSessionProofRequest{})
		if err != nil || len(begun.GetFactorTypes()) != 0 || begun.GetPasskeyOptions() != nil {
			t.Errorf("it takes %v, %v", begun, err)
		}
		_, err = p.prove(stale, withPassword("not the password"))
		wantError(t, err, errs.Unauthenticated, "LOGIN_FAILED")
		_, err = p.prove(stale, withCode("123456"))
		wantError(t, err, errs.Unauthenticated, "CODE_INVALID")
		wantErrorOf(t, "still stale", sensitive(stale), "STEP_UP_REQUIRED")
		proven, err := p.prove(stale, withPassword(goodPassword))
		if err != nil {
			t.Fatal(err)
		}
		if err := sensitive(proven); err != nil {
			t.Errorf("proven: %v", err)
		}
		if err := sensitive(p.refreshed(proven)); err != nil {
			t.Errorf("the next token: %v", err)
		}
		me, err := p.auth().WhoAmI(with(proven), &identityv1.WhoAmIRequest{})
		if err != nil || strings.Join(me.GetFactors(), " ") != "pwd" || p.clock.now().Sub(me.GetAuthTime().AsTime()).Abs() > time.Second {
			t.Errorf("the token says %v, %v", me, err)
		}
	})
}

// TestProveSession_byAFactor: a stolen session and a stolen password are not enough,
// and no proof counts twice.
func TestProveSession_byAFactor(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		ada, tokens, a, codes := p.careful(ctx, "ada@example.com")
		b, _ := p.register(with(tokens))
		stale := p.later(tokens)
		change := func(in *identityv1.TokenSet) error {
			_, err := p.auth().ChangePassword(with(in), &identityv1.ChangePasswordRequest{OldPassword: goodPassword, NewPassword: goodPassword + " und immer"})
			return err
		}
		wantErrorOf(t, "the password alone", change(stale), "STEP_UP_REQUIRED")
		_, err := p.prove(stale, withPassword(goodPassword))
		wantError(t, err, errs.Precondition, "FACTOR_REQUIRED")
		begun := func(in *identityv1.TokenSet) *structpb.Struct {
			resp, err := p.auth().BeginSessionProof(with(in), &identityv1.BeginSessionProofRequest{})
			if err != nil || len(resp.GetFactorTypes()) != 3 {
				t.Fatalf("it takes %v, %v", resp, err)
			}
			return resp.GetPasskeyOptions()
		}
		b.key.Counter = 1
		other, err := p.byPasskey(b.get(p.request()))
		if err != nil {
			t.Fatal(err)
		}
		used := b.get(begun(stale))
		b.key.Counter = 2
		right := b.get(begun(stale))
		code := a.code(0)
		for name, req := range map[string]*identityv1.ProveSessionRequest{"passkey": withPasskey(right), "code": withCode(code), "recovery code": withRecovery(codes[0])} {
			if _, err := p.prove(stale, req); err != nil {
				t.Errorf("the right %s: %v", name, err)
			}
			_, err := p.prove(stale, req)
			wantErrorOf(t, "the same "+name+" again", err, "CODE_INVALID")
		}
		b.key.Counter = 3
		for name, req := range map[string]*identityv1.ProveSessionRequest{
			"counted back": withPasskey(used), "of a login": withPasskey(b.get(p.request())),
		} {
			_, err := p.prove(stale, req)
			wantErrorOf(t, name, err, "CODE_INVALID")
			if _, err := p.throttles().ClearLoginThrottle(p.asAdminAgain(), &identityv1.ClearLoginThrottleRequest{Name: ada.GetName() + "/loginThrottle"}); err != nil {
				t.Fatal(err)
			}
		}
		_, err = p.prove(stale, withPasskey(b.get(begun(other))))
		wantErrorOf(t, "of another session", err, "CODE_INVALID")
		if err := change(p.refreshed(stale)); err != nil {
			t.Errorf("proven: %v", err)
		}
		if got := about(p.events(p.asAdminAgain()), ada.GetName()); strings.Count(strings.Join(got, " "), "recovery_code.used") != 1 {
			t.Errorf("events are %v", got)
		}
	})
}

// TestProveSession_whoGuessesWaits: in the session in which he does, and nobody
// elsewhere.
func TestProveSession_whoGuessesWaits(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	ada, tokens, a, _ := p.careful(ctx, "ada@example.com")
	eve, eves := p.customer(ctx, &identityv1.Customer{DisplayName: "Eve"})
	waits := func(in *identityv1.TokenSet, wrong *identityv1.ProveSessionRequest) {
		t.Helper()
		for range 6 {
			if _, err := p.prove(in, wrong); !errs.Is(err, errs.Unauthenticated) {
				t.Fatalf("wrong: %v", err)
			}
		}
		_, err := p.prove(in, wrong)
		wantThrottled(t, err)
	}
	waits(tokens, withCode(a.wrong()))
	waits(eves, withPassword("not the password"))
	p.enter(t, ada.GetName(), goodPassword, a)
	if _, err := login(p, eve.GetName(), goodPassword); err != nil {
		t.Errorf("elsewhere: %v", err)
	}
}

// TestStepUp_keysAndAppsWantAFreshProof: whoever makes a key can be the program.
func TestStepUp_keysAndAppsWantAFreshProof(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	app := p.app(ctx, "shop", confidential)
	admins, err := login(p, admin, goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	key, err := p.keys().CreateClientKey(with(admins), &identityv1.CreateClientKeyRequest{Parent: app.GetName(), ClientKey: &identityv1.ClientKey{}})
	if err != nil {
		t.Fatal(err)
	}
	calls := func(in *identityv1.TokenSet) map[string]error {
		_, create := p.keys().CreateClientKey(with(in), &identityv1.CreateClientKeyRequest{Parent: app.GetName(), ClientKey: &identityv1.ClientKey{}})
		_, rotate := p.keys().RotateClientKey(with(in), &identityv1.RotateClientKeyRequest{Name: key.GetName()})
		_, update := p.apps().UpdateOAuthClient(with(in), &identityv1.UpdateOAuthClientRequest{OauthClient: &identityv1.OAuthClient{Name: app.GetName(), DisplayName: "Shop"}})
		return map[string]error{"create": create, "rotate": rotate, "app": update}
	}
	stale := p.later(admins)
	for call, err := range calls(stale) {
		wantErrorOf(t, call, err, "STEP_UP_REQUIRED")
	}
	proven, err := p.prove(stale, withPassword(goodPassword))
	if err != nil {
		t.Fatal(err)
	}
	for call, err := range calls(proven) {
		if err != nil {
			t.Errorf("%s, proven: %v", call, err)
		}
	}
}
