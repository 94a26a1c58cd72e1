// Package reading raises an alarm when an account reads more than a rule finds
// good (SeparationRule.bulk_read). It denies nothing: what is much is for people
// to judge.
//
// Counting is off the path of checks: Note leaves a word in a bounded queue and
// one worker counts. For each account and rule it keeps two bitmaps of the
// resources' hashes, one for each half of a window, and estimates how many are
// distinct by how many bits are still zero (linear counting; Whang,
// Vander-Zanden, Taylor, ACM TODS 1990). With four bits for each resource of the
// threshold the standard error is 0.74/√(4·threshold): 3.7 % at 100, 1.2 % at
// 1000. Memory is bounded; what finds no room is a metric, and so is what found
// no place in the queue.
//
// # Replicas
//
// Each replica counts what it answers itself, and every two seconds puts the new
// bits of whom it has counted to those that the store has, and takes over what
// others have put there: a bit that is set twice counts once, so a resource read
// through two replicas is one. Whoever's merge brings the sum over the threshold
// raises the alarm, in a transaction that also notes until when there is no
// other: one a window, whoever counts. So an alarm comes two seconds late at
// most, and at once where one replica has seen enough; a replica that dies takes
// two seconds of counting with it.
//
// The store has what the bits of a hash under the installation's key tell, and
// no resource. Time goes by the clock that is ahead: with clocks apart by more
// than half a window too much is counted, never too little.
package reading

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"

	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/permission/store/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// Purpose is that of the key of Config, for seal.Ring.Derive.
const Purpose = "permission readings"

const (
	// queued bounds what waits to be counted.
	queued = 8192
	// room bounds the memory of all bitmaps, in bytes.
	room = 32 << 20
	// refresh is how long a new rule waits at most to be counted by.
	refresh = 10 * time.Second
)

// Config says what a Counter works on. Only Meter may be nil.
type Config struct {
	Store   kv.Store
	Journal *change.Journal
	// Key is what resources are hashed with, the same for all replicas. Who
	// does not know it cannot choose resources that count as few.
	Key    []byte
	Clock  func() time.Time
	Logger *slog.Logger
	Meter  metric.Meter
}

// Counter counts. It is safe for concurrent use; Open it before Run.
type Counter struct {
	cfg      Config
	reads    map[string]bool // permissions that change nothing
	load     func(r kv.Reader) ([]*permissionv1.SeparationRule, error)
	alarms   *kv.Table[*permissionv1.Alarm]
	readings *kv.Table[*storev1.Reading]
	rules    atomic.Pointer[map[string][]*permissionv1.SeparationRule] // by organisation
	queue    chan note
	dropped  atomic.Int64
	raised   atomic.Int64

	// These belong to the worker.
	trackers map[key]*tracker
	dirty    map[key]bool // have something for the store
	away     bool         // the last merge failed
	used     int          // bytes of bitmaps
	latest   time.Time    // of the reads counted
	hashing  []byte       // the key, and room for a name behind it
}

type note struct {
	organization, subject, permission, resource string
	at                                          time.Time
}

type key struct{ rule, subject string }

// New returns a counter of what the catalogue calls reading, by the rules that
// load returns.
func New(catalogue []authz.Permission, load func(r kv.Reader) ([]*permissionv1.SeparationRule, error)) *Counter {
	c := &Counter{
		reads: make(map[string]bool), load: load, queue: make(chan note, queued),
		trackers: make(map[key]*tracker), dirty: make(map[key]bool), alarms: newAlarms(), readings: newReadings(),
	}
	for _, p := range catalogue {
		if !p.Mutates {
			c.reads[p.Name] = true
		}
	}
	c.rules.Store(&map[string][]*permissionv1.SeparationRule{})
	return c
}

// Tables returns the raw tables of this package, for kv.Options. No answer to a
// check depends on them.
func (c *Counter) Tables() []string { return slices.Concat(c.alarms.Tables(), c.readings.Tables()) }

// Open gives the counter what it works on.
func (c *Counter) Open(cfg Config) error {
	c.cfg, c.hashing = cfg, slices.Clone(cfg.Key)
	if cfg.Meter == nil {
		return nil
	}
	var err error
	for name, m := range map[string]struct {
		text  string
		value *atomic.Int64
	}{
		"guildhall.permission.alarms":           {"Alarms raised because of bulk reading.", &c.raised},
		"guildhall.permission.readings.dropped": {"Reads that were not counted because too many waited, or for want of memory.", &c.dropped},
	} {
		_, failed := cfg.Meter.Int64ObservableCounter(name, metric.WithDescription(m.text),
			metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error { o.Observe(m.value.Load()); return nil }))
		err = errors.Join(err, failed)
	}
	if err != nil {
		return fmt.Errorf("metrics of readings: %w", err)
	}
	return nil
}

