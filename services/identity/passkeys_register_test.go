package identity_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/structpb"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

func TestPasskeyRegistration_takesOnlyWhatItAskedFor(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		ada, tokens := p.customer(ctx, &identityv1.Customer{DisplayName: "Ada"})
		_, eves := p.customer(ctx, &identityv1.Customer{DisplayName: "Eve"})
		second, err := login(p, ada.GetName(), goodPassword)
		if err != nil {
			t.Fatal(err)
		}
		complete := func(in *identityv1.TokenSet, credential *structpb.Struct) error {
			_, err := p.passkeys().CompletePasskeyRegistration(with(in), &identityv1.CompletePasskeyRegistrationRequest{Credential: credential})
			return err
		}
		made := func(change func(b *browser)) *structpb.Struct {
			b := p.newBrowser()
			change(b)
			return b.create(p.creation(with(tokens)))
		}
		late := made(func(*browser) {})
		p.clock.advance(10*time.Minute + time.Second)
		for _, each := range []**identityv1.TokenSet{&tokens, &eves, &second} {
			if *each, err = p.auth().RefreshToken(context.Background(), &identityv1.RefreshTokenRequest{RefreshToken: (*each).GetRefreshToken()}); err != nil {
				t.Fatal(err)
			}
		}
		for name, credential := range map[string]*structpb.Struct{
			"late":                         late,
			"of another page":              made(func(b *browser) { b.party.Origin = "https://guildhall.example.evil.test" }),
			"of another domain":            made(func(b *browser) { b.party.ID = "evil.test" }),
			"of whom nobody verified":      made(func(b *browser) { b.auth.Options.UserNotVerified = true }),
			"of another account":           p.newBrowser().create(p.creation(with(eves))),
			"of another session":           p.newBrowser().create(p.creation(with(second))),
			"of a login":                   p.newBrowser().get(p.request()),
			"altered":                      altered(t, made(func(*browser) {}), "attestationObject"),
			"that answers what nobody ask": altered(t, made(func(*browser) {}), "clientDataJSON"),
			"nothing":                      {},
		} {
			wantErrorOf(t, name, complete(tokens, credential), "PASSKEY_INVALID")
		}
		right := made(func(*browser) {})
		if err := complete(tokens, right); err != nil {
			t.Fatal(err)
		}
		wantErrorOf(t, "again", complete(tokens, right), "PASSKEY_INVALID")
	})
}

// TestPasskeyRegistration_asksForAPersonWhoIsVerified holds what browsers are told.
func TestPasskeyRegistration_asksForAPersonWhoIsVerified(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	_, tokens := p.customer(p.asAdmin(), &identityv1.Customer{DisplayName: "Ada", Email: "ada@example.com"})
	first := p.creation(with(tokens)).AsMap()
	p.register(with(tokens))
	options := p.creation(with(tokens)).AsMap()
	selection, _ := options["authenticatorSelection"].(map[string]any)
	if selection["userVerification"] != "required" || selection["residentKey"] != "required" || options["attestation"] != "none" {
		t.Errorf("it asks for %v", options)
	}
	user, _ := options["user"].(map[string]any)
	before, _ := first["user"].(map[string]any)
	if user["name"] != "ada@example.com" || user["displayName"] != "Ada" || user["id"] != before["id"] {
		t.Errorf("the user is %v, and was %v", user, before)
	}
	if excluded, _ := options["excludeCredentials"].([]any); len(excluded) != 1 {
		t.Errorf("it excludes %v", options["excludeCredentials"])
	}
	if options["challenge"] == first["challenge"] {
		t.Error("two challenges are one")
	}
}

