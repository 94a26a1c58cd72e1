package identity_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

func (p *process) factors() identityv1.FactorServiceClient {
	return identityv1.NewFactorServiceClient(p.conn)
}

// phone is somebody's authenticator app, as RFC 6238 has it.
type phone struct {
	p      *process
	secret []byte
}

// code returns what the app shows some steps from now.
func (a *phone) code(steps int64) string {
	h := hmac.New(sha1.New, a.secret)
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(a.p.clock.now().Unix()/30+steps)))
	sum := h.Sum(nil)
	at := sum[19] & 15
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[at:])&0x7fffffff%1_000_000)
}

// wrong returns a code that the app does not show around now.
func (a *phone) wrong() string {
	for i := range 10 {
		code := fmt.Sprintf("%06d", i)
		if code != a.code(-1) && code != a.code(0) && code != a.code(1) {
			return code
		}
	}
	return ""
}

// enroll adds an authenticator app to an account, and returns it with the recovery
// codes that came along. A later code is as good as new ones.
func (p *process) enroll(ctx context.Context) (*phone, *identityv1.ConfirmTotpResponse) {
	p.t.Helper()
	begun, err := p.factors().EnrollTotp(ctx, &identityv1.EnrollTotpRequest{DisplayName: "the black phone"})
	if err != nil {
		p.t.Fatal(err)
	}
	a := &phone{p: p}
	if a.secret, err = base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(begun.GetSecret()); err != nil {
		p.t.Fatal(err)
	}
	confirmed, err := p.factors().ConfirmTotp(ctx, &identityv1.ConfirmTotpRequest{Code: a.code(0)})
	if err != nil {
		p.t.Fatal(err)
	}
	p.clock.advance(time.Minute)
	return a, confirmed
}

// careful is a customer with an authenticator app.
func (p *process) careful(ctx context.Context, mail string) (c *identityv1.Customer, tokens *identityv1.TokenSet, a *phone, recovery []string) {
	p.t.Helper()
	c, tokens = p.customer(ctx, &identityv1.Customer{DisplayName: "Ada", Email: mail})
	a, confirmed := p.enroll(with(tokens))
	return c, tokens, a, confirmed.GetRecoveryCodes()
}

// challenged logs in and returns the challenge.
func (p *process) challenged(account, password string) string {
	p.t.Helper()
	tokens, err := login(p, account, password)
	if err != nil || tokens.GetChallenge().GetChallenge() == "" || tokens.GetAccessToken() != "" || tokens.GetRefreshToken() != "" || tokens.GetDeviceToken() != "" {
		p.t.Fatalf("the login answers %v, %v; want a challenge and no more", tokens, err)
	}
	return tokens.GetChallenge().GetChallenge()
}

func totp(challenge, code string) *identityv1.ChallengeAnswer {
	return &identityv1.ChallengeAnswer{Challenge: challenge, Proof: &identityv1.ChallengeAnswer_TotpCode{TotpCode: code}}
}

func recovery(challenge, code string) *identityv1.ChallengeAnswer {
	return &identityv1.ChallengeAnswer{Challenge: challenge, Proof: &identityv1.ChallengeAnswer_RecoveryCode{RecoveryCode: code}}
}

func (p *process) answer(a *identityv1.ChallengeAnswer) (*identityv1.TokenSet, error) {
	return p.auth().AnswerChallenge(context.Background(), &identityv1.AnswerChallengeRequest{Answer: a})
}

// enter logs in with both factors.
func (p *process) enter(t testing.TB, account, password string, a *phone) *identityv1.TokenSet {
	t.Helper()
	tokens, err := p.answer(totp(p.challenged(account, password), a.code(0)))
	if err != nil || tokens.GetAccount() != account {
		t.Fatalf("the right code gives %v, %v", tokens.GetAccount(), err)
	}
	p.clock.advance(time.Minute)
	return tokens
}
