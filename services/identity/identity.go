// Package identity is the service that knows who people are: the organisations
// of an installation, their staff and customers, how these log in, and the
// tokens they carry from there.
//
// It decides nothing about what an account may do; that is permission's. Other
// services follow its feed to hear of accounts that may do nothing any more.
package identity

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"guildhall.dev/pkg/audit"
	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/feed"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/page"
	"guildhall.dev/pkg/serve"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/identity/internal/access"
	"guildhall.dev/services/identity/internal/api"
	"guildhall.dev/services/identity/internal/api/clients"
	"guildhall.dev/services/identity/internal/api/consents"
	"guildhall.dev/services/identity/internal/api/contacts"
	deskapi "guildhall.dev/services/identity/internal/api/desk"
	"guildhall.dev/services/identity/internal/api/duplicates"
	"guildhall.dev/services/identity/internal/api/factors"
	"guildhall.dev/services/identity/internal/api/interactions"
	"guildhall.dev/services/identity/internal/api/messages"
	"guildhall.dev/services/identity/internal/api/orders"
	"guildhall.dev/services/identity/internal/api/preferences"
	"guildhall.dev/services/identity/internal/api/records"
	"guildhall.dev/services/identity/internal/api/subjects"
	"guildhall.dev/services/identity/internal/api/timelines"
	"guildhall.dev/services/identity/internal/bootstrap"
	"guildhall.dev/services/identity/internal/collector"
	"guildhall.dev/services/identity/internal/courier"
	"guildhall.dev/services/identity/internal/credential"
	"guildhall.dev/services/identity/internal/device"
	"guildhall.dev/services/identity/internal/eraser"
	"guildhall.dev/services/identity/internal/evaluation"
	"guildhall.dev/services/identity/internal/importer"
	"guildhall.dev/services/identity/internal/keyring"
	"guildhall.dev/services/identity/internal/oauth"
	"guildhall.dev/services/identity/internal/reach"
	"guildhall.dev/services/identity/internal/standing"
	"guildhall.dev/services/identity/internal/sweep"
	"guildhall.dev/services/identity/internal/throttle"
)

// name is the service's name.
const name = "identity"

// Builder returns the service for a process.
func Builder() serve.Builder {
	cfg := DefaultConfig()
	return serve.Builder{Name: name, Config: cfg, Build: func(ctx context.Context, kit *serve.Kit) (serve.Service, error) {
		return New(ctx, cfg, kit)
	}}
}

// service implements serve.Service and serve.KeySource.
type service struct {
	centres   *api.Centres
	sweeper   *sweep.Sweeper
	courier   *courier.Courier
	eraser    *eraser.Driver
	collector *collector.Collector
}

// New returns the service on its store, which it opens. On an empty store it
// makes the first organisation and shows its administrator's one-time password
// on the kit's console.
func New(ctx context.Context, cfg *Config, kit *serve.Kit) (serve.Service, error) {
	full := *cfg
	full.setDefaults()
	s, err := build(ctx, &full, kit)
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	return s, nil
}

