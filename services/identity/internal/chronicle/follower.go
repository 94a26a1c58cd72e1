package chronicle

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/durationpb"

	"guildhall.dev/pkg/feed"
	"guildhall.dev/pkg/kv"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/timeline"
)

// Source is another service and its feed.
type Source struct {
	Name string
	Open feed.Source
}

// Config says what Followers need, all of it.
type Config struct {
	Store    kv.Store
	Scribe   *Scribe
	Timeline *timeline.Book
	Sources  []Source
	Logger   *slog.Logger
	Meter    metric.Meter
	Clock    func() time.Time
}

// Followers follow the feeds of the other services. They are safe for concurrent use.
type Followers struct {
	cfg     Config
	started time.Time
	events  metric.Int64Counter
	each    []*follower
}

// follower follows one feed.
type follower struct {
	of       *Followers
	source   string
	consumer *feed.Consumer

	mu sync.Mutex
	// told are the events of the batch under way, by id: its transaction may run more
	// than once, and counts once.
	told map[string]Outcome
}

// Open returns the followers, and notes since when identity's own events are kept.
// Start Run.
func Open(ctx context.Context, cfg Config) (*Followers, error) {
	f := &Followers{cfg: cfg, started: cfg.Clock()}
	var err error
	if f.events, err = cfg.Meter.Int64Counter("guildhall.identity.timeline.events",
		metric.WithDescription("Events of other services that timelines heard, by source and by what became of them.")); err != nil {
		return nil, err
	}
	for _, s := range cfg.Sources {
		one := &follower{of: f, source: s.Name, told: make(map[string]Outcome)}
		if one.consumer, err = feed.NewConsumer(feed.ConsumerConfig{
			Name: "timeline of " + s.Name, Store: cfg.Store, Source: s.Open, TypePrefixes: cfg.Scribe.Prefixes(s.Name),
			Handle: one.handle, Applied: one.count, Park: true,
			Began:  one.begin,
			Logger: cfg.Logger, Meter: cfg.Meter, Clock: cfg.Clock,
		}); err != nil {
			return nil, err
		}
		f.each = append(f.each, one)
	}
	if err := f.instrument(); err != nil {
		return nil, err
	}
	return f, cfg.Store.Update(ctx, func(tx kv.Tx) error {
		if since, err := cfg.Timeline.Begun(tx, Self); err != nil || since != nil {
			return err
		}
		return cfg.Timeline.Begin(tx, Self, f.started)
	})
}

// Run follows all feeds until ctx ends.
func (f *Followers) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, one := range f.each {
		g.Go(func() error { return one.consumer.Run(ctx) })
	}
	return g.Wait()
}

// begin notes how far back the feed reaches. A service that does not say has told at
// least what came since the followers started.
func (f *follower) begin(tx kv.Tx, since time.Time) error {
	if since.IsZero() {
		since = f.of.started
	}
	return f.of.cfg.Timeline.Begin(tx, f.source, since)
}

func (f *follower) handle(tx kv.Tx, e *eventv1.Event) error {
	outcome, err := f.of.cfg.Scribe.Apply(tx, e)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.told[e.GetId()] = outcome
	return nil
}

// count counts the events of a batch that has taken effect.
func (f *follower) count() {
	f.mu.Lock()
	told := f.told
	f.told = make(map[string]Outcome)
	f.mu.Unlock()
	for _, outcome := range told {
		f.of.events.Add(context.Background(), 1, metric.WithAttributes(
			attribute.String("source", f.source), attribute.String("outcome", string(outcome))))
	}
}

// lag returns how late the events of a feed are, and whether it was ever heard; of one
// that was not it is the time since the start.
func (f *follower) lag() (time.Duration, bool) {
	if f.consumer.Heard().IsZero() {
		return f.of.cfg.Clock().Sub(f.of.started), false
	}
	return f.consumer.Lag(), true
}

func (f *Followers) instrument() error {
	_, err := f.cfg.Meter.Float64ObservableGauge("guildhall.identity.timeline.lag", metric.WithUnit("s"),
		metric.WithDescription("How late events of other services come into timelines, by source."),
		metric.WithFloat64Callback(func(_ context.Context, o metric.Float64Observer) error {
			for _, one := range f.each {
				lag, _ := one.lag()
				o.Observe(lag.Seconds(), metric.WithAttributes(attribute.String("source", one.source)))
			}
			return nil
		}))
	return err
}

// Sources returns the names of all sources, identity's own first.
func (f *Followers) Sources() []string {
	out := []string{Self}
	for _, one := range f.each {
		out = append(out, one.source)
	}
	return out
}

// Coverage returns how much of what each source knows is in timelines, as this replica
// knows it, in the order of Sources.
func (f *Followers) Coverage(r kv.Reader) ([]*identityv1.TimelineCoverage, error) {
	out := []*identityv1.TimelineCoverage{{Source: Self, Lag: durationpb.New(0)}}
	for _, one := range f.each {
		c := &identityv1.TimelineCoverage{Source: one.source}
		if lag, heard := one.lag(); heard {
			c.Lag = durationpb.New(lag)
		}
		out = append(out, c)
	}
	for _, c := range out {
		var err error
		if c.CompleteSince, err = f.cfg.Timeline.Begun(r, c.GetSource()); err != nil {
			return nil, err
		}
	}
	return out, nil
}
