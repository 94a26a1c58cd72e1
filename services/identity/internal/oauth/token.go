package oauth

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/clientkey"
)

// IssueToken is the token endpoint. Errors are Unauthenticated (INVALID_CLIENT)
// and Invalid (INVALID_GRANT, INVALID_REQUEST, INVALID_SCOPE, UNAUTHORIZED_CLIENT,
// UNSUPPORTED_GRANT_TYPE).
func (s *Server) IssueToken(ctx context.Context, req *identityv1.IssueTokenRequest) (*identityv1.IssueTokenResponse, error) {
	by, err := read(req.GetClient())
	if err != nil {
		return nil, err
	}
	switch req.GetGrantType() {
	case "client_credentials":
		return s.clientCredentials(ctx, req, by)
	case "authorization_code":
		return s.authorizationCode(ctx, req, by)
	case "refresh_token":
		return s.refreshToken(ctx, req, by)
	case "":
		return nil, invalidRequest("send grant_type")
	default:
		return nil, errs.New(errs.Invalid, "UNSUPPORTED_GRANT_TYPE", "this grant_type is not served here")
	}
}

// clientCredentials gives a program a token for a key of its own (RFC 6749
// section 4.4). It leaves no audit entry: it says nothing that the making of the
// key did not, and there are hundreds for each key. The key's last_used_time
// tells of it.
func (s *Server) clientCredentials(ctx context.Context, req *identityv1.IssueTokenRequest, by shown) (*identityv1.IssueTokenResponse, error) {
	now := s.cfg.Clock().UTC().Truncate(time.Second)
	claims := authn.Claims{ID: rand.Text(), IssuedAt: now, Expires: now.Add(s.cfg.TokenTTL)}
	err := s.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		c, err := s.client(tx, by, s.cfg.Clock())
		if err != nil {
			return err
		}
		if c.app != nil {
			return errs.New(errs.Invalid, "UNAUTHORIZED_CLIENT", "an app has no rights of its own; use authorization_code")
		}
		granted, err := scopes(req.GetScope(), []string{API})
		if err != nil {
			return err
		}
		claims.Subject, claims.Client, claims.Session = c.id, c.id, clientkey.Session(c.key)
		claims.Scope = strings.Join(granted, " ")
		return s.cfg.Keys.Use(tx, c.key, now, claims.Expires)
	})
	if err != nil {
		return nil, err
	}
	token, err := s.cfg.Ring.Sign(claims)
	if err != nil {
		return nil, err
	}
	return &identityv1.IssueTokenResponse{
		AccessToken: token, TokenType: "Bearer", ExpiresIn: int64(s.cfg.TokenTTL / time.Second), Scope: claims.Scope,
	}, nil
}
