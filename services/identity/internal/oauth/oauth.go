// Package oauth gives tokens to programs and says what tokens are worth: what the
// endpoints of OAuth 2.0 do (RFC 6749, 7009, 7523, 7662, 9068, and RFC 9700 for
// what of them is not done any more).
//
// It keeps nothing of its own. Clients are accounts of programs, and apps, which
// package app keeps; their keys package clientkey keeps. Who logs in for an app
// passes package access, by which everybody logs in. Tokens are signed by package keyring, and void when
// the session in them is over: package session's of people, clientkey's of
// programs.
//
// The RFCs' error codes are the reasons of its errors, in upper case; the gateway
// writes them as the RFCs have them. It knows no HTTP.
package oauth

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/services/identity/internal/access"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/app"
	"guildhall.dev/services/identity/internal/clientkey"
	"guildhall.dev/services/identity/internal/keyring"
	"guildhall.dev/services/identity/internal/organization"
	"guildhall.dev/services/identity/internal/session"
	"guildhall.dev/services/identity/internal/standing"
)

// TokenPath is where the gateway serves the token endpoint, below the issuer: an
// audience that assertions of clients may have.
const TokenPath = "/oauth2/token"

// UserInfoPath is where the gateway serves userinfo, below the issuer: the
// audience of tokens that open nothing else.
const UserInfoPath = "/oauth2/userinfo"

// The scopes of access tokens. A token without API opens nothing of the suite but
// what its other scopes say of its owner.
const (
	API    = "api"
	OpenID = "openid"
)

// Config says what a Server needs. Logger has a default.
type Config struct {
	Store         kv.Store
	Journal       *change.Journal
	Accounts      *account.Book
	Apps          *app.Book
	Organizations *organization.Book
	Gate          *access.Gate
	Keys          *clientkey.Book
	Sessions      *session.Book
	Ring          *keyring.Ring
	// Standings tells permission of sessions that ended.
	Standings *standing.Deliverer
	// Issuer is that of tokens, without a slash at its end.
	Issuer string
	// TokenTTL is how long an access token of a program lives.
	TokenTTL time.Duration
	Clock    func() time.Time
	Logger   *slog.Logger
}

// Server serves. It is safe for concurrent use.
type Server struct {
	cfg Config
	// audiences are whom an assertion may be for.
	audiences []string
	// userInfo is the audience of tokens without API.
	userInfo string
}

// New returns a server.
func New(cfg Config) (*Server, error) {
	if cfg.Store == nil || cfg.Journal == nil || cfg.Accounts == nil || cfg.Apps == nil || cfg.Organizations == nil || cfg.Gate == nil || cfg.Keys == nil || cfg.Sessions == nil ||
		cfg.Ring == nil || cfg.Standings == nil || cfg.Issuer == "" || cfg.TokenTTL <= 0 || cfg.Clock == nil {
		return nil, errors.New("oauth: a server needs a store, a journal, the centres it brings together, an issuer and a clock")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	base := strings.TrimSuffix(cfg.Issuer, "/")
	return &Server{cfg: cfg, audiences: []string{cfg.Issuer, base + TokenPath}, userInfo: base + UserInfoPath}, nil
}

// scopes returns the scopes of a request in order, each once: all that are
// allowed when it names none. The error is Invalid (INVALID_SCOPE).
func scopes(asked string, allowed []string) ([]string, error) {
	if strings.TrimSpace(asked) == "" {
		return allowed, nil
	}
	var out []string
	for scope := range strings.FieldsSeq(asked) {
		if !slices.Contains(allowed, scope) {
			return nil, errs.New(errs.Invalid, "INVALID_SCOPE", "ask for scopes that the client may have")
		}
		if !slices.Contains(out, scope) {
			out = append(out, scope)
		}
	}
	return out, nil
}

func invalidRequest(message string) error { return errs.New(errs.Invalid, "INVALID_REQUEST", message) }
