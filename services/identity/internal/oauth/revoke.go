package oauth

import (
	"context"
	"time"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// RevokeToken ends a token of the client's own with all of its session, and
// returns when no service takes them. Errors are Unauthenticated
// (INVALID_CLIENT), Invalid (INVALID_REQUEST, UNAUTHORIZED_CLIENT) and Unavailable
// (SUSPENSION_PENDING).
func (s *Server) RevokeToken(ctx context.Context, req *identityv1.RevokeTokenRequest) (*identityv1.RevokeTokenResponse, error) {
	by, err := read(req.GetClient())
	if err != nil {
		return nil, err
	}
	if req.GetToken() == "" {
		return nil, invalidRequest("send token")
	}
	owner := ""
	resp, err := change.Do(as(ctx, by), s.cfg.Journal, req, func(tx *change.Tx) (*identityv1.RevokeTokenResponse, error) {
		owner = ""
		c, err := s.client(tx, by, tx.Time)
		if err != nil {
			return nil, err
		}
		if err := s.note(tx, c, tx.Time, time.Time{}); err != nil {
			return nil, err
		}
		owner, err = s.revoke(tx, c, req.GetToken())
		return &identityv1.RevokeTokenResponse{}, err
	})
	if err != nil || owner == "" {
		return resp, err
	}
	return resp, s.cfg.Standings.Deliver(ctx, owner)
}

// revoke ends what a token is of, and returns the account; "" when there is
// nothing to end, which is no error (RFC 7009 section 2.2).
func (s *Server) revoke(tx *change.Tx, c *client, text string) (owner string, err error) {
	t, err := s.token(tx, text, tx.Time)
	switch {
	case err != nil:
		return "", err
	case t == nil || t.organization() != c.organization:
		tx.Unchanged()
		return "", nil
	case t.claims.Client != c.id:
		return "", errs.New(errs.Invalid, "UNAUTHORIZED_CLIENT", "the token was given to another client, which alone can revoke it")
	case t.key != nil:
		tx.Record(change.Change{Resource: t.key.GetName(), ChangedFields: []string{"tokens"}})
		return t.claims.Subject, s.cfg.Keys.EndTokensOf(tx, t.key)
	default:
		_, err := s.cfg.Sessions.End(tx, t.session.GetName())
		return t.claims.Subject, err
	}
}
