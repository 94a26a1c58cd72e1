// Package access is the way into the suite: logging in, accepting an
// invitation, getting past a forgotten password, staying logged in and leaving.
//
// It brings together what the other centres keep apart: accounts, their
// passwords and second factors, their sessions, the keys that tokens are signed
// with, and the throttle that slows guessing down. Its one rule of its own is that
// nobody learns from a refusal, or from the time it takes, whether an account
// exists.
package access

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/credential"
	"guildhall.dev/services/identity/internal/delivery"
	"guildhall.dev/services/identity/internal/device"
	"guildhall.dev/services/identity/internal/factor"
	"guildhall.dev/services/identity/internal/keyring"
	"guildhall.dev/services/identity/internal/organization"
	"guildhall.dev/services/identity/internal/passkey"
	"guildhall.dev/services/identity/internal/session"
	"guildhall.dev/services/identity/internal/standing"
	"guildhall.dev/services/identity/internal/throttle"
)

// Config says what a Gate needs. Logger, Meter and Clock have defaults.
type Config struct {
	Store         kv.Store
	Journal       *change.Journal
	Organizations *organization.Book
	Accounts      *account.Book
	Credentials   *credential.Book
	Factors       *factor.Book
	Passkeys      *passkey.Party
	Sessions      *session.Book
	// Outbox takes messages to people.
	Outbox    *delivery.Book
	Passwords *credential.Pool
	Keys      *keyring.Ring
	// Throttle slows guessing down; Devices are those that need not wait.
	Throttle *throttle.Turnstile
	Waits    *throttle.Book
	Devices  *device.Sealer
	// Standings tells permission of sessions that ended.
	Standings *standing.Deliverer
	Logger    *slog.Logger
	Meter     metric.Meter
	Clock     func() time.Time
}

// Gate lets accounts in. It is safe for concurrent use.
type Gate struct {
	cfg    Config
	logins metric.Int64Counter
	resets metric.Int64Counter
	// answers are those to challenges.
	answers metric.Int64Counter
	reuses  metric.Int64Counter
}

// New returns a gate.
func New(cfg Config) (*Gate, error) {
	if cfg.Store == nil || cfg.Journal == nil || cfg.Organizations == nil || cfg.Accounts == nil ||
		cfg.Credentials == nil || cfg.Factors == nil || cfg.Passkeys == nil || cfg.Sessions == nil || cfg.Passwords == nil || cfg.Keys == nil || cfg.Standings == nil ||
		cfg.Throttle == nil || cfg.Waits == nil || cfg.Devices == nil || cfg.Outbox == nil {
		return nil, errors.New("access: a gate needs a store, a journal and the centres it brings together")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Meter == nil {
		cfg.Meter = noop.NewMeterProvider().Meter("")
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	g := &Gate{cfg: cfg}
	var err error
	if g.logins, err = cfg.Meter.Int64Counter("guildhall.identity.logins",
		metric.WithDescription("Logins, by method (password, passkey) and outcome.")); err != nil {
		return nil, err
	}
	if g.resets, err = cfg.Meter.Int64Counter("guildhall.identity.password.resets",
		metric.WithDescription("Resets of forgotten passwords, by outcome: asked, throttled, sent, unsent, used.")); err != nil {
		return nil, err
	}
	if g.answers, err = cfg.Meter.Int64Counter("guildhall.identity.challenges",
		metric.WithDescription("Answers to challenges for a second factor, by outcome.")); err != nil {
		return nil, err
	}
	g.reuses, err = cfg.Meter.Int64Counter("guildhall.identity.refresh.reused",
		metric.WithDescription("Sessions ended because a void refresh token came back."))
	return g, err
}

func (g *Gate) countLogin(ctx context.Context, outcome string) { g.count(ctx, "password", outcome) }

func (g *Gate) count(ctx context.Context, method, outcome string) {
	g.logins.Add(ctx, 1, metric.WithAttributes(attribute.String("method", method), attribute.String("outcome", outcome)))
}

func (g *Gate) countReset(ctx context.Context, outcome string) {
	g.resets.Add(ctx, 1, metric.WithAttributes(attribute.String("outcome", outcome)))
}

func (g *Gate) countAnswer(ctx context.Context, outcome string) {
	g.answers.Add(ctx, 1, metric.WithAttributes(attribute.String("outcome", outcome)))
}

// tokens returns the tokens of a session. A fault of the signer leaves the
// client with a session it does not know of, which its limits end.
//
// The access token lives for the time that the session's record says, which is
// counted from its transaction and not from now: whoever ends the session goes
// by the record.
func (g *Gate) tokens(s *storev1.Session) (*identityv1.TokenSet, error) {
	issued, expires := s.GetLastSeenTime().AsTime(), s.GetTokenExpireTime().AsTime()
	name := session.AccountOf(s.GetName())
	access, err := g.cfg.Keys.Sign(authn.Claims{
		Subject: name, Session: session.ID(s.GetName()), ID: rand.Text(), Factors: s.GetFactors(),
		AuthTime: session.AuthTime(s), IssuedAt: issued, Expires: expires,
	})
	if err != nil {
		return nil, err
	}
	return &identityv1.TokenSet{
		AccessToken: access, RefreshToken: g.cfg.Sessions.Token(s), TokenType: "Bearer",
		ExpiresIn: int64(expires.Sub(issued) / time.Second), Account: name, Session: s.GetName(),
	}, nil
}

// tell tells permission of the sessions that a login ended, which is no reason
// to keep the login from its tokens: what cannot be told now is told soon.
func (g *Gate) tell(ctx context.Context, account string) {
	if err := g.cfg.Standings.Deliver(ctx, account); err != nil {
		g.cfg.Logger.WarnContext(ctx, "sessions have ended that permission does not know of yet", "account", account, "error", err)
	}
}

// words returns what an attacker knows of an account, for credential.Check.
func (g *Gate) words(r kv.Reader, a *storev1.Account) ([]string, error) {
	words := []string{a.GetName(), a.GetDisplayName(), a.GetEmail(), a.GetPhone(), a.GetExternalId()}
	org, found, err := g.cfg.Organizations.Find(r, organizationOf(a.GetName()))
	if err == nil && found {
		words = append(words, org.GetDisplayName())
	}
	return words, err
}

func organizationOf(account string) string {
	_, organization, _ := authn.ParseName(account)
	return organization
}

// as returns a context in which the account acts, so that the audit log says
// whose login it was: the call itself carries no token yet.
func as(ctx context.Context, account, sessionID string) context.Context {
	return authn.WithCaller(ctx, authn.Caller{Name: account, Session: sessionID})
}

// passwordOnly are the factors of a login by password (RFC 8176).
func passwordOnly() []string { return []string{"pwd"} }
