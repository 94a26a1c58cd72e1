package identity_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// TestAnswerChallenge_opensTheSession is a login from end to end: what it was
// proven with is in the token, in the list of sessions and in the audit log.
func TestAnswerChallenge_opensTheSession(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c, _, a, _ := p.careful(ctx, "ada@example.com")
		answer, err := login(p, "ada@example.com", goodPassword)
		if err != nil {
			t.Fatal(err)
		}
		want := []identityv1.FactorType{identityv1.FactorType_FACTOR_TYPE_TOTP, identityv1.FactorType_FACTOR_TYPE_RECOVERY_CODE}
		if got := answer.GetChallenge().GetFactorTypes(); !slices.Equal(got, want) {
			t.Errorf("it asks for %v, want %v", got, want)
		}
		p.clock.advance(time.Minute)
		tokens, err := p.answer(totp(answer.GetChallenge().GetChallenge(), a.code(0)))
		if err != nil || tokens.GetAccount() != c.GetName() || tokens.GetDeviceToken() == "" {
			t.Fatalf("the right code gives %v, %v", tokens, err)
		}
		me, err := p.auth().WhoAmI(with(tokens), &identityv1.WhoAmIRequest{})
		if err != nil || strings.Join(me.GetFactors(), " ") != "pwd otp mfa" || p.clock.now().Sub(me.GetAuthTime().AsTime()).Abs() > time.Second {
			t.Errorf("the token says %v, %v", me, err)
		}
		list, err := p.auth().ListSessions(with(tokens), &identityv1.ListSessionsRequest{Parent: c.GetName()})
		if err != nil || len(list.GetSessions()) != 2 || strings.Join(list.GetSessions()[0].GetFactors(), " ") != "pwd otp mfa" ||
			list.GetSessions()[0].GetAuthTime() == nil || list.GetSessions()[0].GetDeviceLabel() != "laptop" {
			t.Errorf("sessions are %v, %v", list.GetSessions(), err)
		}
		refreshed, err := p.auth().RefreshToken(context.Background(), &identityv1.RefreshTokenRequest{RefreshToken: tokens.GetRefreshToken()})
		if err != nil {
			t.Fatal(err)
		}
		if me, err = p.auth().WhoAmI(with(refreshed), &identityv1.WhoAmIRequest{}); err != nil || len(me.GetFactors()) != 3 {
			t.Errorf("the next token says %v, %v", me, err)
		}
		factors, err := p.factors().ListFactors(with(tokens), &identityv1.ListFactorsRequest{Parent: c.GetName()})
		if err != nil || len(factors.GetFactors()) != 1 || !factors.GetFactors()[0].GetLastUsedTime().AsTime().After(factors.GetFactors()[0].GetCreateTime().AsTime()) {
			t.Errorf("the factor was used at %v, %v", factors.GetFactors(), err)
		}
	})
}

// TestRFC6238_5_2_aCodeIsTakenOnce: neither a second time, nor in another challenge,
// nor one of a step before, nor that of the enrolment.
func TestRFC6238_5_2_aCodeIsTakenOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c, tokens := p.customer(ctx, &identityv1.Customer{DisplayName: "Ada"})
		a, _ := p.enroll(with(tokens))
		enrolled := a.code(-2)
		_, err := p.answer(totp(p.challenged(c.GetName(), goodPassword), enrolled))
		wantError(t, err, errs.Unauthenticated, "CODE_INVALID")
		taken, before := a.code(0), a.code(-1)
		if _, err := p.answer(totp(p.challenged(c.GetName(), goodPassword), taken)); err != nil {
			t.Fatal(err)
		}
		for _, code := range []string{taken, before} {
			_, err := p.answer(totp(p.challenged(c.GetName(), goodPassword), code))
			wantError(t, err, errs.Unauthenticated, "CODE_INVALID")
		}
		// A clock that is half a minute ahead is in time, one that is a minute ahead is not.
		_, err = p.answer(totp(p.challenged(c.GetName(), goodPassword), a.code(2)))
		wantError(t, err, errs.Unauthenticated, "CODE_INVALID")
		if _, err := p.answer(totp(p.challenged(c.GetName(), goodPassword), a.code(1))); err != nil {
			t.Errorf("the code of the next half minute: %v", err)
		}
	})
}

