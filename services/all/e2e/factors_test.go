package e2e

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"net/url"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// totp returns what an authenticator app shows that took the secret up, some steps
// from now (RFC 6238).
func totp(t *testing.T, secret string, steps int64) string {
	t.Helper()
	raw := need(base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret))(t)
	h := hmac.New(sha1.New, raw)
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(time.Now().Unix()/30+steps)))
	sum := h.Sum(nil)
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[sum[19]&15:])&0x7fffffff%1_000_000)
}

func (p *person) factors() identityv1.FactorServiceClient {
	return identityv1.NewFactorServiceClient(p.conn("identity"))
}

// guard adds an authenticator app to a person's account, and returns its secret and
// the recovery codes.
func (p *person) guard(t *testing.T) (secret string, codes []string) {
	t.Helper()
	begun := need(p.factors().EnrollTotp(t.Context(), &identityv1.EnrollTotpRequest{DisplayName: "手机"}))(t)
	confirmed := need(p.factors().ConfirmTotp(t.Context(), &identityv1.ConfirmTotpRequest{Code: totp(t, begun.GetSecret(), 0)}))(t)
	return begun.GetSecret(), confirmed.GetRecoveryCodes()
}

// secondFactors: who has one logs in with it, at every door and in apps; and who has
// lost it is helped by an administrator.
func secondFactors(t *testing.T, s *suite) {
	eachDoor(t, func(t *testing.T, d door) {
		c := s.found(t, d)
		sue := c.hire("sue")
		before := need(c.login(sue.name))(t)
		secret, codes := sue.guard(t)
		refused(c.as(before).auth.WhoAmI(t.Context(), &identityv1.WhoAmIRequest{}))(t, errs.Unauthenticated, "SESSION_ENDED")

		nobody := c.open(t, d, "")
		asked := need(c.login(sue.name))(t)
		wants(t, "the access token of who has proven one factor", asked.GetAccessToken(), "")
		answer := func(code string) (*identityv1.TokenSet, error) {
			return nobody.auth.AnswerChallenge(t.Context(), &identityv1.AnswerChallengeRequest{Answer: &identityv1.ChallengeAnswer{
				Challenge: asked.GetChallenge().GetChallenge(), Proof: &identityv1.ChallengeAnswer_TotpCode{TotpCode: code},
			}})
		}
		refused(answer("000000x"))(t, errs.Unauthenticated, "CODE_INVALID")
		code := totp(t, secret, 1) // that of now is used up
		in := c.as(need(answer(code))(t))
		wants(t, "what the session says", fmt.Sprint(need(in.auth.WhoAmI(t.Context(), &identityv1.WhoAmIRequest{}))(t).GetFactors()), "[pwd otp mfa]")
		refused(answer(code))(t, errs.Unauthenticated, "CHALLENGE_INVALID")

		need(c.admin.factors().ResetFactors(t.Context(), &identityv1.ResetFactorsRequest{Account: sue.name}))(t)
		refused(in.auth.WhoAmI(t.Context(), &identityv1.WhoAmIRequest{}))(t, errs.Unauthenticated, "SESSION_ENDED")
		alone := need(c.login(sue.name))(t)
		wants(t, "the challenge without a factor", alone.GetChallenge() == nil, true)
		refused(c.as(alone).factors().ResetFactors(t.Context(), &identityv1.ResetFactorsRequest{Account: c.admin.name}))(t, errs.Denied, "PERMISSION_DENIED")
		wants(t, "recovery codes", len(codes), 10)
	})
	t.Run("apps", func(t *testing.T) {
		c := s.found(t, grpcDoor)
		shop := openShop(t, c)
		_, codes := c.enrol("ada").guard(t)
		code, verifier, _ := shop.login(t, "ada@customer.example", url.Values{"code": {codes[0]}})
		token := need(shop.config.Exchange(t.Context(), code, oauth2.VerifierOption(verifier)))(t)
		wants(t, "what the app learns", fmt.Sprint(shop.introspect(t, token.AccessToken)["amr"]), "[pwd rc mfa]")
	})
}
