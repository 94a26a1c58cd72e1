package lease

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/metric"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/services/permission/internal/fresh"
	"guildhall.dev/services/permission/internal/sequence"
)

// Defaults and bounds of Config.
const (
	DefaultLength  = 3 * time.Second
	DefaultRenewal = 250 * time.Millisecond
	MinLength      = 100 * time.Millisecond
	MaxLength      = time.Minute
)

// lookTimeout bounds one look, which serves many and so does not end with the
// context of one.
const lookTimeout = 3 * time.Second

// sweepAfter is after how many lengths of silence a row is swept.
const sweepAfter = 4

// Config says what a Keeper needs. Store and Apply are required.
type Config struct {
	// Store holds the tables of this package and of package sequence.
	Store kv.Store
	// Apply brings memory up to date with changes before it returns nil. It is
	// not called twice at once.
	Apply func(ctx context.Context, changes sequence.Changes) error
	// Length is how long a renewal lasts, MinLength to MaxLength; zero is
	// DefaultLength. A change waits for a dead replica that long.
	Length time.Duration
	// Renewal is how often the lease is renewed, and so how long a change
	// waits for replicas that hear nothing of it; at most half the length.
	// Zero is DefaultRenewal, or a fourth of a length that is short.
	Renewal time.Duration
	// Redis carries announcements; nil for none.
	Redis redis.UniversalClient
	// Clock returns the time with its monotonic reading; nil is time.Now.
	Clock  func() time.Time
	Meter  metric.Meter
	Logger *slog.Logger
}

// Keeper holds the lease of this replica and watches those of others. It is
// safe for concurrent use.
type Keeper struct {
	cfg   Config
	id    string
	stats *stats
	looks *fresh.Reader[struct{}, *sight]

	term    atomic.Pointer[term]            // nil when none was made, or it was taken back
	applied atomic.Pointer[sequence.Vector] // what memory has; nil before the first look
	seen    map[string]sighting             // of other leases; belongs to the look under way

	// These belong to Run.
	beat    uint64          // of the last renewal that was sent
	written sequence.Vector // what the row says that memory has
	failing bool            // the last renewal did not come through

	wake  chan struct{} // holds one when somebody announced a change
	moved chan struct{} // holds one when a look applied something
	words chan struct{} // holds one when there is something to announce
}

// New returns a Keeper that holds no lease yet; see Run.
func New(cfg Config) (*Keeper, error) {
	if cfg.Store == nil || cfg.Apply == nil {
		return nil, errors.New("lease: a keeper needs a store and a memory to apply changes to")
	}
	if cfg.Length == 0 {
		cfg.Length = DefaultLength
	}
	if cfg.Renewal == 0 {
		cfg.Renewal = min(DefaultRenewal, cfg.Length/4)
	}
	if cfg.Length < MinLength || cfg.Length > MaxLength || cfg.Renewal < 0 || cfg.Renewal > cfg.Length/2 {
		return nil, errors.New("lease: lease_length is 100ms to 1m, and lease_renewal at most half of it")
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	k := &Keeper{
		cfg: cfg, id: rand.Text(),
		wake: make(chan struct{}, 1), moved: make(chan struct{}, 1), words: make(chan struct{}, 1),
	}
	k.looks = fresh.NewReader(lookTimeout, func(ctx context.Context, _ []struct{}) ([]*sight, error) {
		s, err := k.look(ctx)
		return []*sight{s}, err
	})
	var err error
	k.stats, err = newStats(cfg.Meter, k.age)
	return k, err
}

// Holds reports whether memory may be answered from, by a reading of the clock
// that follows the call. Whoever comes after a change has returned, and is told
// yes, finds the change in memory.
func (k *Keeper) Holds() bool {
	t := k.term.Load()
	return t != nil && t.runs(k.cfg.Clock())
}

func (k *Keeper) age() time.Duration {
	t := k.term.Load()
	if t == nil {
		return 0
	}
	return k.cfg.Clock().Sub(t.begun)
}
