package feed

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.opentelemetry.io/otel/metric"
	"google.golang.org/grpc"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
)

// Source opens a stream of another service's feed: the StreamEvents method of
// its generated client.
type Source func(ctx context.Context, req *eventv1.StreamEventsRequest, opts ...grpc.CallOption) (grpc.ServerStreamingClient[eventv1.StreamEventsResponse], error)

// ConsumerConfig says what a Consumer follows and what it does. Name, Store,
// Source and Handle are required.
type ConsumerConfig struct {
	// Name is the consumer's own within the store, as in "identity": its
	// cursor is kept under it.
	Name  string
	Store kv.Store
	// Source and TypePrefixes say what to follow. Parent empty is all
	// organisations.
	Source       Source
	Parent       string
	TypePrefixes []string
	// Handle applies one event. It runs in the transaction that stores the
	// cursor, with other events of its batch, maybe more than once: it is pure
	// like any closure of Update. It ignores types it does not know.
	Handle func(tx kv.Tx, e *eventv1.Event) error
	// Resync reads the resources anew, by RPC, and stores what it finds. It is
	// called when there is no cursor yet and when the cursor is past
	// retention. Events since before it began are handled after it, so Handle
	// may meet an event that Resync has seen the effect of. Nil starts at the
	// oldest event kept, and stops at a lost cursor until an operator acts, or
	// begins again, see Began.
	Resync func(ctx context.Context) error
	// Began is for a consumer without Resync to which a gap is no fault: it is
	// called in the first transaction, with the time since which the feed had
	// everything then, zero when the source does not say. At a lost cursor the
	// consumer begins anew at the oldest event kept, and Began is called again;
	// Handle may then meet events that it has handled before.
	Began func(tx kv.Tx, since time.Time) error
	// Park lets the consumer go on past an event that Handle refuses with an
	// Invalid error: it is kept as a dead letter. By default the consumer
	// stops at the event, tries again with backoff and is not Ready. Leave it
	// so wherever a missed event means a wrong permission.
	Park bool
	// Applied is called after a transaction with effects has committed, to
	// wake whoever waits for them. It may be nil.
	Applied func()
	// Idle is the longest silence before the stream is opened again; it must
	// be longer than the heartbeat. Zero is a minute.
	Idle time.Duration
	// Logger is told of failures; nil is silent.
	Logger *slog.Logger
	// Meter records lag and failures; nil records none.
	Meter metric.Meter
	// Clock measures lag; nil is time.Now.
	Clock func() time.Time
}

// Backoff between attempts.
const (
	firstPause = 100 * time.Millisecond
	maxPause   = 15 * time.Second
)

// settle is how long the store may lag behind a stream that has nothing for the
// consumer: a busy source would else cost a write for each event of others. It is
// what is read again after a crash.
const settle = 10 * time.Second

// Consumer follows the feed of another service. Its cursor is stored in the
// transaction of the effects, so every event takes effect exactly once, in
// order per resource, whatever crashes when. Replicas of one service may run
// consumers of one name: the stored cursor decides which events are new.
type Consumer struct {
	cfg      ConsumerConfig
	failures metric.Int64Counter

	// What only Run's goroutine touches: since when the feed had everything when
	// its first response came, and when the cursor was last stored.
	since, wrote time.Time

	mu      sync.Mutex
	applied position      // what is known to have taken effect
	moved   chan struct{} // closed and replaced when applied changes
	nudge   chan struct{} // holds one: the source is there, try again
	stuck   error         // why Ready says no
	lag     time.Duration // when the last response was applied
	contact time.Time     // when that was; zero when never
}

// NewConsumer returns a consumer; Run starts it.
func NewConsumer(cfg ConsumerConfig) (*Consumer, error) {
	if cfg.Name == "" || cfg.Store == nil || cfg.Source == nil || cfg.Handle == nil {
		return nil, errors.New("feed: a consumer needs a name, a store, a source and a handler")
	}
	if cfg.Parent == "" {
		cfg.Parent = AllOrganizations
	}
	if cfg.Idle <= 0 {
		cfg.Idle = time.Minute
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	cfg.Logger = cfg.Logger.With("consumer", cfg.Name)
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	c := &Consumer{cfg: cfg, moved: make(chan struct{}), nudge: make(chan struct{}, 1)}
	return c, c.instrument()
}

// Run follows the feed until ctx ends, and then returns nil. Failures are
// logged and tried again with growing, jittered pauses. Run it once.
func (c *Consumer) Run(ctx context.Context) error {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = firstPause, maxPause
	for {
		progress, err := c.follow(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if progress {
			pause.Reset()
		}
		c.failed(ctx, err)
		timer := time.NewTimer(pause.NextBackOff())
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-c.nudge:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// follow reads one stream to its end, and reports whether anything of it took
// effect.
func (c *Consumer) follow(ctx context.Context) (progress bool, err error) {
	cursor, err := c.begin(ctx)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// A connection may die without a word; heartbeats stop then too.
	idle := time.AfterFunc(c.cfg.Idle, cancel)
	defer idle.Stop()
	stream, err := c.cfg.Source(ctx, c.request(cursor))
	if err != nil {
		return false, err
	}
	for {
		resp, err := stream.Recv()
		if err != nil {
			return progress, c.lost(ctx, cursor, err)
		}
		idle.Stop() // applying takes the time it takes
		if since := resp.GetKeptSince(); since != nil {
			c.since = since.AsTime()
		}
		if cursor, err = c.apply(ctx, cursor, resp); err != nil {
			return progress, err
		}
		progress = true
		idle.Reset(c.cfg.Idle)
	}
}

// begin returns the cursor to follow from.
func (c *Consumer) begin(ctx context.Context) (string, error) {
	cursor, err := c.stored(ctx)
	if err != nil || cursor != "" || c.cfg.Resync == nil {
		return cursor, err
	}
	return c.resync(ctx, cursor)
}

// lost handles the end of a stream, which for a lost cursor is to read all
// resources anew.
func (c *Consumer) lost(ctx context.Context, cursor string, err error) error {
	if !errs.Is(err, errs.OutOfRange) {
		return err
	}
	if c.cfg.Resync == nil && c.cfg.Began != nil {
		c.cfg.Logger.Warn("feed: the cursor is lost, going on at the oldest event kept", "error", err)
		return c.forget(ctx, cursor)
	}
	if c.cfg.Resync == nil {
		return &stuckError{err}
	}
	c.cfg.Logger.Warn("feed: the cursor is lost, reading all resources anew", "error", err)
	_, err = c.resync(ctx, cursor)
	return err
}

func (c *Consumer) request(cursor string) *eventv1.StreamEventsRequest {
	return &eventv1.StreamEventsRequest{Parent: c.cfg.Parent, Cursor: cursor, TypePrefixes: c.cfg.TypePrefixes}
}

// resync reads the resources anew and returns the cursor to go on from. The
// end of the feed is taken first: what changes while Resync reads comes as
// events.
func (c *Consumer) resync(ctx context.Context, old string) (string, error) {
	end, err := c.end(ctx)
	if err != nil {
		return "", err
	}
	if err := c.cfg.Resync(ctx); err != nil {
		return "", err
	}
	return end.String(), c.store(ctx, old, end)
}

// end asks the source where its feed ends now.
func (c *Consumer) end(ctx context.Context) (position, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Idle)
	defer cancel()
	req := c.request(Latest)
	req.StopAtEnd = true
	stream, err := c.cfg.Source(ctx, req)
	if err != nil {
		return position{}, err
	}
	resp, err := stream.Recv()
	if err != nil {
		return position{}, err
	}
	return parseCursor(resp.GetCursor())
}
