// Package permission is the permission service: roles, grants, and the answer
// to "may this subject do that?".
//
// It is a module of its own that other services reach by RPC only. What it
// exports is what a process needs to run it: its configuration and its
// builder.
package permission

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"guildhall.dev/pkg/audit"
	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/conf"
	"guildhall.dev/pkg/feed"
	"guildhall.dev/pkg/journal"
	"guildhall.dev/pkg/serve"
	"guildhall.dev/services/permission/internal/cache"
	"guildhall.dev/services/permission/internal/check"
	"guildhall.dev/services/permission/internal/decision"
	"guildhall.dev/services/permission/internal/lease"
	"guildhall.dev/services/permission/internal/mirror"
	"guildhall.dev/services/permission/internal/people/reading"
	"guildhall.dev/services/permission/internal/sweep"
	"guildhall.dev/services/permission/internal/usage"

	// The catalogue of permissions is made of the protos of all services.
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"

	_ "guildhall.dev/proto/gen/guildhall/feedback/v1"
	_ "guildhall.dev/proto/gen/guildhall/groupchat/v1"
)

// Name is the service's name.
const Name = "permission"

// Config is the service's section of the configuration. The zero Config is
// its defaults.
type Config struct {
	CacheSize conf.Size     `yaml:"cache_size" min:"0" doc:"About how much memory compiled grants and roles may take; 0 is 256MiB."`
	RedisTTL  time.Duration `yaml:"redis_ttl" min:"0s" doc:"How long Redis keeps the compiled grants of a subject; 0 is 1h."`

	UsageInterval time.Duration  `yaml:"usage_interval" min:"0s" doc:"How often the uses of grants are written, and what of them a crash loses; 0 is 1m."`
	DecisionLog   decision.Share `yaml:"decision_log" doc:"Which answers to checks are logged: off, full, or a part of them as in 0.01."`
	DecisionKeep  time.Duration  `yaml:"decision_keep" min:"0s" doc:"How long logged answers are kept; 0 is 168h."`

	LeaseLength  time.Duration `yaml:"lease_length" min:"0s" max:"1m" doc:"How long a replica may answer from memory after it was last in touch with the store, and so the most that a change waits for a replica that is dead; at least 100ms, 0 is 3s. Only where the store is shared (PostgreSQL)."`
	LeaseRenewal time.Duration `yaml:"lease_renewal" min:"0s" max:"30s" doc:"How often a replica renews its lease, and so about how long a change waits for the others without Redis; at most half of lease_length, 0 is 250ms. Only where the store is shared (PostgreSQL)."`
}

// Defaults of Config.
const (
	DefaultCacheSize = 256 * conf.MiB
	DefaultRedisTTL  = time.Hour
)

// withDefaults returns the configuration with defaults for what is zero.
func (cfg Config) withDefaults() Config {
	if cfg.CacheSize == 0 {
		cfg.CacheSize = DefaultCacheSize
	}
	if cfg.RedisTTL == 0 {
		cfg.RedisTTL = DefaultRedisTTL
	}
	return cfg
}

// Builder describes the service to a process.
func Builder() serve.Builder {
	cfg := &Config{
		CacheSize: DefaultCacheSize, RedisTTL: DefaultRedisTTL,
		UsageInterval: usage.DefaultInterval, DecisionKeep: decision.DefaultKeep,
		LeaseLength: lease.DefaultLength, LeaseRenewal: lease.DefaultRenewal,
	}
	return serve.Builder{Name: Name, Config: cfg, Build: func(ctx context.Context, kit *serve.Kit) (serve.Service, error) {
		return New(ctx, *cfg, kit)
	}}
}

// Service is the running service.
type Service struct {
	journal   *journal.Journal
	cache     *cache.Cache
	checker   *check.Checker
	usage     *usage.Recorder
	decisions *decision.Log
	mirror    *mirror.Mirror
	identity  *feed.Consumer
	readings  *reading.Counter
	sweeper   *sweep.Sweeper
	handlers  handlers
}

var (
	_ serve.Service      = (*Service)(nil)
	_ serve.CheckSource  = (*Service)(nil)
	_ serve.DenialKeeper = (*Service)(nil)
)