// Note takes an answer of yes into account. It never waits, and is next to
// nothing for an organisation without rules.
func (c *Counter) Note(organization, subject, permission, resource string, at time.Time) {
	if len((*c.rules.Load())[organization]) == 0 {
		return
	}
	select {
	case c.queue <- note{organization, subject, permission, resource, at}:
	default:
		c.dropped.Add(1)
	}
}

// Run counts until ctx ends; what was counted by then is still merged.
func (c *Counter) Run(ctx context.Context) {
	refreshing, merging := time.NewTicker(refresh), time.NewTicker(mergeEvery)
	defer refreshing.Stop()
	defer merging.Stop()
	c.refresh(ctx)
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), mergeTimeout)
			defer cancel()
			c.merge(last)
			return
		case <-refreshing.C:
			c.refresh(ctx)
		case <-merging.C:
			c.merge(ctx)
		case n := <-c.queue:
			c.count(ctx, n)
		}
	}
}

// refresh reads the rules anew, and forgets whom no rule counts any more, or who
// has long read nothing.
func (c *Counter) refresh(ctx context.Context) {
	var all []*permissionv1.SeparationRule
	err := c.cfg.Store.View(ctx, func(r kv.Reader) (err error) {
		all, err = c.load(r)
		return err
	})
	if err = errors.Join(err, c.sweep(ctx)); err != nil {
		if ctx.Err() == nil {
			c.cfg.Logger.WarnContext(ctx, "rules against bulk reading cannot be read; counting by those known", "error", err)
		}
		return
	}
	rules := make(map[string][]*permissionv1.SeparationRule)
	known := make(map[string]bool)
	for _, r := range all {
		organization := resource.Parent(r.GetName())
		rules[organization] = append(rules[organization], r)
		known[r.GetName()] = true
	}
	c.rules.Store(&rules)
	for k, t := range c.trackers {
		if !known[k.rule] || c.latest.Sub(t.last) >= 2*t.half {
			c.used -= t.size()
			delete(c.trackers, k)
		}
	}
}

func (c *Counter) count(ctx context.Context, n note) {
	c.latest = n.at
	hash, hashed := uint64(0), false
	for _, r := range (*c.rules.Load())[n.organization] {
		if !c.concerns(r, n) {
			continue
		}
		k := key{r.GetName(), n.subject}
		t := c.tracker(k, r)
		if t == nil {
			c.dropped.Add(1)
			continue
		}
		if !hashed {
			hash, hashed = c.hash(n.resource), true
		}
		t.add(hash, n.at)
		if len(t.fresh) > 0 {
			c.touch(k)
		}
		if t.exceeds() && !c.away {
			c.merge(ctx) // the sum is no less: why wait
		}
	}
}

// hash returns the keyed hash of a resource that bits are of. It is that of
// SHA-256, whose length extension helps nobody who does not see it.
func (c *Counter) hash(resource string) uint64 {
	c.hashing = append(c.hashing[:len(c.cfg.Key)], resource...)
	sum := sha256.Sum256(c.hashing)
	return binary.LittleEndian.Uint64(sum[:])
}

// concerns reports whether a rule counts the read.
func (c *Counter) concerns(r *permissionv1.SeparationRule, n note) bool {
	if on := r.GetResource(); on != "" && n.resource != on && !strings.HasPrefix(n.resource, on+"/") {
		return false
	}
	for _, e := range r.GetExemptions() {
		if e.GetSubject() == n.subject && n.at.Before(e.GetExpireTime().AsTime()) {
			return false
		}
	}
	if named := r.GetBulkRead().GetPermissions(); len(named) > 0 {
		return slices.Contains(named, n.permission)
	}
	return c.reads[n.permission]
}

// tracker returns the tracker of a key; nil when there is no room for it.
func (c *Counter) tracker(k key, r *permissionv1.SeparationRule) *tracker {
	t := c.trackers[k]
	if t != nil && !t.fits(r) { // the rule has changed
		c.used -= t.size()
		delete(c.trackers, k)
		t = nil
	}
	if t == nil {
		t = newTracker(r)
		if c.used+t.size() > room {
			return nil
		}
		c.used += t.size()
		c.trackers[k] = t
	}
	t.rule = r
	return t
}
