package oauth

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/session"
)

// IntrospectToken says whether a token is good now. Errors are Unauthenticated
// (INVALID_CLIENT) and Invalid (INVALID_REQUEST).
func (s *Server) IntrospectToken(ctx context.Context, req *identityv1.IntrospectTokenRequest) (*identityv1.IntrospectTokenResponse, error) {
	by, err := read(req.GetClient())
	if err != nil {
		return nil, err
	}
	if req.GetToken() == "" {
		return nil, invalidRequest("send token")
	}
	resp := &identityv1.IntrospectTokenResponse{}
	err = s.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		resp = &identityv1.IntrospectTokenResponse{}
		now := s.cfg.Clock()
		c, err := s.client(tx, by, now)
		if err != nil {
			return err
		}
		// RFC 7662 section 2.1: not for everybody, or tokens could be tried out.
		if c.key == nil {
			return invalidClient(errors.New("a public app may not introspect"))
		}
		if err := s.note(tx, c, now, time.Time{}); err != nil {
			return err
		}
		t, err := s.token(tx, req.GetToken(), now)
		if err == nil && t != nil && t.good && c.maySee(t) {
			resp = t.answer(s.cfg.Issuer)
		}
		return err
	})
	return resp, err
}

// maySee reports whether a client may know of a token: a service account of those
// of its organisation, an app of those that it was given.
func (c *client) maySee(t *token) bool {
	return t.organization() == c.organization && (c.app == nil || t.claims.Client == c.id)
}

// token is a token of ours and what it is of.
type token struct {
	claims authn.Claims // of an access token; of a refresh token what it has of them
	// session is of a person's token, key of a program's.
	session *storev1.Session
	key     *storev1.ClientKey
	refresh bool
	// good says that it would be taken now.
	good bool
}

func (t *token) organization() string {
	_, organization, _ := authn.ParseName(t.claims.Subject)
	return organization
}

// token finds what a token is of; nil of one that is none of ours, or of which
// nothing is left.
func (s *Server) token(r kv.Reader, text string, now time.Time) (*token, error) {
	t, err := s.access(r, text, now)
	if err == nil && t == nil {
		t, err = s.refresh(r, text, now)
	}
	if err != nil || t == nil {
		return nil, err
	}
	rec, found, err := s.cfg.Accounts.Find(r, t.claims.Subject)
	if err != nil || !found {
		return nil, err
	}
	t.good = t.good && account.CanLogIn(rec.Value)
	return t, nil
}

func (s *Server) access(r kv.Reader, text string, now time.Time) (*token, error) {
	c, err := s.cfg.Ring.Inspect(text)
	if err != nil {
		return nil, nil // not an access token, or one that is over
	}
	t := &token{claims: c, good: true}
	var found bool
	if account.ServicePattern.Matches(c.Subject) {
		t.key, found, err = s.cfg.Keys.OfSession(r, c.Subject, c.Session)
	} else {
		t.session, found, err = s.cfg.Sessions.Live(r, c.Subject, c.Session, now)
	}
	if err != nil || !found {
		return nil, err
	}
	return t, nil
}

func (s *Server) refresh(r kv.Reader, text string, now time.Time) (*token, error) {
	found, good, err := s.cfg.Sessions.OfToken(r, text, now)
	if err != nil || found == nil {
		return nil, err
	}
	return &token{
		session: found, refresh: true, good: good,
		claims: authn.Claims{
			Subject: session.AccountOf(found.GetName()), Session: session.ID(found.GetName()), Client: cmp.Or(found.GetClient(), authn.FirstParty), Scope: strings.Join(found.GetScopes(), " "),
			IssuedAt: found.GetLastSeenTime().AsTime(), Expires: s.cfg.Sessions.Ends(found),
			Factors: found.GetFactors(), AuthTime: session.AuthTime(found),
		},
	}, nil
}

func (t *token) answer(issuer string) *identityv1.IntrospectTokenResponse {
	c := t.claims
	kind := "Bearer"
	if t.refresh {
		kind = "refresh_token"
	}
	resp := &identityv1.IntrospectTokenResponse{
		Active: true, Scope: c.Scope, ClientId: c.Client, TokenType: kind, ExpireTime: timestamppb.New(c.Expires),
		IssueTime: timestamppb.New(c.IssuedAt), Sub: c.Subject, Aud: c.Audience, Iss: issuer, Jti: c.ID, Amr: c.Factors,
	}
	if !c.AuthTime.IsZero() {
		resp.AuthTime = timestamppb.New(c.AuthTime)
	}
	return resp
}