func build(ctx context.Context, cfg *Config, kit *serve.Kit) (*service, error) {
	c, w, err := newBooks(cfg, kit)
	if err != nil {
		return nil, err
	}
	c.Checks = permissionv1.NewCheckServiceClient(kit.Dial("permission"))
	c.Checker, c.Discloser = authz.Remote(kit.Dial("permission")), authz.RemoteDiscloser(kit.Dial("permission"))
	c.Permission = permissionv1.NewStandingServiceClient(kit.Dial("permission"))
	// No release has stored anything yet, so there is nothing to migrate.
	if c.Store, err = kit.OpenStore(ctx, tablesOf(c, w), nil); err != nil {
		return nil, err
	}
	if err := openJournal(ctx, c, kit); err != nil {
		return nil, err
	}
	if c.Followers, err = newFollowers(ctx, c, kit); err != nil {
		return nil, err
	}
	if c.Standings, err = deliverer(c.Store, w.standings, kit); err != nil {
		return nil, err
	}
	if err := openAccess(ctx, c, cfg, kit, w); err != nil {
		return nil, err
	}
	if c.Importer, err = importer.New(importer.Config{
		Store: c.Store, Journal: c.Journal, Organizations: c.Organizations, Accounts: c.Accounts, Orders: c.Orders, Clock: kit.Clock,
	}); err != nil {
		return nil, err
	}
	c.Evaluations = evaluation.New(evaluation.Config{
		Store: c.Store, Journal: c.Journal, Segments: c.Segments, Accounts: c.Accounts, Logger: kit.Logger, Clock: kit.Clock,
	})
	s := &service{centres: c, sweeper: &sweep.Sweeper{
		Store: c.Store, Journal: c.Journal, Accounts: c.Accounts, Credentials: w.credentials, Sessions: c.Sessions, Factors: c.Factors, Keys: c.ClientKeys, Ownerships: c.Ownerships, Outbox: c.Outbox, Verifications: c.Verifications, Throttle: c.Throttle,
		Tasks: c.Tasks, Desk: c.Desk, Absences: c.Absences, Holds: c.Holds, Takeouts: c.Takeouts, Preferences: c.Preferences, Logger: kit.Logger, Clock: kit.Clock,
	}}
	if s.eraser, err = newEraser(c, w.erasures, kit); err != nil {
		return nil, err
	}
	if c.Merger, err = newMerger(c, kit); err != nil {
		return nil, err
	}
	s.sweeper.Merger = c.Merger
	if s.collector, err = newCollector(c, kit); err != nil {
		return nil, err
	}
	s.courier, err = newCourier(c, cfg.Delivery, kit)
	return s, err
}

// deliverer returns what tells permission who may not act any more.
func deliverer(store kv.Store, book *standing.Book, kit *serve.Kit) (*standing.Deliverer, error) {
	client := permissionv1.NewStandingServiceClient(kit.Dial("permission"))
	return standing.NewDeliverer(standing.Config{
		Store: store, Book: book, Logger: kit.Logger, Meter: kit.Meter,
		SetState: func(ctx context.Context, req *permissionv1.SetStandingRequest) error {
			_, err := client.SetStanding(ctx, req)
			return err
		},
		EndSessions: func(ctx context.Context, req *permissionv1.EndSessionsRequest) error {
			_, err := client.EndSessions(ctx, req)
			return err
		},
	})
}

// openJournal opens what every mutation goes through.
func openJournal(ctx context.Context, c *api.Centres, kit *serve.Kit) (err error) {
	if c.Pages, err = page.NewCodec(kit.Ring.Derive("identity page tokens")); err != nil {
		return err
	}
	if c.Feed, err = feed.Open(ctx, feed.Config{
		Service: name, Store: c.Store, Redis: kit.Redis, Logger: kit.Logger, Clock: kit.Clock,
	}); err != nil {
		return err
	}
	if c.Audit, err = audit.New(audit.Config{
		Store: c.Store, Pages: c.Pages, Logger: kit.Logger, Meter: kit.Meter, Clock: kit.Clock,
	}); err != nil {
		return err
	}
	c.Journal, err = change.NewJournal(change.Config{
		Service: name, Store: c.Store, Feed: c.Feed, Audit: c.Audit, Observe: c.Scribe.Observe, Logger: kit.Logger, Clock: kit.Clock,
	})
	return err
}

