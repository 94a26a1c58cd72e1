package identity_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"guildhall.dev/pkg/b64"
	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

const shortPassword = "tRw9kLzQ"

// TestResetFactors_forWhomLostThePhone: the password opens the account again, no
// session is left, and the audit log says who did it.
func TestResetFactors_forWhomLostThePhone(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c, tokens, a, codes := p.careful(ctx, "ada@example.com")
		open := p.challenged(c.GetName(), goodPassword)
		req := &identityv1.ResetFactorsRequest{Account: c.GetName(), RequestId: "b1946ac9-2c1c-4c3a-9d6f-0d1f5ef3a002"}
		for range 2 { // the second is a retry
			if resp, err := p.factors().ResetFactors(ctx, req); err != nil || resp.GetRemovedCount() != 1 {
				t.Fatalf("reset: %v, %v", resp, err)
			}
		}
		_, err := p.auth().WhoAmI(with(tokens), &identityv1.WhoAmIRequest{})
		wantError(t, err, errs.Unauthenticated, "SESSION_ENDED")
		for name, answer := range map[string]*identityv1.ChallengeAnswer{"a code": totp(open, a.code(0)), "a recovery code": recovery(open, codes[0])} {
			_, err = p.answer(answer)
			wantErrorOf(t, name, err, "CHALLENGE_INVALID")
		}
		in, err := login(p, c.GetName(), goodPassword)
		if err != nil || in.GetAccessToken() == "" {
			t.Fatalf("the password alone gives %v, %v", in, err)
		}
		again, err := p.factors().ResetFactors(ctx, &identityv1.ResetFactorsRequest{Account: c.GetName()})
		if err != nil || again.GetRemovedCount() != 0 {
			t.Errorf("again: %v, %v", again, err)
		}
		if _, err := p.auth().WhoAmI(with(in), &identityv1.WhoAmIRequest{}); err != nil {
			t.Errorf("where nothing was removed no session ends: %v", err)
		}
	})
}

func TestResetFactors_isRefused(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	c, tokens, _, _ := p.careful(ctx, "ada@example.com")
	reset := func(ctx context.Context, account string) error {
		_, err := p.factors().ResetFactors(ctx, &identityv1.ResetFactorsRequest{Account: account})
		return err
	}
	wantError(t, reset(ctx, admin), errs.Precondition, "SELF_FORBIDDEN")
	wantError(t, reset(ctx, org), errs.Invalid, "RESOURCE_NAME_INVALID")
	wantError(t, reset(ctx, org+"/customers/nobody"), errs.NotFound, "CUSTOMER_NOT_FOUND")
	p.permission.set(false, c.GetName())
	wantError(t, reset(ctx, c.GetName()), errs.Denied, "TARGET_EXCEEDS_CALLER")
	p.permission.set(false)
	chief, _ := other(t, p, ctx)
	list, err := p.factors().ListFactors(with(tokens), &identityv1.ListFactorsRequest{Parent: c.GetName()})
	if err != nil {
		t.Fatal(err)
	}
	name := list.GetFactors()[0].GetName()
	for call, err := range map[string]error{
		"list":   second(p.factors().ListFactors(chief, &identityv1.ListFactorsRequest{Parent: c.GetName()})),
		"reset":  reset(chief, c.GetName()),
		"rename": second(p.factors().UpdateFactor(chief, &identityv1.UpdateFactorRequest{Factor: &identityv1.Factor{Name: name, DisplayName: "x"}})),
	} {
		if !errs.Is(err, errs.NotFound) {
			t.Errorf("%s in another organisation: %v", call, err)
		}
	}
	for _, by := range []context.Context{chief, ctx} {
		_, err = p.factors().DeleteFactor(by, &identityv1.DeleteFactorRequest{Name: name})
		wantError(t, err, errs.NotFound, "FACTOR_NOT_FOUND")
	}
	p.checker.forbid("identity.factors.reset")
	wantError(t, reset(ctx, c.GetName()), errs.Denied, "PERMISSION_DENIED")
	p.checker.forbid("identity.factors.list")
	_, err = p.factors().ListFactors(ctx, &identityv1.ListFactorsRequest{Parent: c.GetName()})
	wantError(t, err, errs.Denied, "PERMISSION_DENIED")
}

