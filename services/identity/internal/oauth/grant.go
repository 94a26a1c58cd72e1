package oauth

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"time"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/session"
)

// authorizationCode gives an app the tokens of a login (RFC 6749 section 4.1.3).
func (s *Server) authorizationCode(ctx context.Context, req *identityv1.IssueTokenRequest, by shown) (*identityv1.IssueTokenResponse, error) {
	if n := len(req.GetCodeVerifier()); n < challengeLength || n > 128 {
		return nil, invalidRequest("send code_verifier, of 43 to 128 characters (RFC 7636)")
	}
	id, replayed := resource.NewID(), false
	var code *storev1.AuthorizationCode
	opened, err := change.Do(as(ctx, by), s.cfg.Journal, req, func(tx *change.Tx) (opened *storev1.Session, err error) {
		if _, err = s.used(tx, by); err != nil {
			return nil, err
		}
		opened, code, replayed, err = s.cfg.Sessions.Redeem(tx, id, session.Presented{
			Code: req.GetCode(), Client: by.id, RedirectURI: req.GetRedirectUri(), Verifier: req.GetCodeVerifier(),
		})
		if err != nil || replayed {
			return &storev1.Session{}, err
		}
		rec, found, err := s.cfg.Accounts.Find(tx, code.GetAccount())
		if err == nil && (!found || !account.CanLogIn(rec.Value)) {
			err = session.GrantInvalid()
		}
		return opened, err
	})
	if err != nil {
		return nil, err
	}
	if replayed {
		s.cfg.Logger.WarnContext(ctx, "a code came back that was used, its session is ended", "client", by.id, "account", code.GetAccount())
		if err := s.cfg.Standings.Deliver(ctx, code.GetAccount()); err != nil {
			s.cfg.Logger.WarnContext(ctx, "sessions have ended that permission does not know of yet", "error", err)
		}
		return nil, session.GrantInvalid()
	}
	resp, err := s.tokens(opened, opened.GetScopes())
	if err != nil || !slices.Contains(opened.GetScopes(), OpenID) {
		return resp, err
	}
	resp.IdToken, err = s.cfg.Ring.SignIdentity(authn.Identity{
		Subject: session.AccountOf(opened.GetName()), Client: by.id, Session: session.ID(opened.GetName()), Nonce: code.GetNonce(),
		Factors: opened.GetFactors(), AccessToken: resp.GetAccessToken(), AuthTime: session.AuthTime(opened),
		IssuedAt: opened.GetLastSeenTime().AsTime(), Expires: opened.GetTokenExpireTime().AsTime(),
	})
	return resp, err
}

// used returns the client that has proven itself, and notes that it did.
func (s *Server) used(tx *change.Tx, by shown) (*client, error) {
	c, err := s.client(tx, by, tx.Time)
	if err != nil {
		return nil, err
	}
	if c.app == nil {
		return nil, errs.New(errs.Invalid, "UNAUTHORIZED_CLIENT", "a service account has no login of a person to get tokens of; use client_credentials")
	}
	return c, s.note(tx, c, tx.Time, time.Time{})
}

// refreshToken gives an app fresh tokens of a login (RFC 6749 section 6), with
// fewer scopes when it asks for fewer.
func (s *Server) refreshToken(ctx context.Context, req *identityv1.IssueTokenRequest, by shown) (*identityv1.IssueTokenResponse, error) {
	if req.GetRefreshToken() == "" {
		return nil, invalidRequest("send refresh_token")
	}
	asked := req.GetScope()
	opened, err := s.cfg.Gate.Continue(as(ctx, by), req, req.GetRefreshToken(), func(tx *change.Tx) (string, error) {
		if _, err := s.used(tx, by); err != nil {
			return "", err
		}
		// Before the token is taken: a request that asks for too much leaves it as
		// it is.
		of, _, err := s.cfg.Sessions.OfToken(tx, req.GetRefreshToken(), tx.Time)
		if err != nil || of == nil {
			return by.id, err
		}
		_, err = scopes(asked, of.GetScopes())
		return by.id, err
	})
	if errs.ReasonOf(err) == "REFRESH_TOKEN_INVALID" {
		return nil, session.GrantInvalid()
	}
	if err != nil {
		return nil, err
	}
	granted, err := scopes(asked, opened.GetScopes())
	if err != nil {
		return nil, err
	}
	return s.tokens(opened, granted)
}

// tokens returns the tokens of an app's session.
func (s *Server) tokens(of *storev1.Session, granted []string) (*identityv1.IssueTokenResponse, error) {
	issued, expires := of.GetLastSeenTime().AsTime(), of.GetTokenExpireTime().AsTime()
	claims := authn.Claims{
		Subject: session.AccountOf(of.GetName()), Session: session.ID(of.GetName()), ID: rand.Text(), Client: of.GetClient(),
		Scope: strings.Join(granted, " "), Audience: s.audience(granted), Factors: of.GetFactors(), AuthTime: session.AuthTime(of),
		IssuedAt: issued, Expires: expires,
	}
	access, err := s.cfg.Ring.Sign(claims)
	if err != nil {
		return nil, err
	}
	resp := &identityv1.IssueTokenResponse{
		AccessToken: access, TokenType: "Bearer", ExpiresIn: int64(expires.Sub(issued) / time.Second), Scope: claims.Scope,
	}
	if session.Lasting(of) {
		resp.RefreshToken = s.cfg.Sessions.Token(of)
	}
	return resp, nil
}

// audience returns whom a token of the scopes is for. Without API it is for the
// userinfo endpoint alone: an app that only wants to know who somebody is must not
// hold what opens everything they may do.
func (s *Server) audience(granted []string) string {
	if slices.Contains(granted, API) {
		return authn.Audience
	}
	return s.userInfo
}
