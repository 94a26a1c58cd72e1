package access

import (
	"context"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/factor"
	"guildhall.dev/services/identity/internal/passkey"
	"guildhall.dev/services/identity/internal/session"
)

// BeginSessionProof says what the caller proves its session again with. Errors are
// Denied (OWN_LOGIN_REQUIRED) and Precondition (ILLEGAL_STATE).
func (g *Gate) BeginSessionProof(ctx context.Context, caller authn.Caller) (*identityv1.BeginSessionProofResponse, error) {
	challenge := g.cfg.Passkeys.NewChallenge(passkey.Prove, session.Name(caller.Name, caller.Session), g.cfg.Clock().Add(passkey.LoginLifetime))
	resp := &identityv1.BeginSessionProofResponse{}
	err := g.cfg.Store.View(ctx, func(r kv.Reader) (err error) {
		if err := g.provable(r, caller); err != nil {
			return err
		}
		if resp.FactorTypes, err = g.cfg.Factors.Types(r, caller.Name); err != nil {
			return err
		}
		resp.PasskeyOptions, err = g.cfg.Factors.PasskeyRequest(r, caller.Name, challenge)
		return err
	})
	return resp, err
}

// provable checks that the caller is a person in an own session.
func (g *Gate) provable(r kv.Reader, caller authn.Caller) error {
	if _, err := g.person(r, caller); err != nil {
		return err
	}
	return authn.OwnLogin(caller)
}

// ProveSession proves the caller's session again, by a second factor of who has one
// and else by the password, and returns an access token that says so. Errors are
// Unauthenticated (LOGIN_FAILED, CODE_INVALID, SESSION_ENDED), Precondition
// (FACTOR_REQUIRED, ILLEGAL_STATE), Denied (OWN_LOGIN_REQUIRED), and Exhausted
// (LOGIN_THROTTLED, HASHING_BUSY).
//
// A login tells nothing of an account; here somebody has a session of it, and may
// know whether it has a second factor.
func (g *Gate) ProveSession(ctx context.Context, caller authn.Caller, req *identityv1.ProveSessionRequest) (*identityv1.ProveSessionResponse, error) {
	if err := g.cfg.Store.View(ctx, func(r kv.Reader) error { return g.provable(r, caller) }); err != nil {
		return nil, err
	}
	prove := g.proveByFactor
	if _, byPassword := req.GetProof().(*identityv1.ProveSessionRequest_Password); byPassword {
		prove = g.proveByPassword
	}
	s, err := prove(ctx, caller, req)
	if err != nil {
		return nil, err
	}
	tokens, err := g.tokens(s)
	if err != nil {
		return nil, err
	}
	return &identityv1.ProveSessionResponse{
		AccessToken: tokens.GetAccessToken(), TokenType: tokens.GetTokenType(), ExpiresIn: tokens.GetExpiresIn(),
		AuthTime: timestamppb.New(session.AuthTime(s)),
	}, nil
}

// proveByPassword renews the session of who has no second factor.
func (g *Gate) proveByPassword(ctx context.Context, caller authn.Caller, req *identityv1.ProveSessionRequest) (*storev1.Session, error) {
	// Before the password is compared: who may not use it does not guess at it here.
	if has, err := g.hasFactor(ctx, caller.Name); err != nil || has {
		return nil, orFactorRequired(err)
	}
	present, err := g.retyped(ctx, caller, req.GetPassword())
	if err != nil {
		return nil, err
	}
	return change.Do(ctx, g.cfg.Journal, proto.Message(req), func(tx *change.Tx) (*storev1.Session, error) {
		if err := g.stillRight(tx, caller.Name, present.hash); err != nil {
			return nil, err
		}
		if has, err := g.cfg.Factors.Has(tx, caller.Name); err != nil || has {
			return nil, orFactorRequired(err)
		}
		return g.cfg.Sessions.Renew(tx, session.Name(caller.Name, caller.Session), passwordOnly()...)
	})
}

func orFactorRequired(err error) error {
	if err != nil {
		return err
	}
	return errs.New(errs.Precondition, "FACTOR_REQUIRED", "the account has a second factor, and the password is not enough; prove the factor")
}

// proveByFactor renews the session of who has one.
func (g *Gate) proveByFactor(ctx context.Context, caller authn.Caller, req *identityv1.ProveSessionRequest) (*storev1.Session, error) {
	ticket, err := g.cfg.Throttle.Admit(ctx, within(caller, true))
	if err != nil {
		g.countAnswer(ctx, outcomeOf(err))
		return nil, err
	}
	proof := factor.Proof{TOTP: req.GetTotpCode(), Recovery: req.GetRecoveryCode()}
	if req.GetPasskey() != nil {
		proof.Passkey, _ = passkey.ParseAssertion(req.GetPasskey()) // nil proves nothing
	}
	right, own := false, session.Name(caller.Name, caller.Session)
	s, err := change.Do(ctx, g.cfg.Journal, proto.Message(req), func(tx *change.Tx) (_ *storev1.Session, err error) {
		right = false
		methods, err := g.provenAgain(tx, caller.Name, own, proof)
		if err != nil {
			return nil, err
		}
		if len(methods) == 0 {
			tx.Unchanged() // but for what there is to say of a copy
			return &storev1.Session{}, nil
		}
		right = true
		return g.cfg.Sessions.Renew(tx, own, methods...)
	})
	switch {
	case err != nil:
		g.settled(ctx, ticket.Return(ctx))
		g.countAnswer(ctx, "error")
		return nil, err
	case !right:
		g.countAnswer(ctx, "failed")
		g.failed(ctx, ticket, caller.Organization(), candidate{account: &storev1.Account{Name: caller.Name}})
		return nil, factor.CodeInvalid()
	}
	g.settled(ctx, ticket.Succeed(ctx))
	g.countAnswer(ctx, "ok")
	return s, nil
}

// provenAgain takes a proof in a session of an account that may log in.
func (g *Gate) provenAgain(tx *change.Tx, name, own string, proof factor.Proof) ([]string, error) {
	rec, found, err := g.cfg.Accounts.Find(tx, name)
	if err != nil || !found || !account.CanLogIn(rec.Value) {
		return nil, err
	}
	if proof.Passkey == nil {
		return g.prove(tx, name, proof)
	}
	return g.proveOnce(tx, name, proof.Passkey, passkey.Prove, own)
}
