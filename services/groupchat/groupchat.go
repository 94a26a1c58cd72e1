// Package groupchat is the service in which an enterprise talks with its
// customers: groups, their members, and the log of messages of each.
//
// Its rules are in internal/group, internal/message and internal/taxonomy (the
// types of messages); internal/intent keeps
// service permission in step with memberships, internal/live wakes open
// streams. See README.md for what it owns and how to run it.
package groupchat

import (
	"context"
	"slices"
	"time"

	"go.opentelemetry.io/otel/metric"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"guildhall.dev/pkg/audit"
	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/feed"
	"guildhall.dev/pkg/journal"
	"guildhall.dev/pkg/serve"
	"guildhall.dev/pkg/subjectdata"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/groupchat/internal/api"
	"guildhall.dev/services/groupchat/internal/follow"
	"guildhall.dev/services/groupchat/internal/group"
	"guildhall.dev/services/groupchat/internal/intent"
	"guildhall.dev/services/groupchat/internal/live"
	"guildhall.dev/services/groupchat/internal/message"
	"guildhall.dev/services/groupchat/internal/purge"
	"guildhall.dev/services/groupchat/internal/taxonomy"
)

// name is the service's name and that of its configuration section.
const name = "groupchat"

// Config is the service's section of the configuration.
type Config struct {
	RecallWindow    time.Duration `yaml:"recall_window" min:"0s" max:"720h" doc:"how long a sender may recall or re-type a message; 0 is never"`
	MaxMembers      int32         `yaml:"max_members" min:"2" max:"10000" doc:"the most members of a group"`
	PurgeAfter      time.Duration `yaml:"purge_after" min:"1h" max:"87600h" doc:"how long a deleted group can be undeleted"`
	StreamHeartbeat time.Duration `yaml:"stream_heartbeat" min:"1s" max:"5m" doc:"the longest silence of a stream; while permission cannot be heard also how often an idle one asks whether its caller may still read"`
}

// defaults are the values of keys that are not set.
func defaults() *Config {
	return &Config{
		RecallWindow:    2 * time.Minute,
		MaxMembers:      500,
		PurgeAfter:      30 * 24 * time.Hour,
		StreamHeartbeat: 15 * time.Second,
	}
}

// Builder describes the service to a process.
func Builder() serve.Builder {
	cfg := defaults()
	return serve.Builder{
		Name:   name,
		Config: cfg,
		Build: func(ctx context.Context, kit *serve.Kit) (serve.Service, error) {
			s, err := New(ctx, *cfg, kit)
			if err != nil {
				return nil, err // not a nil *Service in an interface
			}
			return s, nil
		},
	}
}

// Service is the running service. See serve.Service for its methods.
type Service struct {
	journal *journal.Journal
	hub     *live.Hub
	intents *intent.Deliverer
	purger  *purge.Purger
	follow  *follow.Follower
	feed    *feed.Consumer
	ends    *feed.Consumer // of appointments
	refused metric.Int64Counter
	api     *api.Server
}

// New opens the store and returns the service.
func New(ctx context.Context, cfg Config, kit *serve.Kit) (*Service, error) {
	groups := group.New(group.Limits{MaxMembers: cfg.MaxMembers, PurgeAfter: cfg.PurgeAfter})
	messages, types, books := message.New(cfg.RecallWindow), taxonomy.New(), subjectdata.NewBooks()
	tables := slices.Concat(groups.Tables(), messages.Tables(), types.Tables(), books.Tables())
	j, err := journal.Open(ctx, kit, tables, migrations(groups, messages))
	if err != nil {
		return nil, err
	}
	permission := kit.Dial("permission")
	grants := permissionv1.NewGrantServiceClient(permission)
	intents, err := intent.New(intent.Config{
		Store: j.Store, Groups: groups, Logger: kit.Logger, Meter: kit.Meter,
		Set: func(ctx context.Context, req *permissionv1.SetManagedGrantRequest) (int64, error) {
			resp, err := grants.SetManagedGrant(ctx, req)
			return resp.GetVersion(), err
		},
	})
	if err != nil {
		return nil, err
	}
	hub, err := live.New(live.Config{
		Redis:   kit.Redis,
		Hash:    func(group string) []byte { return kit.Ring.Hash("groupchat wake", []byte(group)) },
		Changed: live.NewWatch(j.Store, groups, messages).Changed,
		Logger:  kit.Logger, Meter: kit.Meter,
	})
	if err != nil {
		return nil, err
	}
	s := &Service{
		journal: j, hub: hub, intents: intents,
		purger: &purge.Purger{
			Store: j.Store, Journal: j.Changes, Groups: groups, Messages: messages,
			Logger: kit.Logger, Clock: kit.Clock,
		},
	}
	identity := kit.Dial("identity")
	s.follow = &follow.Follower{Store: j.Store, Journal: j.Changes, Groups: groups, Moves: books.Moves, Logger: kit.Logger}
	if err := s.listen(kit, identity, permission); err != nil {
		return nil, err
	}
	if s.refused, err = refusals(kit.Meter); err != nil {
		return nil, err
	}
	s.api = &api.Server{
		Store: j.Store, Journal: j.Changes, Sends: change.NewLanes(j.Changes), Pages: j.Pages,
		Groups: groups, Messages: messages, Types: types, Intents: s.intents, Hub: s.hub,
		Checker: authz.Remote(permission), Account: accounts(identity), Appointed: appointed(permission),
		Refuse: books.Refuse, Subjects: newSubjects(kit, j, books, groups, messages),
		Events: feed.NewServer(j.Feed), Audit: audit.NewServer(j.Audit),
		Heartbeat: cfg.StreamHeartbeat,
	}
	return s, nil
}

