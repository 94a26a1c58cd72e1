// Package usage notes on which day a grant last decided a check, so that
// grants that nobody needs can be found.
//
// It stands behind the checks and must cost them nothing: Note is a hash and
// one load from memory for a grant that was noted that day already, and takes
// a lock once per grant and day otherwise. Days, and not instants, so that a
// grant that decides a thousand checks a second is written once a day. A
// worker writes what was noted in batches; a crash loses the notes of one
// interval.
//
// What it says is no proof: notes that memory has no room for are dropped, and
// counted.
package usage

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/permission/store/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/grant"
)

const (
	// maxPending bounds the notes that wait to be written: about 20 MB.
	maxPending = 100_000
	// slots is the size of the filter before the notes, in bits of a hash.
	slots = 1 << 15
	// DefaultInterval is how often notes are written.
	DefaultInterval = time.Minute

	daySeconds = 24 * 60 * 60
)

// Config says what a Recorder needs. Store and Grants are required.
type Config struct {
	Store  kv.Store
	Grants *grant.Grants
	// Interval is how often notes are written; zero is DefaultInterval.
	Interval time.Duration
	// Meter counts what was dropped; nil counts nothing.
	Meter metric.Meter
	// Logger hears of writes that fail; nil is silent.
	Logger *slog.Logger
}

// Recorder notes uses and tells of them. It is safe for concurrent use.
type Recorder struct {
	cfg  Config
	uses *kv.Table[*storev1.GrantUse]

	seed maphash.Seed
	// seen holds, by the low bits of the hash of a grant and a day, the whole
	// of it. A note that it has was made; one that another pushed out is made
	// again, which only costs.
	seen [slots]atomic.Uint64

	mu      sync.Mutex
	pending map[string]int32 // grant -> day
	dropped atomic.Int64

	swept []byte // where the last sweep ended; only Run touches it
}

// Table is the table of uses. It is made before the store is open, and New
// works on it.
type Table struct{ uses *kv.Table[*storev1.GrantUse] }

// NewTable returns the table.
func NewTable() Table {
	return Table{kv.NewTable(kv.TableConfig[*storev1.GrantUse]{
		Name: "grant_uses", Key: func(u *storev1.GrantUse) kv.Key { return keyOf(u.GetGrant()) },
	})}
}

// Tables returns the raw tables of this package, for kv.Options.
func (t Table) Tables() []string { return t.uses.Tables() }

// New returns a recorder that has noted nothing yet.
func New(cfg Config, table Table) (*Recorder, error) {
	if cfg.Store == nil || cfg.Grants == nil {
		return nil, errors.New("usage: a recorder needs a store and grants")
	}
	if cfg.Interval <= 0 {
		cfg.Interval = DefaultInterval
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	u := &Recorder{cfg: cfg, uses: table.uses, seed: maphash.MakeSeed(), pending: make(map[string]int32)}
	if cfg.Meter == nil {
		return u, nil
	}
	_, err := cfg.Meter.Int64ObservableCounter("guildhall.permission.usage.dropped",
		metric.WithDescription("Uses of grants that were not noted because too many waited to be written."),
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(u.Dropped())
			return nil
		}))
	if err != nil {
		return nil, fmt.Errorf("metric of usage: %w", err)
	}
	return u, nil
}

// Note notes that the grant decided a check at the time.
func (u *Recorder) Note(name string, at time.Time) {
	day := at.Unix() / daySeconds
	// An odd factor keeps days of one grant apart.
	mark := maphash.String(u.seed, name) + uint64(day)*0x9e3779b97f4a7c15
	slot := &u.seen[mark%slots]
	if slot.Load() == mark {
		return
	}
	if u.add(name, int32(day)) {
		slot.Store(mark)
	}
}

// add keeps a note until it is written, and reports whether there was room.
func (u *Recorder) add(name string, day int32) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	old, noted := u.pending[name]
	if !noted && len(u.pending) >= maxPending {
		u.dropped.Add(1)
		return false
	}
	if day > old {
		// The name may lie in a message; the note outlives it.
		u.pending[strings.Clone(name)] = day
	}
	return true
}

// Dropped returns how many notes there was no room for.
func (u *Recorder) Dropped() int64 { return u.dropped.Load() }

// Days returns, for each grant, when the day began on which it last decided a
// check; the zero time for one that never has. A use from before the grant was
// made was that of another grant of its name.
func (u *Recorder) Days(r kv.Reader, grants []*permissionv1.Grant) ([]time.Time, error) {
	keys := make([]kv.Key, len(grants))
	for i, g := range grants {
		keys[i] = keyOf(g.GetName())
	}
	records, err := u.uses.GetMany(r, keys)
	if err != nil {
		return nil, err
	}
	days := make([]time.Time, len(grants))
	for i, rec := range records {
		made := grants[i].GetCreateTime().GetSeconds() / daySeconds
		if rec.Found() && int64(rec.Value.GetDay()) >= made {
			days[i] = time.Unix(int64(rec.Value.GetDay())*daySeconds, 0).UTC()
		}
	}
	return days, nil
}

func keyOf(name string) kv.Key {
	return kv.Key{kv.String(resource.Parent(name)), kv.String(name[strings.LastIndexByte(name, '/')+1:])}
}