// TestRFC9470_aStolenSessionChangesNoFactor: what a login of long ago may do, it may
// not do to what proves the account.
func TestRFC9470_aStolenSessionChangesNoFactor(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	c, tokens, a, _ := p.careful(ctx, "ada@example.com")
	list, err := p.factors().ListFactors(with(tokens), &identityv1.ListFactorsRequest{Parent: c.GetName()})
	if err != nil {
		t.Fatal(err)
	}
	name := list.GetFactors()[0].GetName()
	p.clock.advance(20 * time.Minute)
	stale, err := p.auth().RefreshToken(context.Background(), &identityv1.RefreshTokenRequest{RefreshToken: tokens.GetRefreshToken()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.auth().WhoAmI(with(stale), &identityv1.WhoAmIRequest{}); err != nil {
		t.Fatal(err)
	}
	calls := func(ctx context.Context) map[string]error {
		_, enroll := p.factors().EnrollTotp(ctx, &identityv1.EnrollTotpRequest{})
		_, confirm := p.factors().ConfirmTotp(ctx, &identityv1.ConfirmTotpRequest{Code: a.code(0)})
		_, codes := p.factors().RegenerateRecoveryCodes(ctx, &identityv1.RegenerateRecoveryCodesRequest{})
		_, remove := p.factors().DeleteFactor(ctx, &identityv1.DeleteFactorRequest{Name: name})
		_, reset := p.factors().ResetFactors(ctx, &identityv1.ResetFactorsRequest{Account: admin})
		return map[string]error{"enroll": enroll, "confirm": confirm, "codes": codes, "delete": remove, "reset": reset}
	}
	for call, err := range calls(with(stale)) {
		wantErrorOf(t, call, err, "STEP_UP_REQUIRED")
	}
	app := p.app(p.asAdminAgain(), "shop", public)
	asked, err := p.oauth().Authorize(context.Background(), &identityv1.AuthorizeRequest{Request: asking(app.GetName(), "api"), Identifier: c.GetName(), Password: goodPassword})
	if err != nil {
		t.Fatal(err)
	}
	let, err := p.oauth().Authorize(context.Background(), &identityv1.AuthorizeRequest{
		Request: asking(app.GetName(), "api"), Answer: totp(asked.GetChallenge().GetChallenge(), a.code(0)),
	})
	if err != nil || asked.GetCode() != "" {
		t.Fatal(err, asked)
	}
	of, err := p.exchange(&identityv1.ClientAuthentication{ClientId: app.GetName()}, let.GetCode())
	if err != nil {
		t.Fatal(err)
	}
	for call, err := range calls(with(&identityv1.TokenSet{AccessToken: of.GetAccessToken()})) {
		wantErrorOf(t, "in an app: "+call, err, "OWN_LOGIN_REQUIRED")
	}
	p.clock.advance(time.Minute)
	if _, err := p.factors().DeleteFactor(with(p.enter(t, c.GetName(), goodPassword, a)), &identityv1.DeleteFactorRequest{Name: name}); err != nil {
		t.Errorf("a fresh login: %v", err)
	}
}

// TestSP80063B_3_1_1_2_eightCharactersBesideAFactor: and fifteen again before the
// last factor goes.
func TestSP80063B_3_1_1_2_eightCharactersBesideAFactor(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c, tokens := p.customer(ctx, &identityv1.Customer{DisplayName: "Ada"})
		change := func(ctx context.Context, from, to string) error {
			_, err := p.auth().ChangePassword(ctx, &identityv1.ChangePasswordRequest{OldPassword: from, NewPassword: to})
			return err
		}
		wantError(t, change(with(tokens), goodPassword, shortPassword), errs.Invalid, "PASSWORD_TOO_SHORT")
		a, confirmed := p.enroll(with(tokens))
		wantError(t, change(with(tokens), goodPassword, shortPassword[:7]), errs.Invalid, "PASSWORD_TOO_SHORT")
		wantError(t, change(with(tokens), goodPassword, "password1"), errs.Invalid, "PASSWORD_BLOCKED")
		if err := change(with(tokens), goodPassword, shortPassword); err != nil {
			t.Fatal(err)
		}
		remove := &identityv1.DeleteFactorRequest{Name: confirmed.GetFactor().GetName()}
		_, err := p.factors().DeleteFactor(with(tokens), remove)
		wantError(t, err, errs.Precondition, "PASSWORD_NEEDS_FACTOR")
		in := p.enter(t, c.GetName(), shortPassword, a)
		if err := change(with(in), shortPassword, goodPassword); err != nil {
			t.Fatal(err)
		}
		if _, err := p.factors().DeleteFactor(with(in), remove); err != nil {
			t.Fatal(err)
		}
		if tokens, err := login(p, c.GetName(), goodPassword); err != nil || tokens.GetAccessToken() == "" {
			t.Errorf("the password alone gives %v, %v", tokens, err)
		}
	})
}

