// Package cache keeps compiled subjects and roles in memory, and subjects in
// Redis, and never answers from them what a change has taken back.
//
// What is kept is what decisions are made of, not decisions: a change of a
// grant, a team or a role then makes one entry useless instead of all the
// answers it had part in.
//
// # Why an entry can be trusted
//
// An entry carries the revision it was read at. It is good at a later revision
// if the organisation's change log shows no change in between that touched its
// name. The end of the log is kept in memory (journal); applying a change to
// it drops the entries that it touched. Nothing is ever deleted "after a
// write", which a slow reader could undo: an entry that was read before a
// change and arrives after it is refused by its revision.
//
// A decision is made on one state: View notes the journal's revision at its
// beginning, and starts again at a later one when it meets an entry that was
// read since. (An entry that was read before, and is still there, was good at
// the noted revision too.) Otherwise a check could see that an account is in a
// team as of yesterday, and what the team may do as of tomorrow, and say yes to
// what was never allowed.
//
// # Why the revision can be trusted
//
// A store that only this process can open (bbolt) changes by this process's
// own writes, and Writes brings the journal up to date before such a write
// returns. On PostgreSQL other replicas write too. There a replica holds a
// lease (package lease): while it does, every change that has returned, through
// any replica, is in its journals. Either way checks read nothing from the
// store but what memory lacks.
//
// A replica without a lease, because it has just started or cannot renew,
// confirms the revision of every check by a read of one row that began after
// the check came in (package fresh), and so says nothing that is not so. When
// that read fails, the check does.
//
// # Redis
//
// Redis is a second level for what memory does not hold, as after a restart.
// Its entries are sealed, and used only if the change log says that they are
// as good as new; so Redis may lie, lag or vanish, and is slow at worst.
package cache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"
	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/metric"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/seal"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/fresh"
	"guildhall.dev/services/permission/internal/lease"
	"guildhall.dev/services/permission/internal/revision"
)

// Config says what a Cache needs. Store and Loader are required; Ring is with
// Redis.
type Config struct {
	Store  kv.Store
	Loader *decide.Loader
	// MemoryBytes is about how much memory entries may take.
	MemoryBytes uint64
	// Redis is nil when there is none.
	Redis redis.UniversalClient
	// Ring seals what goes to Redis.
	Ring *seal.Ring
	// RedisTTL is how long Redis keeps an entry that is not read from the
	// store again.
	RedisTTL time.Duration
	// Lease is how leases are held where other processes may have the store
	// open too; nil holds none, and every check confirms its revision. Its
	// Length, Renewal and Clock count, the rest is the cache's.
	Lease *lease.Config
	// Aside are the tables that no answer about grants depends on: an Update
	// that touches no others waits for nobody.
	Aside []string
	// Meter records what Stats counts; nil records nothing.
	Meter metric.Meter
	// Logger hears when Redis comes and goes; nil is silent.
	Logger *slog.Logger
}

// Cache is the two levels. It is safe for concurrent use.
type Cache struct {
	cfg       Config
	exclusive bool
	memory    *otter.Cache[string, *entry]
	second    *second // nil without Redis
	heads     *fresh.Reader[string, revision.Revision]
	keeper    *lease.Keeper // nil without leases
	stats     *Stats

	journals sync.Map // organisation -> *journal
	filling  stripes
}

// New returns an empty cache of the store.
func New(cfg Config) (*Cache, error) {
	if cfg.Store == nil || cfg.Loader == nil || cfg.MemoryBytes == 0 {
		return nil, errors.New("cache: a cache needs a store, a loader and a size")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	c := &Cache{cfg: cfg, exclusive: kv.Exclusive(cfg.Store), stats: &Stats{}, filling: newStripes()}
	c.heads = fresh.NewReader(confirmTimeout, c.readHeads)
	var err error
	if c.memory, err = otter.New(&otter.Options[string, *entry]{
		MaximumWeight: cfg.MemoryBytes,
		Weigher:       func(_ string, e *entry) uint32 { return e.weight },
	}); err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	if cfg.Redis != nil {
		if c.second, err = newSecond(cfg, c.stats); err != nil {
			return nil, err
		}
	}
	if cfg.Lease != nil && !c.exclusive {
		l := *cfg.Lease
		l.Store, l.Apply, l.Redis, l.Meter, l.Logger = cfg.Store, c.applyChanges, cfg.Redis, cfg.Meter, cfg.Logger
		if c.keeper, err = lease.New(l); err != nil {
			return nil, err
		}
	}
	return c, c.stats.register(cfg.Meter)
}

// Stats returns the counters of the cache.
func (c *Cache) Stats() *Stats { return c.stats }

// Run holds the lease and writes to Redis what was read from the store, until
// ctx ends. Without it checks confirm their revisions and Redis gets nothing.
func (c *Cache) Run(ctx context.Context) {
	var running sync.WaitGroup
	if c.keeper != nil {
		running.Go(func() { c.keeper.Run(ctx) })
	}
	if c.second != nil {
		running.Go(func() { c.second.run(ctx) })
	}
	<-ctx.Done()
	running.Wait()
}

// Close ends the background work of the memory level.
func (c *Cache) Close() { c.memory.StopAllGoroutines() }

// attempts are how often View begins again, and fill reads again, because of
// changes that come in between, before View reads a snapshot of the store.
const attempts = 4

// View runs fn on one state of the organisation that is no older than the
// call, and returns its revision. fn may run more than once. An error that fn
// got from the facts it returns as it is; others come back unchanged.
func (c *Cache) View(ctx context.Context, organization string, fn func(decide.Facts) error) (revision.Revision, error) {
	return c.ViewAs(ctx, organization, Need{}, fn)
}

// viewMemory runs fn on the journal's state, which is fresh enough.
func (c *Cache) viewMemory(ctx context.Context, j *journal, fn func(decide.Facts) error) (revision.Revision, error) {
	f := &facts{ctx: ctx, cache: c, journal: j}
	defer f.count()
	for range attempts {
		f.state, f.ahead = j.state.Load(), 0
		err := fn(f)
		if f.ahead > 0 {
			// An entry of a later state was met: look at everything from there.
			if err := c.catchUp(ctx, j, f.ahead); err != nil {
				return revision.Revision{}, err
			}
			continue
		}
		return f.state.revision, err
	}
	return c.viewStore(ctx, j.organization, fn)
}

// viewStore is View on a snapshot of the store: for who asks for it, and for
// when changes follow each other so quickly that memory never holds all of one
// state.
func (c *Cache) viewStore(ctx context.Context, organization string, fn func(decide.Facts) error) (v revision.Revision, err error) {
	c.stats.Snapshots.Add(1)
	err = c.cfg.Store.View(ctx, func(r kv.Reader) error {
		if v, err = revision.Head(r, organization); err != nil {
			return err
		}
		return fn(c.cfg.Loader.Snapshot(r))
	})
	return v, err
}

// journal returns the organisation's journal, loaded or not.
func (c *Cache) journal(organization string) *journal {
	if j, ok := c.journals.Load(organization); ok {
		return j.(*journal)
	}
	j, _ := c.journals.LoadOrStore(organization, newJournal(organization))
	return j.(*journal)
}