// New builds the service; it is Build of Builder.
func New(ctx context.Context, cfg Config, kit *serve.Kit) (serve.Service, error) {
	cfg = cfg.withDefaults()
	c, err := newCentres(kit.Ring)
	if err != nil {
		return nil, err
	}
	store, err := kit.OpenStore(ctx, c.tables(), nil)
	if err != nil {
		return nil, err
	}
	s := &Service{readings: c.people.readings}
	if s.cache, err = cache.New(cache.Config{
		Store: store, Loader: c.loader, MemoryBytes: uint64(cfg.CacheSize),
		Redis: kit.Redis, Ring: kit.Ring, RedisTTL: cfg.RedisTTL, Meter: kit.Meter, Logger: kit.Logger,
		Lease: &lease.Config{Length: cfg.LeaseLength, Renewal: cfg.LeaseRenewal},
		Aside: slices.Concat(feed.Tables(), audit.Tables(), c.uses.Tables(), c.decisions.Tables(), c.people.readings.Tables()),
	}); err != nil {
		return nil, err
	}
	// From here on all writes pass the cache, which has to know of them.
	if s.journal, err = journal.New(ctx, kit, s.cache.Writes()); err != nil {
		return nil, err
	}
	if err := s.openRecords(cfg, kit, c); err != nil {
		return nil, err
	}
	if s.checker, err = check.New(check.Config{
		Cache: s.cache, Rules: c.rules, Clock: kit.Clock, Meter: kit.Meter, Usage: s.usage, Decisions: s.decisions,
		Readings: s.readings, Use: s.useApproval,
	}); err != nil {
		return nil, err
	}
	if err := c.people.open(s, kit); err != nil {
		return nil, err
	}
	s.sweeper, s.handlers = s.newSweeper(c, kit), s.newHandlers(c, kit)
	if err := s.follow(kit, mirror.Config{
		Store: s.journal.Store, Grants: c.grants, Subjects: c.subjects, Properties: c.properties, Journal: s.journal.Changes,
		Logger: kit.Logger, Clock: kit.Clock, Forget: c.people.forget(),
	}); err != nil {
		return nil, err
	}
	s.handlers.subjects = s.newSubjects(c, kit)
	return s, nil
}

// openRecords opens what is kept of answers to checks.
func (s *Service) openRecords(cfg Config, kit *serve.Kit, c *centres) (err error) {
	if s.usage, err = usage.New(usage.Config{
		Store: s.journal.Store, Grants: c.grants, Interval: cfg.UsageInterval, Meter: kit.Meter, Logger: kit.Logger,
	}, c.uses); err != nil {
		return err
	}
	s.decisions, err = decision.New(decision.Config{
		Store: s.journal.Store, Share: cfg.DecisionLog, Keep: cfg.DecisionKeep,
		Clock: kit.Clock, Meter: kit.Meter, Logger: kit.Logger,
	}, c.decisions)
	return err
}

// follow makes the mirror of identity, and the consumer of its feed.
func (s *Service) follow(kit *serve.Kit, cfg mirror.Config) error {
	identity := kit.Dial("identity")
	cfg.Identity = mirror.Directory{
		Organizations: identityv1.NewOrganizationServiceClient(identity),
		Staff:         identityv1.NewStaffServiceClient(identity),
		Customers:     identityv1.NewCustomerServiceClient(identity),
		Teams:         identityv1.NewTeamServiceClient(identity),
		Segments:      identityv1.NewSegmentServiceClient(identity),
		Programs:      identityv1.NewServiceAccountServiceClient(identity),
	}
	s.mirror = mirror.New(cfg)
	source := identityv1.NewIdentityEventServiceClient(identity)
	var err error
	s.identity, err = feed.NewConsumer(feed.ConsumerConfig{
		Name: "identity", Store: s.journal.Store, Source: source.StreamEvents, TypePrefixes: mirror.TypePrefixes(),
		Handle: s.mirror.Apply, Resync: s.mirror.Resync, Applied: s.journal.Feed.Notify, Logger: kit.Logger, Meter: kit.Meter, Clock: kit.Clock,
	})
	if err != nil {
		return fmt.Errorf("follow identity: %w", err)
	}
	s.handlers.checks.Identity = s.identity
	return nil
}

// Name implements serve.Service.
func (s *Service) Name() string { return Name }

// useApproval implements authz.Use for this process.
func (s *Service) useApproval(ctx context.Context, req *permissionv1.UseApprovalRequest) error {
	_, err := s.handlers.governance.UseApproval(ctx, req)
	return err
}

// Checker implements serve.CheckSource: this process asks itself.
func (s *Service) Checker() authz.Checker { return s.checker }

// Discloser implements serve.CheckSource.
func (s *Service) Discloser() authz.Discloser { return s.checker }

// OnDenied implements serve.DenialKeeper.
func (s *Service) OnDenied(ctx context.Context, r authz.Request, method string) {
	s.journal.OnDenied(ctx, r, method)
}

// Run implements serve.Service.
func (s *Service) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.journal.Run(ctx) })
	g.Go(func() error { return s.identity.Run(ctx) })
	g.Go(func() error { return s.mirror.Run(ctx) })
	g.Go(func() error { return s.sweeper.Run(ctx) })
	g.Go(func() error { s.readings.Run(ctx); return nil })
	g.Go(func() error { s.cache.Run(ctx); return nil })
	g.Go(func() error { return s.usage.Run(ctx) })
	g.Go(func() error { return s.decisions.Run(ctx) })
	g.Go(func() error { return s.handlers.subjects.Run(ctx) })
	return g.Wait()
}

// Ready implements serve.Service. Redis is no part of it: without Redis the
// service is slower and as right.
func (s *Service) Ready(ctx context.Context) error {
	return errors.Join(s.journal.Ready(ctx), s.identity.Ready())
}

// Close implements serve.Service.
func (s *Service) Close() error {
	s.cache.Close()
	return nil
}
