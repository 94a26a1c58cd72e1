// Package live wakes the open streams of a group when something happened in
// it. It only wakes: what happened, a stream reads from the store, so a lost,
// late or doubled wake-up costs time and never a message.
//
// Within a process a wake-up is a closed channel. Between replicas it is a
// publication over Redis where there is one, and a look at the heads of the
// groups that are being followed every Poll where there is none.
package live

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/metric"
)

// Poll is how often followed groups are looked at for what another replica
// wrote. It is the only way without Redis, and the way back with it.
const Poll = 2 * time.Second

// channel is the Redis channel that all replicas publish on.
const channel = "guildhall:groupchat:wake"

// Config says what a Hub needs. All but Redis are required.
type Config struct {
	// Redis may be nil, or away.
	Redis redis.UniversalClient
	// Hash hides a group's name on its way through Redis, the same on all
	// replicas.
	Hash func(group string) []byte
	// Changed returns which of the groups have changed since it was last
	// asked about them.
	Changed func(ctx context.Context, groups []string) ([]string, error)
	Logger  *slog.Logger
	Meter   metric.Meter
}

// Hub wakes streams. It is safe for concurrent use.
type Hub struct {
	cfg     Config
	streams metric.Int64UpDownCounter
	self    string // marks what this hub publishes
	publish chan string

	mu     sync.Mutex
	groups map[string]*topic // by group
	byHash map[string]string // hash of a followed group to the group
}

// topic is a group that somebody follows.
type topic struct {
	followers int
	changed   chan struct{} // closed and replaced at each wake-up
}

// New returns a hub. Start Run for what other replicas do.
func New(cfg Config) (*Hub, error) {
	streams, err := cfg.Meter.Int64UpDownCounter("guildhall.groupchat.streams",
		metric.WithDescription("message streams that are open"))
	return &Hub{
		cfg:     cfg,
		streams: streams,
		self:    rand.Text(),
		publish: make(chan string, 256),
		groups:  make(map[string]*topic),
		byHash:  make(map[string]string),
	}, err
}

// Follow begins to follow a group for one stream. Call stop when done.
func (h *Hub) Follow(ctx context.Context, group string) (f *Follower, stop func()) {
	hash := h.hash(group)
	h.streams.Add(ctx, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.groups[group]
	if t == nil {
		t = &topic{changed: make(chan struct{})}
		h.groups[group] = t
		h.byHash[hash] = group
	}
	t.followers++
	return &Follower{hub: h, topic: t}, sync.OnceFunc(func() {
		h.streams.Add(context.WithoutCancel(ctx), -1)
		h.mu.Lock()
		defer h.mu.Unlock()
		if t.followers--; t.followers == 0 {
			delete(h.groups, group)
			delete(h.byHash, hash)
		}
	})
}

// Follower follows one group for one stream.
type Follower struct {
	hub   *Hub
	topic *topic
}

// Changed returns a channel that is closed at the next wake-up. Take it before
// reading the store, wait on it after: then nothing falls in between.
func (f *Follower) Changed() <-chan struct{} {
	f.hub.mu.Lock()
	defer f.hub.mu.Unlock()
	return f.topic.changed
}

// Wake wakes the group's streams here and, soon, on other replicas. It does
// not block.
func (h *Hub) Wake(group string) {
	h.wake(group)
	if h.cfg.Redis == nil {
		return
	}
	select {
	case h.publish <- group:
	default: // Redis is slow or away; the others poll
	}
}

func (h *Hub) wake(group string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t := h.groups[group]; t != nil {
		close(t.changed)
		t.changed = make(chan struct{})
	}
}

func (h *Hub) wakeHash(hash string) {
	h.mu.Lock()
	group, followed := h.byHash[hash]
	h.mu.Unlock()
	if followed {
		h.wake(group)
	}
}

func (h *Hub) hash(group string) string {
	return base64.RawStdEncoding.EncodeToString(h.cfg.Hash(group))
}

// Run wakes streams for what other replicas do, and tells them of what is done
// here, until ctx ends.
func (h *Hub) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { h.pollLoop(ctx) })
	if h.cfg.Redis != nil {
		wg.Go(func() { h.publishLoop(ctx) })
		wg.Go(func() { h.subscribe(ctx) })
	}
	wg.Wait()
	return nil
}

func (h *Hub) publishLoop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case group := <-h.publish:
			if err := h.cfg.Redis.Publish(ctx, channel, h.self+" "+h.hash(group)).Err(); err != nil && ctx.Err() == nil {
				h.cfg.Logger.DebugContext(ctx, "a wake-up was not published; other replicas poll", "error", err)
			}
		}
	}
}

// subscribe hears other replicas. The client reconnects by itself.
func (h *Hub) subscribe(ctx context.Context) {
	sub := h.cfg.Redis.Subscribe(ctx, channel)
	defer sub.Close()
	messages := sub.Channel()
	for {
		select {
		case <-ctx.Done():
			return
		case m, ok := <-messages:
			if !ok {
				return
			}
			if from, hash, ok := strings.Cut(m.Payload, " "); ok && from != h.self {
				h.wakeHash(hash)
			}
		}
	}
}

func (h *Hub) pollLoop(ctx context.Context) {
	tick := time.NewTicker(Poll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			h.poll(ctx)
		}
	}
}

func (h *Hub) poll(ctx context.Context) {
	h.mu.Lock()
	groups := make([]string, 0, len(h.groups))
	for g := range h.groups {
		groups = append(groups, g)
	}
	h.mu.Unlock()
	if len(groups) == 0 {
		return
	}
	changed, err := h.cfg.Changed(ctx, groups)
	if err != nil {
		if ctx.Err() == nil {
			h.cfg.Logger.WarnContext(ctx, "followed groups could not be looked at; streams may be late", "error", err)
		}
		return
	}
	for _, g := range changed {
		h.wake(g)
	}
}