// listen makes the consumers of the feeds of the sisters. The follower is there.
func (s *Service) listen(kit *serve.Kit, identity, permission grpc.ClientConnInterface) (err error) {
	s.feed, err = feed.NewConsumer(feed.ConsumerConfig{
		Name: "identity", Store: s.journal.Store, Source: identityv1.NewIdentityEventServiceClient(identity).StreamEvents,
		TypePrefixes: []string{follow.Purged}, Handle: s.follow.Apply, Logger: kit.Logger, Meter: kit.Meter, Clock: kit.Clock,
	})
	if err != nil {
		return err
	}
	s.ends, err = feed.NewConsumer(feed.ConsumerConfig{
		Name: "permission", Store: s.journal.Store, Source: permissionv1.NewPermissionEventServiceClient(permission).StreamEvents,
		TypePrefixes: []string{follow.AppointmentEnded}, Handle: s.follow.ApplyEnd, Applied: s.journal.Feed.Notify,
		Logger: kit.Logger, Meter: kit.Meter, Clock: kit.Clock,
	})
	return err
}

// appointed returns how to ask permission whether an account may be made an
// administrator. A permission service of a version that knows no appointments
// requires none.
func appointed(permission grpc.ClientConnInterface) func(context.Context, string, string) error {
	appointments := permissionv1.NewAdminAppointmentServiceClient(permission)
	return func(ctx context.Context, account, group string) error {
		_, err := appointments.RequireAppointment(ctx, &permissionv1.RequireAppointmentRequest{Account: account, Group: group})
		if errs.Is(err, errs.Unimplemented) {
			return nil
		}
		return err
	}
}

// accounts returns how to ask identity whether an account can be a member.
func accounts(identity grpc.ClientConnInterface) func(context.Context, string) error {
	customers := identityv1.NewCustomerServiceClient(identity)
	staff := identityv1.NewStaffServiceClient(identity)
	return func(ctx context.Context, name string) error {
		var state identityv1.AccountState
		var err error
		switch kind, _, _ := authn.ParseName(name); kind {
		case authn.Customer:
			var c *identityv1.Customer
			c, err = customers.GetCustomer(ctx, &identityv1.GetCustomerRequest{Name: name})
			state = c.GetState()
		case authn.Staff:
			var m *identityv1.StaffMember
			m, err = staff.GetStaffMember(ctx, &identityv1.GetStaffMemberRequest{Name: name})
			state = m.GetState()
		default:
			return errs.InvalidField("member.account", "ACCOUNT_INVALID", "name a customer or a member of staff")
		}
		if errs.Is(err, errs.NotFound) || state == identityv1.AccountState_ACCOUNT_STATE_DELETED || state == identityv1.AccountState_ACCOUNT_STATE_ERASED {
			return errs.InvalidField("member.account", "ACCOUNT_INVALID", "there is no such account")
		}
		return err
	}
}

// Name returns "groupchat".
func (s *Service) Name() string { return name }

// Register registers the handlers.
func (s *Service) Register(r grpc.ServiceRegistrar) { s.api.Register(r) }

// Run does the background work until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.journal.Run(ctx) })
	g.Go(func() error { return s.hub.Run(ctx) })
	g.Go(func() error { return s.intents.Run(ctx) })
	g.Go(func() error { return s.purger.Run(ctx) })
	g.Go(func() error { return s.feed.Run(ctx) })
	g.Go(func() error { return s.ends.Run(ctx) })
	g.Go(func() error { return s.follow.Run(ctx) })
	g.Go(func() error { return s.api.Subjects.Run(ctx) })
	return g.Wait()
}

// Ready reports whether the store can serve.
func (s *Service) Ready(ctx context.Context) error { return s.journal.Ready(ctx) }

// Close has nothing to release: the process closes the store.
func (s *Service) Close() error { return nil }
