package identity_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/structpb"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// TestPasskey_registersAndLogsIn is the way of a passkey from end to end: nothing is
// typed, and the session says how it was proven.
func TestPasskey_registersAndLogsIn(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c, tokens := p.customer(ctx, &identityv1.Customer{DisplayName: "Ada", Email: "ada@example.com"})
		other, err := login(p, c.GetName(), goodPassword)
		if err != nil {
			t.Fatal(err)
		}
		b, done := p.register(with(tokens))
		f := done.GetFactor()
		if f.GetType() != identityv1.FactorType_FACTOR_TYPE_PASSKEY || f.GetDisplayName() != "the laptop" || f.GetPasskey().GetAaguid() == "" || f.GetEtag() == "" {
			t.Errorf("the factor is %v", f)
		}
		if len(done.GetRecoveryCodes()) != 10 {
			t.Errorf("there are %d recovery codes", len(done.GetRecoveryCodes()))
		}
		_, err = p.auth().WhoAmI(with(other), &identityv1.WhoAmIRequest{})
		wantErrorOf(t, "a session of before", err, "SESSION_ENDED")
		p.clock.advance(time.Minute)
		b.key.Counter = 1
		in, err := p.byPasskey(b.get(p.request()))
		if err != nil || in.GetAccount() != c.GetName() || in.GetRefreshToken() == "" {
			t.Fatalf("the passkey gives %v, %v", in, err)
		}
		me, err := p.auth().WhoAmI(with(in), &identityv1.WhoAmIRequest{})
		if err != nil || strings.Join(me.GetFactors(), " ") != "pop user mfa" || p.clock.now().Sub(me.GetAuthTime().AsTime()).Abs() > time.Second {
			t.Errorf("the token says %v, %v", me, err)
		}
		list, err := p.factors().ListFactors(with(in), &identityv1.ListFactorsRequest{Parent: c.GetName()})
		if err != nil || len(list.GetFactors()) != 1 || !list.GetFactors()[0].GetLastUsedTime().AsTime().After(f.GetCreateTime().AsTime()) {
			t.Errorf("factors are %v, %v", list, err)
		}
		if got := strings.Join(about(p.events(ctx), f.GetName()), " "); got != "factor.created" {
			t.Errorf("events are %s", got)
		}
		// A member of staff has them too.
		_, refreshed := p.register(ctx)
		if refreshed.GetFactor() == nil {
			t.Error("the administrator has no passkey")
		}
	})
}

// TestPasskey_answersTheChallengeOfAPassword: from the first passkey on the password
// alone opens nothing.
func TestPasskey_answersTheChallengeOfAPassword(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c, tokens := p.customer(p.asAdmin(), &identityv1.Customer{DisplayName: "Ada"})
		b, done := p.register(with(tokens))
		asked, err := login(p, c.GetName(), goodPassword)
		if err != nil || asked.GetAccessToken() != "" {
			t.Fatalf("the password gives %v, %v", asked, err)
		}
		want := []identityv1.FactorType{identityv1.FactorType_FACTOR_TYPE_PASSKEY, identityv1.FactorType_FACTOR_TYPE_RECOVERY_CODE}
		if got := asked.GetChallenge().GetFactorTypes(); !slices.Equal(got, want) {
			t.Errorf("it asks for %v", got)
		}
		allowed := asked.GetChallenge().GetPasskeyOptions().GetFields()["allowCredentials"].GetListValue().GetValues()
		if len(allowed) != 1 {
			t.Fatalf("it allows %v", allowed)
		}
		answer := func(challenge string, credential *structpb.Struct) (*identityv1.TokenSet, error) {
			return p.answer(&identityv1.ChallengeAnswer{Challenge: challenge, Proof: &identityv1.ChallengeAnswer_Passkey{Passkey: credential}})
		}
		challenge := asked.GetChallenge().GetChallenge()
		again, err := login(p, c.GetName(), goodPassword)
		if err != nil {
			t.Fatal(err)
		}
		stranger := p.newBrowser()
		stranger.auth.Options.UserHandle = b.auth.Options.UserHandle
		for name, credential := range map[string]*structpb.Struct{
			"of another challenge": b.get(again.GetChallenge().GetPasskeyOptions()), "of a login by passkey": b.get(p.request()),
			"another's": stranger.get(asked.GetChallenge().GetPasskeyOptions()), "nothing": {},
		} {
			_, err := answer(challenge, credential)
			wantErrorOf(t, name, err, "CODE_INVALID")
		}
		b.key.Counter = 1
		right := b.get(asked.GetChallenge().GetPasskeyOptions())
		in, err := answer(challenge, right)
		if err != nil {
			t.Fatal(err)
		}
		if me, err := p.auth().WhoAmI(with(in), &identityv1.WhoAmIRequest{}); err != nil || strings.Join(me.GetFactors(), " ") != "pwd pop user mfa" {
			t.Errorf("the token says %v, %v", me.GetFactors(), err)
		}
		_, err = answer(challenge, right)
		wantErrorOf(t, "again", err, "CHALLENGE_INVALID")
		if _, err := p.answer(recovery(again.GetChallenge().GetChallenge(), done.GetRecoveryCodes()[0])); err != nil {
			t.Errorf("a recovery code: %v", err)
		}
	})
}