// openAccess opens what lets people in, and sees to it that there is somebody
// to let in.
func openAccess(ctx context.Context, c *api.Centres, cfg *Config, kit *serve.Kit, w within) (err error) {
	if c.Keys, err = keyring.Open(ctx, keyring.Config{
		Store: c.Store, Issuer: kit.Issuer, Rotation: cfg.Tokens.Rotation, Renew: cfg.Tokens.Renew, Clock: kit.Clock, Logger: kit.Logger,
	}); err != nil {
		return err
	}
	passwords, err := credential.NewPool(credential.PoolConfig{
		Params:  credential.Params{Time: cfg.Passwords.Time, Memory: cfg.Passwords.Memory, Threads: cfg.Passwords.Threads},
		Workers: cfg.Passwords.Workers, Wait: cfg.Passwords.Wait, Meter: kit.Meter,
	})
	if err != nil {
		return err
	}
	turnstile, err := throttle.NewTurnstile(throttle.Config{
		Store: c.Store, Lanes: change.NewLanes(c.Journal), Book: c.Waits, Meter: kit.Meter, Clock: kit.Clock,
	})
	if err != nil {
		return err
	}
	devices, err := device.NewSealer(kit.Ring.Derive("identity device tokens"))
	if err != nil {
		return err
	}
	c.Throttle = turnstile
	if c.Gate, err = access.New(access.Config{
		Store: c.Store, Journal: c.Journal, Organizations: c.Organizations, Accounts: c.Accounts,
		Credentials: w.credentials, Factors: c.Factors, Passkeys: w.passkeys, Sessions: c.Sessions, Outbox: c.Outbox, Passwords: passwords, Keys: c.Keys,
		Throttle: turnstile, Waits: c.Waits, Devices: devices, Standings: c.Standings, Logger: kit.Logger, Meter: kit.Meter, Clock: kit.Clock,
	}); err != nil {
		return err
	}
	if c.Reach, err = reach.New(reach.Config{
		Store: c.Store, Journal: c.Journal, Accounts: c.Accounts, Verifications: c.Verifications, Outbox: c.Outbox, Meter: kit.Meter, Clock: kit.Clock,
	}); err != nil {
		return err
	}
	if c.OAuth, err = oauth.New(oauth.Config{
		Store: c.Store, Journal: c.Journal, Accounts: c.Accounts, Apps: c.Apps, Organizations: c.Organizations,
		Gate: c.Gate, Keys: c.ClientKeys, Sessions: c.Sessions, Ring: c.Keys,
		Standings: c.Standings, Issuer: kit.Issuer, TokenTTL: cfg.Tokens.TTL, Clock: kit.Clock, Logger: kit.Logger,
	}); err != nil {
		return err
	}
	return bootstrap.Run(ctx, bootstrap.Config{
		Store: c.Store, Journal: c.Journal, Organizations: c.Organizations, Accounts: c.Accounts,
		Credentials: w.credentials, Factors: c.Factors, Sessions: c.Sessions, Passwords: passwords, Waits: c.Waits,
		Organization: cfg.Bootstrap.Organization, Reissue: cfg.Bootstrap.Reissue, Console: kit.Console,
	})
}

// Name implements serve.Service.
func (s *service) Name() string { return name }

// Register implements serve.Service.
func (s *service) Register(r grpc.ServiceRegistrar) {
	api.Register(r, s.centres)
	clients.Register(r, s.centres)
	consents.Register(r, s.centres)
	contacts.Register(r, s.centres)
	deskapi.Register(r, s.centres)
	duplicates.Register(r, s.centres)
	factors.Register(r, s.centres)
	factors.RegisterPasskeys(r, s.centres)
	interactions.Register(r, s.centres)
	preferences.Register(r, s.centres)
	messages.Register(r, s.centres)
	orders.Register(r, s.centres)
	records.Register(r, s.centres)
	subjects.Register(r, s.centres)
	timelines.Register(r, s.centres)
}

// Run implements serve.Service.
func (s *service) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.centres.Journal.Run(ctx) })
	g.Go(func() error { return s.centres.Keys.Run(ctx) })
	g.Go(func() error { return s.sweeper.Run(ctx) })
	g.Go(func() error { return s.centres.Standings.Run(ctx) })
	g.Go(func() error { return s.centres.Evaluations.Run(ctx) })
	g.Go(func() error { return s.centres.Gate.Run(ctx) })
	g.Go(func() error { return s.courier.Run(ctx) })
	g.Go(func() error { return s.eraser.Run(ctx) })
	g.Go(func() error { return s.collector.Run(ctx) })
	g.Go(func() error { return s.centres.Followers.Run(ctx) })
	g.Go(func() error { return s.centres.Merger.Run(ctx) })
	return g.Wait()
}

// Ready implements serve.Service.
func (s *service) Ready(ctx context.Context) error {
	if err := s.centres.Store.Ping(ctx); err != nil {
		return fmt.Errorf("the store: %w", err)
	}
	return nil
}

// Close implements serve.Service. The store is the process's to close.
func (s *service) Close() error { return nil }

// Keys implements serve.KeySource: this process verifies tokens with the keys
// at hand.
func (s *service) Keys(context.Context) (authn.JWKS, error) { return s.centres.Keys.Public(), nil }