// TestResetFactors_aShortPasswordIsGoodToSetALongerOne: it must not stand alone for
// more than that.
func TestResetFactors_aShortPasswordIsGoodToSetALongerOne(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	c, tokens, _, _ := p.careful(ctx, "ada@example.com")
	if _, err := p.auth().ChangePassword(with(tokens), &identityv1.ChangePasswordRequest{OldPassword: goodPassword, NewPassword: shortPassword}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.factors().ResetFactors(ctx, &identityv1.ResetFactorsRequest{Account: c.GetName()}); err != nil {
		t.Fatal(err)
	}
	_, err := login(p, c.GetName(), shortPassword)
	wantError(t, err, errs.Precondition, "PASSWORD_CHANGE_REQUIRED")
	set := func(to string) error {
		_, err := p.auth().Login(context.Background(), &identityv1.LoginRequest{Organization: org, Identifier: c.GetName(), Password: shortPassword, NewPassword: to})
		return err
	}
	wantError(t, set("zK4mPw7Q"), errs.Invalid, "PASSWORD_TOO_SHORT")
	if err := set(goodPassword); err != nil {
		t.Error(err)
	}
}

// TestLogin_aNewPasswordIsSetByTheSecondFactor: until then the old one stays.
func TestLogin_aNewPasswordIsSetByTheSecondFactor(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	c, _, a, _ := p.careful(p.asAdmin(), "ada@example.com")
	begun, err := p.auth().Login(context.Background(), &identityv1.LoginRequest{
		Organization: org, Identifier: c.GetName(), Password: goodPassword, NewPassword: shortPassword,
	})
	if err != nil || begun.GetChallenge() == nil {
		t.Fatal(begun, err)
	}
	p.challenged(c.GetName(), goodPassword)
	if _, err := p.answer(totp(begun.GetChallenge().GetChallenge(), a.code(0))); err != nil {
		t.Fatal(err)
	}
	_, err = login(p, c.GetName(), goodPassword)
	wantError(t, err, errs.Unauthenticated, "LOGIN_FAILED")
	p.challenged(c.GetName(), shortPassword)
}

// TestAcceptInvitation_isNoWayAroundTheSecondFactor: who has the code may set the
// password, and no more.
func TestAcceptInvitation_isNoWayAroundTheSecondFactor(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c, _, a, _ := p.careful(ctx, "ada@example.com")
		invitation, err := p.auth().CreateInvitation(ctx, &identityv1.CreateInvitationRequest{Account: c.GetName(), ResetPassword: true, ShowCode: true})
		if err != nil {
			t.Fatal(err)
		}
		got, err := p.auth().AcceptInvitation(context.Background(), &identityv1.AcceptInvitationRequest{Code: invitation.GetCode(), Password: shortPassword})
		if err != nil || got.GetAccessToken() != "" || got.GetChallenge() == nil {
			t.Fatalf("accepting gives %v, %v", got, err)
		}
		if tokens, err := p.answer(totp(got.GetChallenge().GetChallenge(), a.code(0))); err != nil || tokens.GetAccount() != c.GetName() || tokens.GetDeviceToken() == "" {
			t.Errorf("the code gives %v, %v", tokens, err)
		}
	})
}

// TestAuthorize_asksForTheSecondFactor: and what an app gets says so.
func TestAuthorize_asksForTheSecondFactor(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	c, _, a, _ := p.careful(ctx, "ada@example.com")
	app := p.app(ctx, "shop", confidential)
	client := by(app.GetName(), p.key(ctx, app.GetName(), &identityv1.ClientKey{}).GetSecret())
	request := asking(app.GetName(), "openid offline_access")
	asked, err := p.oauth().Authorize(context.Background(), &identityv1.AuthorizeRequest{Request: request, Identifier: "ada@example.com", Password: goodPassword})
	if err != nil || asked.GetCode() != "" || asked.GetChallenge() == nil {
		t.Fatal(asked, err)
	}
	_, err = p.answer(totp(asked.GetChallenge().GetChallenge(), a.code(0)))
	wantErrorOf(t, "answered for the suite", err, "CHALLENGE_INVALID")
	answer := func(code string) (*identityv1.AuthorizeResponse, error) {
		return p.oauth().Authorize(context.Background(), &identityv1.AuthorizeRequest{Request: request, Answer: totp(asked.GetChallenge().GetChallenge(), code)})
	}
	_, err = answer(a.wrong())
	wantErrorOf(t, "a wrong code", err, "CODE_INVALID")
	let, err := answer(a.code(0))
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := p.exchange(client, let.GetCode())
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{tokens.GetAccessToken(), tokens.GetRefreshToken()} {
		seen, err := p.oauth().IntrospectToken(context.Background(), &identityv1.IntrospectTokenRequest{Token: token, Client: client})
		if err != nil || strings.Join(seen.GetAmr(), " ") != "pwd otp mfa" || seen.GetAuthTime() == nil || seen.GetSub() != c.GetName() {
			t.Errorf("introspection says %v, %v", seen, err)
		}
	}
	_, claims, _ := strings.Cut(tokens.GetIdToken(), ".")
	claims, _, _ = strings.Cut(claims, ".")
	body, err := b64.URL.DecodeString(claims)
	if claims := string(body); err != nil || !strings.Contains(claims, `"amr":["pwd","otp","mfa"]`) || !strings.Contains(claims, `"auth_time":`) {
		t.Errorf("the id token says %s", claims)
	}
}