func TestAnswerChallenge_isGoodOnceAndForAWhile(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	c, _, a, _ := p.careful(ctx, "ada@example.com")
	used := p.challenged(c.GetName(), goodPassword)
	if _, err := p.answer(totp(used, a.code(0))); err != nil {
		t.Fatal(err)
	}
	old := p.challenged(c.GetName(), goodPassword)
	p.clock.advance(5 * time.Minute)
	missed := p.challenged(c.GetName(), goodPassword)
	for range 5 {
		_, err := p.answer(totp(missed, a.wrong()))
		wantError(t, err, errs.Unauthenticated, "CODE_INVALID")
		p.clock.advance(30 * time.Second)
	}
	reset := p.challenged(c.GetName(), goodPassword)
	ctx = p.asAdminAgain()
	if _, err := p.auth().RevokeSession(ctx, &identityv1.RevokeSessionRequest{Name: c.GetName() + "/sessions/-"}); err != nil {
		t.Fatal(err)
	}
	app := p.app(ctx, "shop", confidential)
	for name, challenge := range map[string]string{
		"used": used, "too old": old, "answered wrong five times": missed, "of before all sessions ended": reset, "none": "ghl_x",
	} {
		_, err := p.answer(totp(challenge, a.code(0)))
		wantErrorOf(t, name, err, "CHALLENGE_INVALID")
	}
	open := p.challenged(c.GetName(), goodPassword)
	_, err := p.oauth().Authorize(context.Background(), &identityv1.AuthorizeRequest{Request: asking(app.GetName(), "openid"), Answer: totp(open, a.code(0))})
	wantErrorOf(t, "of a login that is not the app's", err, "CHALLENGE_INVALID")
	if _, err := p.customers().DisableCustomer(ctx, &identityv1.DisableCustomerRequest{Name: c.GetName()}); err != nil {
		t.Fatal(err)
	}
	_, err = p.answer(totp(open, a.code(0)))
	wantErrorOf(t, "of an account that was suspended", err, "CHALLENGE_INVALID")
}

// TestLogin_challengesAreBounded: who knows a password can neither fill the store
// with logins nor end those of the owner.
func TestLogin_challengesAreBounded(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	c, _, a, _ := p.careful(p.asAdmin(), "ada@example.com")
	first := p.challenged(c.GetName(), goodPassword)
	for range 49 {
		p.challenged(c.GetName(), goodPassword)
	}
	_, err := login(p, c.GetName(), goodPassword)
	wantThrottled(t, err)
	if _, err := p.answer(totp(first, a.code(0))); err != nil {
		t.Errorf("the oldest: %v", err)
	}
	p.clock.advance(5*time.Minute + time.Second)
	p.challenged(c.GetName(), goodPassword)
}

func TestRecoveryCodes_areGoodOnceEach(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c, tokens, _, codes := p.careful(ctx, "ada@example.com")
		if len(codes) != 10 {
			t.Fatalf("there are %d codes", len(codes))
		}
		in, err := p.answer(recovery(p.challenged(c.GetName(), goodPassword), strings.ToUpper(codes[3])))
		if err != nil {
			t.Fatal(err)
		}
		if me, err := p.auth().WhoAmI(with(in), &identityv1.WhoAmIRequest{}); err != nil || strings.Join(me.GetFactors(), " ") != "pwd rc mfa" {
			t.Errorf("the token says %v, %v", me.GetFactors(), err)
		}
		_, err = p.answer(recovery(p.challenged(c.GetName(), goodPassword), codes[3]))
		wantError(t, err, errs.Unauthenticated, "CODE_INVALID")
		list, err := p.factors().ListFactors(with(tokens), &identityv1.ListFactorsRequest{Parent: c.GetName()})
		if err != nil || list.GetRecoveryCodeCount() != 9 {
			t.Errorf("%d codes are left, %v", list.GetRecoveryCodeCount(), err)
		}
		fresh, err := p.factors().RegenerateRecoveryCodes(with(tokens), &identityv1.RegenerateRecoveryCodesRequest{})
		if err != nil || len(fresh.GetCodes()) != 10 {
			t.Fatalf("new codes: %v, %v", fresh, err)
		}
		_, err = p.answer(recovery(p.challenged(c.GetName(), goodPassword), codes[0]))
		wantError(t, err, errs.Unauthenticated, "CODE_INVALID")
		if _, err := p.answer(recovery(p.challenged(c.GetName(), goodPassword), fresh.GetCodes()[0])); err != nil {
			t.Errorf("a new code: %v", err)
		}
		if got := about(p.events(ctx), c.GetName()); strings.Count(strings.Join(got, " "), "recovery_code.used") != 2 {
			t.Errorf("events are %v", got)
		}
	})
}

