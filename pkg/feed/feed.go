// Package feed is how a service tells others what changed, and how it hears
// from them: a transactional outbox that is read in order.
//
// An event is appended in the transaction of the change it tells of, so there
// is never one without the other. The feed has a fixed number of partitions,
// chosen by the resource, so that all events of one resource stay in order and
// no counter is every writer's bottleneck.
//
// Why a reader never passes an event that is still to commit. With numbers
// from a database sequence, the writer of 8 may commit before the writer of 7:
// a reader that saw 8 would go on at 9 and never see 7. Here the number comes
// from a head row that the same transaction reads and writes. Whoever is given
// n+1 has read a committed n, for otherwise the two transactions are not
// serializable and one of them runs again. So the events of a partition become
// visible in the order of their numbers, without gaps, and a cursor that holds
// one number per partition is exact.
//
// It is not a message broker: readers come to the service, nothing is pushed
// to them, and a slow one costs no memory. Nor is it the log of a group's
// messages, which is followed per group.
package feed

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/mark"
)

// Defaults of Config.
const (
	DefaultPartitions = 32
	DefaultRetention  = 7 * 24 * time.Hour
	DefaultPoll       = time.Second
	DefaultHeartbeat  = 15 * time.Second
)

// maxPartitions keeps a cursor small.
const maxPartitions = 256

// Config says what a Log needs. Only Service and Store are required.
type Config struct {
	// Service is the short name of the service, as in "groupchat".
	Service string
	Store   kv.Store
	// Partitions counts only when the feed is first used; from then on the
	// number in the store does. 1 to 256; zero is DefaultPartitions.
	Partitions int
	// Retention is how long an event is kept; zero is DefaultRetention.
	Retention time.Duration
	// Poll is how often Run looks for events of other replicas; zero is
	// DefaultPoll.
	Poll time.Duration
	// Heartbeat is the longest silence of a stream; zero is DefaultHeartbeat.
	Heartbeat time.Duration
	// Redis, when not nil, wakes other replicas at once. It only wakes: no
	// event passes through it, and without it Poll does.
	Redis redis.UniversalClient
	// Logger is told of faults of the background work; nil is silent.
	Logger *slog.Logger
	// Clock decides what is past retention; nil is time.Now.
	Clock func() time.Time
}

// Log is the feed of one service. It is safe for concurrent use.
type Log struct {
	cfg        Config
	id         feedID
	partitions uint32
	marks      mark.Reader

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced by broadcast
	announce chan struct{} // holds one: a word for Redis is due
	stopping chan struct{} // closed when Run ends
	stopOnce sync.Once
}

// feedID tells feeds apart, so that a cursor of another service, or of a store
// that was since thrown away, is not taken for one of this feed.
type feedID [4]byte

// Tables returns the raw tables of logs and consumers, for kv.Options.
func Tables() []string {
	return []string{tableMeta, tableHeads, tableEvents, tableCursors, tableLetters}
}

const (
	tableMeta    = "feed_meta"    // "feed" -> format, id, number of partitions
	tableHeads   = "feed_heads"   // ("head", p) and ("floor", p) -> sequence
	tableEvents  = "feed_events"  // (p, sequence) -> Event
	tableCursors = "feed_cursors" // (consumer) -> cursor
	tableLetters = "feed_letters" // (consumer, p, sequence) -> Event that was parked
)

// Open returns the feed of the service. At first use it records the number of
// partitions in the store.
func Open(ctx context.Context, cfg Config) (*Log, error) {
	if cfg.Service == "" || cfg.Store == nil {
		return nil, errors.New("feed: a log needs a service and a store")
	}
	if cfg.Partitions < 0 || cfg.Partitions > maxPartitions {
		return nil, fmt.Errorf("feed: %d partitions; want 1 to %d", cfg.Partitions, maxPartitions)
	}
	cfg = cfg.withDefaults()
	l := &Log{
		cfg:      cfg,
		changed:  make(chan struct{}),
		announce: make(chan struct{}, 1),
		stopping: make(chan struct{}),
	}
	var fresh feedID
	rand.Read(fresh[:]) // never fails: crypto/rand ends the process instead
	err := cfg.Store.Update(ctx, func(tx kv.Tx) error {
		var err error
		l.id, l.partitions, err = openMeta(tx, fresh, uint32(cfg.Partitions))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open the feed of %s: %w", cfg.Service, err)
	}
	return l, nil
}

func (c Config) withDefaults() Config {
	if c.Partitions == 0 {
		c.Partitions = DefaultPartitions
	}
	if c.Retention <= 0 {
		c.Retention = DefaultRetention
	}
	if c.Poll <= 0 {
		c.Poll = DefaultPoll
	}
	if c.Heartbeat <= 0 {
		c.Heartbeat = DefaultHeartbeat
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	return c
}

// corrupt is the error for stored bytes that this package did not write so.
func corrupt(format string, args ...any) error {
	return errs.New(errs.Internal, "STORE_CORRUPT", errs.InternalMessage, errs.Cause(fmt.Errorf("feed: "+format, args...)))
}