// TestASVS_6_3_1_guessesAtCodesWait: with the right password, from anywhere, over
// any number of challenges, and without keeping the owner's device out.
func TestASVS_6_3_1_guessesAtCodesWait(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c, _, a, _ := p.careful(ctx, "ada@example.com")
		known := p.enter(t, c.GetName(), goodPassword, a).GetDeviceToken()
		guesses := 0
		guess := func() error {
			guesses++
			from := p.from(fmt.Sprintf("192.0.2.%d", guesses))
			_, err := from.AnswerChallenge(context.Background(), &identityv1.AnswerChallengeRequest{Answer: totp(p.challenged(c.GetName(), goodPassword), a.wrong())})
			return err
		}
		err := guess()
		for ; errs.ReasonOf(err) == "CODE_INVALID" && guesses < 100; err = guess() {
		}
		wantThrottled(t, err)
		if guesses != 12 { // ten are free, and the next makes the first wait
			t.Errorf("%d guesses to the first wait", guesses)
		}
		// The right password opens no way around, nor do invitations.
		_, err = p.answer(totp(p.challenged(c.GetName(), goodPassword), a.code(0)))
		wantThrottled(t, err)
		in, err := p.auth().Login(context.Background(), &identityv1.LoginRequest{Organization: org, Identifier: c.GetName(), Password: goodPassword, DeviceToken: known})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.answer(totp(in.GetChallenge().GetChallenge(), a.code(0))); err != nil {
			t.Errorf("a known device: %v", err)
		}
		waits, err := p.throttles().GetLoginThrottle(ctx, &identityv1.GetLoginThrottleRequest{Name: c.GetName() + "/loginThrottle"})
		if err != nil || waits.GetReadyTime() == nil || waits.GetAttemptCount() < 10 {
			t.Errorf("the account waits: %v, %v", waits, err)
		}
		invitation, err := p.auth().CreateInvitation(ctx, &identityv1.CreateInvitationRequest{Account: c.GetName(), ShowCode: true})
		if err != nil {
			t.Fatal(err)
		}
		if in, err = p.auth().AcceptInvitation(context.Background(), &identityv1.AcceptInvitationRequest{Code: invitation.GetCode(), Password: goodPassword}); err != nil {
			t.Fatal(err)
		}
		_, err = p.answer(totp(in.GetChallenge().GetChallenge(), a.code(1)))
		wantThrottled(t, err)
		if _, err := p.throttles().ClearLoginThrottle(ctx, &identityv1.ClearLoginThrottleRequest{Name: c.GetName() + "/loginThrottle"}); err != nil {
			t.Fatal(err)
		}
		if _, err := p.answer(totp(p.challenged(c.GetName(), goodPassword), a.code(1))); err != nil {
			t.Errorf("after an administrator ended the wait: %v", err)
		}
	})
}

// TestASVS_6_3_8_timeTellsNothingOfAFactor: whether there is one is told to nobody
// who has not proven the password.
func TestASVS_6_3_8_timeTellsNothingOfAFactor(t *testing.T) {
	p := enumerable(t)
	p.careful(p.asAdminAgain(), "factor@example.com")
	refuse := func(identifier string) func() {
		return func() {
			_, err := login(p, identifier, "not the password")
			wantError(t, err, errs.Unauthenticated, "LOGIN_FAILED")
			p.clock.advance(time.Hour)
		}
	}
	if differ, says := apart(refuse("factor@example.com"), refuse("nobody@example.com")); differ {
		t.Errorf("an account with a second factor and none: %s", says)
	}
	if differ, says := apart(refuse("factor@example.com"), refuse("known@example.com")); differ {
		t.Errorf("an account with a second factor and one without: %s", says)
	}
}

// TestBootstrap_reissueTakesALostFactorAway: whoever may start the process always
// gets back in.
func TestBootstrap_reissueTakesALostFactorAway(t *testing.T) {
	h := newHost(t, "bolt")
	p := h.start(config())
	p.enroll(p.asAdmin())
	p.challenged(admin, goodPassword)
	p.close()
	cfg := config()
	cfg.Bootstrap.Reissue = true
	p = h.start(cfg)
	if _, err := p.auth().WhoAmI(p.asAdmin(), &identityv1.WhoAmIRequest{}); err != nil {
		t.Errorf("the one-time password: %v", err)
	}
}