func TestPasskeyRegistration_isBounded(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	_, tokens := p.customer(ctx, &identityv1.Customer{DisplayName: "Ada"})
	eve, evesTokens := p.customer(ctx, &identityv1.Customer{DisplayName: "Eve"})
	b, _ := p.register(with(tokens))
	_, err := p.registerWith(with(evesTokens), b)
	wantError(t, err, errs.Exists, "PASSKEY_EXISTS")
	last := p.newBrowser().create(p.creation(with(tokens)))
	for range 9 {
		p.register(with(tokens))
	}
	_, err = p.passkeys().BeginPasskeyRegistration(with(tokens), &identityv1.BeginPasskeyRegistrationRequest{})
	wantError(t, err, errs.Exhausted, "PASSKEY_LIMIT")
	_, err = p.passkeys().CompletePasskeyRegistration(with(tokens), &identityv1.CompletePasskeyRegistrationRequest{Credential: last})
	wantError(t, err, errs.Exhausted, "PASSKEY_LIMIT")
	// Authenticator apps are counted by themselves.
	p.enroll(with(tokens))
	p.enroll(with(tokens))
	p.clock.advance(20 * time.Minute)
	stale, err := login(p, eve.GetName(), goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	p.clock.advance(20 * time.Minute)
	if stale, err = p.auth().RefreshToken(context.Background(), &identityv1.RefreshTokenRequest{RefreshToken: stale.GetRefreshToken()}); err != nil {
		t.Fatal(err)
	}
	_, err = p.passkeys().BeginPasskeyRegistration(with(stale), &identityv1.BeginPasskeyRegistrationRequest{})
	wantErrorOf(t, "a session of long ago", err, "STEP_UP_REQUIRED")
}

// TestPasskey_goesAsOtherFactorsDo: by its owner, by an administrator, and with the
// account.
func TestPasskey_goesAsOtherFactorsDo(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		ada, tokens := p.customer(ctx, &identityv1.Customer{DisplayName: "Ada"})
		gone := func(name string, b *browser) {
			t.Helper()
			_, err := p.byPasskey(b.get(p.request()))
			wantErrorOf(t, name, err, "LOGIN_FAILED")
		}
		b, done := p.register(with(tokens))
		name := done.GetFactor().GetName()
		renamed, err := p.factors().UpdateFactor(with(tokens), &identityv1.UpdateFactorRequest{
			Factor: &identityv1.Factor{Name: name, DisplayName: "the old laptop"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"display_name"}},
		})
		if err != nil || renamed.GetDisplayName() != "the old laptop" || renamed.GetPasskey().GetAaguid() == "" {
			t.Errorf("renamed: %v, %v", renamed, err)
		}
		if was, err := p.factors().DeleteFactor(with(tokens), &identityv1.DeleteFactorRequest{Name: name}); err != nil || was.GetPasskey() == nil {
			t.Fatalf("deleted: %v, %v", was, err)
		}
		gone("removed by its owner", b)
		if in, err := login(p, ada.GetName(), goodPassword); err != nil || in.GetAccessToken() == "" {
			t.Errorf("the password alone gives %v, %v", in, err)
		}
		// The same again, which is free now.
		if _, err := p.registerWith(with(tokens), b); err != nil {
			t.Fatal(err)
		}
		if resp, err := p.factors().ResetFactors(ctx, &identityv1.ResetFactorsRequest{Account: ada.GetName()}); err != nil || resp.GetRemovedCount() != 1 {
			t.Fatalf("reset: %v, %v", resp, err)
		}
		gone("reset", b)
		in, err := login(p, ada.GetName(), goodPassword)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.registerWith(with(in), b); err != nil {
			t.Fatal(err)
		}
		if _, err := p.customers().DeleteCustomer(ctx, &identityv1.DeleteCustomerRequest{Name: ada.GetName()}); err != nil {
			t.Fatal(err)
		}
		gone("of a deleted account", b)
	})
}

// TestPasskeyLogin_whoTriesTooOftenWaits: the network, and no account.
func TestPasskeyLogin_whoTriesTooOftenWaits(t *testing.T) {
	cfg := config()
	cfg.Throttle.PerNetwork = 10
	p := newHost(t, "bolt").start(cfg)
	_, tokens := p.customer(p.asAdmin(), &identityv1.Customer{DisplayName: "Ada"})
	b, _ := p.register(with(tokens))
	from := identityv1.NewPasskeyServiceClient(p.connFrom("192.0.2.1"))
	try := func(credential *structpb.Struct) error {
		_, err := from.CompletePasskeyLogin(context.Background(), &identityv1.CompletePasskeyLoginRequest{Credential: credential})
		return err
	}
	for range 20 { // those that are right count for nothing
		if err := try(b.get(p.request())); err != nil {
			t.Fatal(err)
		}
	}
	for range 11 {
		wantErrorOf(t, "wrong", try(altered(t, b.get(p.request()), "signature")), "LOGIN_FAILED")
	}
	wantThrottled(t, try(b.get(p.request())))
	if _, err := p.byPasskey(b.get(p.request())); err != nil {
		t.Errorf("from elsewhere: %v", err)
	}
}

// TestPasskeys_whereTheSuiteHasNoDomain: they are off, and who had one is not let in
// by the password alone.
func TestPasskeys_whereTheSuiteHasNoDomain(t *testing.T) {
	h := newHost(t, "bolt")
	p := h.start(config())
	ada, tokens := p.customer(p.asAdmin(), &identityv1.Customer{DisplayName: "Ada"})
	_, done := p.register(with(tokens))
	p.close()
	h.issuer = "http://127.0.0.1:8080"
	p = h.start(config())
	_, err := p.passkeys().BeginPasskeyLogin(context.Background(), &identityv1.BeginPasskeyLoginRequest{})
	wantError(t, err, errs.Precondition, "PASSKEYS_OFF")
	_, err = p.byPasskey(&structpb.Struct{})
	wantError(t, err, errs.Precondition, "PASSKEYS_OFF")
	in, err := p.answer(recovery(p.challenged(ada.GetName(), goodPassword), done.GetRecoveryCodes()[0]))
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.passkeys().BeginPasskeyRegistration(with(in), &identityv1.BeginPasskeyRegistrationRequest{})
	wantError(t, err, errs.Precondition, "PASSKEYS_OFF")
}