// TestPasskeyLogin_refusesAllAlike: whatever is wrong with an answer, nobody learns
// what.
func TestPasskeyLogin_refusesAllAlike(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		_, tokens := p.customer(ctx, &identityv1.Customer{DisplayName: "Ada"})
		b, _ := p.register(with(tokens))
		eve, evesTokens := p.customer(ctx, &identityv1.Customer{DisplayName: "Eve"})
		e, _ := p.register(with(evesTokens))
		used := b.get(p.request())
		if _, err := p.byPasskey(used); err != nil {
			t.Fatal(err)
		}
		with := func(change func(b *browser)) *structpb.Struct {
			odd := *b
			change(&odd)
			return odd.get(p.request())
		}
		// One that Eve signed, in whose name it is not.
		stolen, registering := *e, *b
		stolen.auth.Options.UserHandle = b.auth.Options.UserHandle
		late := b.get(p.request())
		p.clock.advance(5*time.Minute + time.Second)
		if _, err := p.customers().DisableCustomer(ctx, &identityv1.DisableCustomerRequest{Name: eve.GetName()}); err != nil {
			t.Fatal(err)
		}
		_, nobody := p.byPasskey(p.newBrowser().get(p.request()))
		for name, credential := range map[string]*structpb.Struct{
			"one that came before": used, "one that is late": late, "a suspended account's": e.get(p.request()),
			"a wrong signature":                     altered(t, b.get(p.request()), "signature"),
			"of another page":                       with(func(b *browser) { b.party.Origin = "https://guildhall.example.evil.test" }),
			"of another domain":                     with(func(b *browser) { b.party.ID = "evil.test" }),
			"of nobody in particular":               with(func(b *browser) { b.auth.Options.UserHandle = nil }),
			"of another's name":                     with(func(b *browser) { b.auth.Options.UserHandle = e.auth.Options.UserHandle }),
			"signed by another":                     with(func(b *browser) { b.key.Key = e.key.Key }),
			"a present person who was not verified": with(func(b *browser) { b.auth.Options.UserNotVerified = true }),
			"nobody there":                          with(func(b *browser) { b.auth.Options.UserNotPresent = true }),
			"a key that can be copied now":          with(func(b *browser) { b.auth.Options.BackupEligible = true }),
			"Eve's in Ada's name":                   stolen.get(p.request()),
			"of a registration":                     registering.create(p.creation(p.asAdminAgain())),
			"too long":                              parse(t, `{"id": "`+strings.Repeat("x", 20_000)+`"}`),
			"nothing":                               parse(t, `{"x": 1}`),
		} {
			_, err := p.byPasskey(credential)
			wantErrorOf(t, name, err, "LOGIN_FAILED")
			if !errs.Is(err, errs.Unauthenticated) || err.Error() != nobody.Error() {
				t.Errorf("%s: %v, and an unknown passkey: %v", name, err, nobody)
			}
		}
		if _, err := p.byPasskey(b.get(p.request())); err != nil {
			t.Errorf("the right one behind them: %v", err)
		}
	})
}

