package access

import (
	"context"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/factor"
	"guildhall.dev/services/identity/internal/passkey"
	"guildhall.dev/services/identity/internal/session"
	"guildhall.dev/services/identity/internal/throttle"
)

// challenge keeps that a login waits for a second factor, and returns what to ask
// for; nil when the account has none.
func (g *Gate) challenge(tx *change.Tx, challenge string, c *storev1.LoginChallenge) (*identityv1.LoginChallenge, error) {
	// Not by what there is to ask for, which may be nothing: then nobody gets in, and
	// least of all by the password alone.
	has, err := g.cfg.Factors.Has(tx, c.GetAccount())
	if err != nil || !has {
		return nil, err
	}
	types, err := g.cfg.Factors.Types(tx, c.GetAccount())
	if err != nil {
		return nil, err
	}
	if err := g.cfg.Sessions.Challenge(tx, challenge, c); err != nil {
		return nil, err
	}
	options, err := g.cfg.Factors.PasskeyRequest(tx, c.GetAccount(), passkey.ChallengeOf(challenge))
	return &identityv1.LoginChallenge{Challenge: challenge, FactorTypes: types, ExpireTime: c.GetExpireTime(), PasskeyOptions: options}, err
}

// AnswerChallenge opens the session of a login whose second factor is proven.
// Errors are those of Answer.
func (g *Gate) AnswerChallenge(ctx context.Context, req *identityv1.AnswerChallengeRequest, address string) (*identityv1.TokenSet, error) {
	return g.entered(g.Answer(ctx, req, req.GetAnswer(), address, Purpose{Open: g.cfg.Sessions.Open}))
}

// Answer is Enter for who answers the challenge that Enter gave for the same client.
// Errors are Unauthenticated: CHALLENGE_INVALID, after which somebody has to log in
// again, and CODE_INVALID; and Exhausted (LOGIN_THROTTLED).
func (g *Gate) Answer(ctx context.Context, req proto.Message, answer *identityv1.ChallengeAnswer, address string, p Purpose) (Entry, error) {
	var asked *storev1.LoginChallenge
	err := g.cfg.Store.View(ctx, func(r kv.Reader) (err error) {
		asked, err = g.cfg.Sessions.Challenged(r, answer.GetChallenge(), p.Client, g.cfg.Clock())
		return err
	})
	if err != nil {
		return Entry{}, err
	}
	name := asked.GetAccount()
	attempt := throttle.Attempt{Organization: organizationOf(name), Identifier: name, Address: address, Factor: true}
	if asked.GetDeviceKnown() {
		attempt.Device = string(asked.GetDevice())
	}
	ticket, err := g.cfg.Throttle.Admit(ctx, attempt)
	if err != nil {
		g.countAnswer(ctx, outcomeOf(err))
		return Entry{}, err
	}
	e, right, err := g.answer(as(ctx, name, asked.GetSession()), req, answer, address, p)
	switch {
	case err != nil:
		g.settled(ctx, ticket.Return(ctx))
		g.countAnswer(ctx, "error")
		return Entry{}, err
	case !right:
		g.countAnswer(ctx, "failed")
		g.failed(ctx, ticket, organizationOf(name), candidate{account: &storev1.Account{Name: name}})
		return Entry{}, factor.CodeInvalid()
	}
	g.settled(ctx, ticket.Succeed(ctx))
	g.countAnswer(ctx, "ok")
	g.tell(ctx, name)
	return e, nil
}

// answer takes an answer, and reports whether it was right; that it was wrong is
// committed.
func (g *Gate) answer(ctx context.Context, req proto.Message, answer *identityv1.ChallengeAnswer, address string, p Purpose) (e Entry, right bool, err error) {
	var asked *storev1.LoginChallenge
	proof := factor.ProofOf(answer)
	s, err := change.Do(ctx, g.cfg.Journal, req, func(tx *change.Tx) (_ *storev1.Session, err error) {
		right = false
		if asked, err = g.cfg.Sessions.Challenged(tx, answer.GetChallenge(), p.Client, tx.Time); err != nil {
			return nil, err
		}
		name := asked.GetAccount()
		if err := g.stillOpen(tx, asked); err != nil {
			return nil, err
		}
		methods, err := g.prove(tx, name, proof)
		if err != nil {
			return nil, err
		}
		if len(methods) == 0 {
			tx.Unchanged()
			return &storev1.Session{}, g.cfg.Sessions.Missed(tx, asked)
		}
		right = true
		if err := g.cfg.Sessions.Answered(tx, asked); err != nil {
			return nil, err
		}
		fresh := choice{Hash: asked.GetNewPasswordHash(), NeedsFactor: asked.GetNewPasswordNeedsFactor()}
		if err := g.setPassword(tx, name, fresh, ""); err != nil {
			return nil, err
		}
		return p.Open(tx, name, asked.GetSession(), session.Login{
			Device: asked.GetDeviceLabel(), Address: address, Factors: append(passwordOnly(), methods...),
		})
	})
	if err != nil || !right {
		return Entry{}, right, err
	}
	device := g.deviceToken(s, asked.GetPasswordTime().AsTime(), asked.GetNewPasswordHash() != "", string(asked.GetDevice()))
	return Entry{Session: s, Device: device}, true, nil
}

// stillOpen returns CHALLENGE_INVALID unless the account may log in and still has
// the password that was right.
func (g *Gate) stillOpen(r kv.Reader, asked *storev1.LoginChallenge) error {
	rec, found, err := g.cfg.Accounts.Find(r, asked.GetAccount())
	if err != nil {
		return err
	}
	password, has, err := g.cfg.Credentials.Password(r, asked.GetAccount())
	if err != nil {
		return err
	}
	if !found || !has || !account.CanLogIn(rec.Value) || !password.GetUpdateTime().AsTime().Equal(asked.GetPasswordTime().AsTime()) {
		return session.ChallengeInvalid()
	}
	return nil
}

// entered returns what a client gets of an entry.
func (g *Gate) entered(e Entry, err error) (*identityv1.TokenSet, error) {
	switch {
	case err != nil:
		return nil, err
	case e.Challenge != nil:
		return &identityv1.TokenSet{Challenge: e.Challenge}, nil
	}
	tokens, err := g.tokens(e.Session)
	if err == nil {
		tokens.DeviceToken = e.Device
	}
	return tokens, err
}

// settled logs that a guess could not be taken back. It counts as a wrong one then,
// which keeps nobody out for long.
func (g *Gate) settled(ctx context.Context, fault error) {
	if fault != nil {
		g.cfg.Logger.WarnContext(ctx, "an attempt to log in could not be taken back", "error", fault)
	}
}