// TestEnrollTotp_countsOnlyOnceItWorks: begun and never confirmed, it asks for
// nothing.
func TestEnrollTotp_countsOnlyOnceItWorks(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c, tokens := p.customer(ctx, &identityv1.Customer{DisplayName: "Ada"})
		_, err := p.factors().ConfirmTotp(with(tokens), &identityv1.ConfirmTotpRequest{Code: "123456"})
		wantError(t, err, errs.NotFound, "ENROLLMENT_NOT_FOUND")
		_, err = p.factors().RegenerateRecoveryCodes(with(tokens), &identityv1.RegenerateRecoveryCodesRequest{})
		wantError(t, err, errs.Precondition, "NO_SECOND_FACTOR")
		begun, err := p.factors().EnrollTotp(with(tokens), &identityv1.EnrollTotpRequest{})
		if err != nil || !strings.HasPrefix(begun.GetOtpauthUri(), "otpauth://totp/acme:Ada?secret="+begun.GetSecret()) {
			t.Fatalf("begun: %v, %v", begun, err)
		}
		_, err = p.factors().ConfirmTotp(with(tokens), &identityv1.ConfirmTotpRequest{Code: "000000x"})
		wantError(t, err, errs.Invalid, "CODE_INVALID")
		other, err := login(p, c.GetName(), goodPassword)
		if err != nil || other.GetAccessToken() == "" {
			t.Fatalf("the password alone opens %v, %v", other, err)
		}
		// The second secret is the one that counts.
		_, confirmed := p.enroll(with(tokens))
		if f := confirmed.GetFactor(); f.GetDisplayName() != "the black phone" || f.GetType() != identityv1.FactorType_FACTOR_TYPE_TOTP || f.GetEtag() == "" {
			t.Errorf("the factor is %v", f)
		}
		p.challenged(c.GetName(), goodPassword)
		// What was opened without it is over, but for the session that added it.
		_, err = p.auth().WhoAmI(with(other), &identityv1.WhoAmIRequest{})
		wantError(t, err, errs.Unauthenticated, "SESSION_ENDED")
		if text := p.everything(); strings.Contains(text, begun.GetSecret()) || strings.Contains(text, confirmed.GetRecoveryCodes()[0]) {
			t.Error("a secret lies in the store, or in the log, as it is")
		}
		// Too late.
		if _, err := p.factors().EnrollTotp(with(tokens), &identityv1.EnrollTotpRequest{}); err != nil {
			t.Fatal(err)
		}
		p.clock.advance(15*time.Minute + time.Second)
		again := p.enterAgain(t, c.GetName(), confirmed.GetRecoveryCodes()[0])
		_, err = p.factors().ConfirmTotp(with(again), &identityv1.ConfirmTotpRequest{Code: "123456"})
		wantError(t, err, errs.NotFound, "ENROLLMENT_NOT_FOUND")
	})
}

// enterAgain logs in with a recovery code.
func (p *process) enterAgain(t testing.TB, account, code string) *identityv1.TokenSet {
	t.Helper()
	tokens, err := p.answer(recovery(p.challenged(account, goodPassword), code))
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func TestFactors_twoAppsSoThatOneTakesOver(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	c, tokens, old, _ := p.careful(ctx, "ada@example.com")
	fresh, confirmed := p.enroll(with(tokens))
	if len(confirmed.GetRecoveryCodes()) != 0 {
		t.Error("the second factor makes the recovery codes of the first void")
	}
	_, err := p.factors().EnrollTotp(with(tokens), &identityv1.EnrollTotpRequest{})
	wantError(t, err, errs.Exhausted, "FACTOR_LIMIT")
	p.enter(t, c.GetName(), goodPassword, old)
	tokens = p.enter(t, c.GetName(), goodPassword, fresh)
	list, err := p.factors().ListFactors(with(tokens), &identityv1.ListFactorsRequest{Parent: c.GetName()})
	if err != nil || len(list.GetFactors()) != 2 {
		t.Fatal(list, err)
	}
	first := list.GetFactors()[0]
	renamed, err := p.factors().UpdateFactor(with(tokens), &identityv1.UpdateFactorRequest{
		Factor: &identityv1.Factor{Name: first.GetName(), DisplayName: "the old phone", Etag: first.GetEtag()}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"display_name"}},
	})
	if err != nil || renamed.GetDisplayName() != "the old phone" || renamed.GetLastUsedTime() == nil {
		t.Errorf("renamed: %v, %v", renamed, err)
	}
	_, err = p.factors().DeleteFactor(with(tokens), &identityv1.DeleteFactorRequest{Name: first.GetName(), Etag: first.GetEtag()})
	wantError(t, err, errs.Conflict, "ETAG_MISMATCH")
	req := &identityv1.DeleteFactorRequest{Name: first.GetName(), RequestId: "b1946ac9-2c1c-4c3a-9d6f-0d1f5ef3a001"}
	for range 2 { // the second is a retry
		if was, err := p.factors().DeleteFactor(with(tokens), req); err != nil || was.GetName() != first.GetName() {
			t.Fatalf("deleted: %v, %v", was, err)
		}
	}
	_, err = p.answer(totp(p.challenged(c.GetName(), goodPassword), old.code(0)))
	wantError(t, err, errs.Unauthenticated, "CODE_INVALID")
	if got := about(p.events(ctx), first.GetName()); strings.Join(got, " ") != "factor.created factor.updated factor.deleted" {
		t.Errorf("events are %v", got)
	}
}
