package access

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/device"
	"guildhall.dev/services/identity/internal/session"
	"guildhall.dev/services/identity/internal/throttle"
)

// Refresh gives a session new tokens. The error is Unauthenticated
// (REFRESH_TOKEN_INVALID); when the token was a void one, the session has
// ended.
//
// A refresh that succeeds leaves no audit entry: it says nothing that the
// login did not, and there are hundreds for each login. The session's
// last_seen_time tells of it.
func (g *Gate) Refresh(ctx context.Context, req *identityv1.RefreshTokenRequest) (*identityv1.TokenSet, error) {
	s, err := g.Continue(ctx, req, req.GetRefreshToken(), func(*change.Tx) (string, error) { return "", nil })
	if err != nil {
		return nil, err
	}
	return g.tokens(s)
}

// Continue takes a refresh token of a session of a client, which prove names once
// it has proven itself, and is Refresh in all but the tokens.
func (g *Gate) Continue(ctx context.Context, req proto.Message, token string, prove func(tx *change.Tx) (client string, err error)) (*storev1.Session, error) {
	ended := false
	s, err := change.Do(ctx, g.cfg.Journal, req, func(tx *change.Tx) (s *storev1.Session, err error) {
		client, err := prove(tx)
		if err != nil {
			return nil, err
		}
		s, ended, err = g.cfg.Sessions.Refresh(tx, client, token)
		if err != nil || ended {
			return s, err
		}
		rec, found, err := g.cfg.Accounts.Find(tx, session.AccountOf(s.GetName()))
		if err != nil {
			return nil, err
		}
		if !found || !account.CanLogIn(rec.Value) {
			return nil, session.RefreshInvalid()
		}
		tx.Unchanged()
		return s, nil
	})
	if err != nil {
		return nil, err
	}
	if ended {
		g.tell(ctx, session.AccountOf(s.GetName()))
		g.reuses.Add(ctx, 1)
		g.cfg.Logger.WarnContext(ctx, "a void refresh token came back, the session is ended", "session", s.GetName())
		return nil, session.RefreshInvalid()
	}
	return s, nil
}

// Logout ends the session of the caller's token, and returns when no service
// takes it any more. The error is Unavailable (SUSPENSION_PENDING).
func (g *Gate) Logout(ctx context.Context, caller authn.Caller, req *identityv1.LogoutRequest) (*identityv1.LogoutResponse, error) {
	resp, err := change.Do(ctx, g.cfg.Journal, req, func(tx *change.Tx) (*identityv1.LogoutResponse, error) {
		n, err := g.cfg.Sessions.End(tx, session.Name(caller.Name, caller.Session))
		if n == 0 {
			tx.Unchanged()
		}
		return &identityv1.LogoutResponse{}, err
	})
	if err != nil {
		return nil, err
	}
	return resp, g.cfg.Standings.Deliver(ctx, caller.Name)
}

// changeWithin is how old the proof of a session may be that changes the password of
// who has a second factor: a stolen session and a stolen password are not enough.
const changeWithin = 15 * time.Minute

// ChangePassword sets a new password for the caller and ends its other
// sessions. Errors are Unauthenticated: LOGIN_FAILED when the old one is not
// right, and STEP_UP_REQUIRED; Denied (OWN_LOGIN_REQUIRED); those of credential.Check
// on new_password, Exhausted (HASHING_BUSY, LOGIN_THROTTLED), and Unavailable
// (SUSPENSION_PENDING).
func (g *Gate) ChangePassword(ctx context.Context, caller authn.Caller, req *identityv1.ChangePasswordRequest) (*identityv1.ChangePasswordResponse, error) {
	has, err := g.hasFactor(ctx, caller.Name)
	if err != nil {
		return nil, err
	}
	if has {
		if err := authn.Proven(caller, changeWithin, g.cfg.Clock()); err != nil {
			return nil, err
		}
	}
	present, err := g.retyped(ctx, caller, req.GetOldPassword())
	if err != nil {
		return nil, err
	}
	fresh, err := g.choose(ctx, caller.Name, chosen{field: "new_password", password: req.GetNewPassword(), old: req.GetOldPassword(), words: present.words})
	if err != nil {
		return nil, err
	}
	id := device.NewID()
	resp, err := change.Do(ctx, g.cfg.Journal, req, func(tx *change.Tx) (*identityv1.ChangePasswordResponse, error) {
		if err := g.stillRight(tx, caller.Name, present.hash); err != nil {
			return nil, err
		}
		// The token of before went with the password of before.
		token := g.cfg.Devices.Token(device.Owner{Account: caller.Name, PasswordTime: tx.Time}, id, tx.Time)
		return &identityv1.ChangePasswordResponse{DeviceToken: token}, g.setPassword(tx, caller.Name, fresh, session.Name(caller.Name, caller.Session))
	})
	if err != nil {
		return nil, err
	}
	return resp, g.cfg.Standings.Deliver(ctx, caller.Name)
}

// retyped compares the password that the caller types once more, and returns the
// account it is of. Errors are Unauthenticated (LOGIN_FAILED) and Exhausted
// (HASHING_BUSY, LOGIN_THROTTLED).
func (g *Gate) retyped(ctx context.Context, caller authn.Caller, password string) (present candidate, err error) {
	if err := g.cfg.Store.View(ctx, func(r kv.Reader) (err error) {
		present, err = g.byName(r, caller.Organization(), caller.Name)
		return err
	}); err != nil {
		return present, err
	}
	ticket, err := g.cfg.Throttle.Admit(ctx, within(caller, false))
	if err != nil {
		return present, err
	}
	i, err := g.match(ctx, ticket, password, present.hash)
	if err == nil && i < 0 {
		g.failed(ctx, ticket, caller.Organization(), present)
		err = loginFailed()
	}
	return present, err
}

// within is an attempt of the caller in its session, which is a device that is
// known: its owner does not wait for what strangers do, and who stole it guesses no
// faster than one of them.
func within(caller authn.Caller, factor bool) throttle.Attempt {
	return throttle.Attempt{Organization: caller.Organization(), Identifier: caller.Name, Device: "session " + caller.Session, Factor: factor}
}

func (g *Gate) hasFactor(ctx context.Context, account string) (has bool, err error) {
	err = g.cfg.Store.View(ctx, func(r kv.Reader) (err error) {
		has, err = g.cfg.Factors.Has(r, account)
		return err
	})
	return has, err
}