// TestPasskey_aCopyIsRefusedAndTold holds WebAuthn Level 3 section 7.2, step 22, for
// who takes a copy seriously; one that never counts is no copy.
func TestPasskey_aCopyIsRefusedAndTold(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c, tokens := p.customer(ctx, &identityv1.Customer{DisplayName: "Ada"})
		b, done := p.register(with(tokens))
		for _, count := range []uint32{0, 0, 7} {
			b.key.Counter = count
			if _, err := p.byPasskey(b.get(p.request())); err != nil {
				t.Fatalf("at %d: %v", count, err)
			}
		}
		for _, count := range []uint32{7, 6, 0} {
			b.key.Counter = count
			_, err := p.byPasskey(b.get(p.request()))
			wantErrorOf(t, "counted backwards", err, "LOGIN_FAILED")
		}
		asked, err := login(p, c.GetName(), goodPassword)
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.answer(&identityv1.ChallengeAnswer{
			Challenge: asked.GetChallenge().GetChallenge(), Proof: &identityv1.ChallengeAnswer_Passkey{Passkey: b.get(asked.GetChallenge().GetPasskeyOptions())},
		})
		wantErrorOf(t, "as a second factor", err, "CODE_INVALID")
		b.key.Counter = 8
		if _, err := p.byPasskey(b.get(p.request())); err != nil {
			t.Errorf("its owner's goes on counting: %v", err)
		}
		if got := about(p.events(ctx), done.GetFactor().GetName()); strings.Count(strings.Join(got, " "), "factor.copied") != 4 {
			t.Errorf("events are %v", got)
		}
	})
}

// TestPasskeyLogin_ofAnOrganization: who is let in is of it.
func TestPasskeyLogin_ofAnOrganization(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	chief, _ := other(t, p, ctx)
	theirs, _ := p.register(chief)
	in := func(organization string) error {
		_, err := p.passkeys().CompletePasskeyLogin(context.Background(), &identityv1.CompletePasskeyLoginRequest{
			Credential: theirs.get(p.request()), Organization: organization,
		})
		return err
	}
	wantErrorOf(t, "another's", in(org), "LOGIN_FAILED")
	if err := in("organizations/other"); err != nil {
		t.Error(err)
	}
}

// TestAuthorize_byPasskey: an app is let in with nothing typed, by what was asked for
// with its own page and in its organisation alone.
func TestAuthorize_byPasskey(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		shop, rival := p.app(ctx, "shop", public).GetName(), p.app(ctx, "rival", public).GetName()
		c, tokens := p.customer(ctx, &identityv1.Customer{DisplayName: "Ada"})
		b, _ := p.register(with(tokens))
		prompt := func(app string) *structpb.Struct {
			t.Helper()
			resp, err := p.oauth().PrepareAuthorization(context.Background(), &identityv1.PrepareAuthorizationRequest{Request: asking(app, "openid")})
			if err != nil || resp.GetPasskeyOptions() == nil {
				t.Fatalf("the page of %s is told %v, %v", app, resp, err)
			}
			return resp.GetPasskeyOptions()
		}
		enter := func(app string, credential *structpb.Struct) (*identityv1.AuthorizeResponse, error) {
			return p.oauth().Authorize(context.Background(), &identityv1.AuthorizeRequest{Request: asking(app, "openid"), Passkey: credential})
		}
		signed := func(options *structpb.Struct) *structpb.Struct {
			b.key.Counter++
			return b.get(options)
		}
		right := signed(prompt(shop))
		resp, err := enter(shop, right)
		if err != nil || resp.GetCode() == "" || resp.GetChallenge() != nil {
			t.Fatalf("the passkey gives %v, %v", resp, err)
		}
		token, err := p.exchange(&identityv1.ClientAuthentication{ClientId: shop}, resp.GetCode())
		if err != nil {
			t.Fatal(err)
		}
		if me, err := p.oauth().GetUserInfo(context.Background(), &identityv1.GetUserInfoRequest{AccessToken: token.GetAccessToken()}); err != nil || me.GetSub() != c.GetName() {
			t.Errorf("the app learns %v, %v", me, err)
		}
		late := signed(prompt(shop))
		for name, try := range map[string]func() error{
			"again":                   func() error { return second(enter(shop, right)) },
			"asked by another app":    func() error { return second(enter(shop, signed(prompt(rival)))) },
			"asked by the suite":      func() error { return second(enter(shop, signed(p.request()))) },
			"asked by the app, there": func() error { return second(p.byPasskey(signed(prompt(shop)))) },
			"no credential":           func() error { return second(enter(shop, &structpb.Struct{})) },
		} {
			wantErrorOf(t, name, try(), "LOGIN_FAILED")
		}
		p.clock.advance(5*time.Minute + time.Second)
		wantErrorOf(t, "too late", second(enter(shop, late)), "LOGIN_FAILED")
		wantErrorOf(t, "of an app that is none", second(enter(org+"/oauthClients/none", signed(p.request()))), "INVALID_CLIENT")
	})
}
