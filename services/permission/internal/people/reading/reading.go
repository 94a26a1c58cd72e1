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
// no place in the queue. Nothing is kept over a restart.
package reading

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"math"
	"math/bits"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

const (
	raised = "guildhall.permission.alarm.raised.v1"
	action = "permission.alarms.raise"

	// queued bounds what waits to be counted.
	queued = 8192
	// room bounds the memory of all bitmaps, in bytes.
	room = 32 << 20
	// refresh is how long a new rule waits at most to be counted by.
	refresh = 10 * time.Second
	// bitsEach is how many bits a bitmap has for each resource of the threshold.
	bitsEach = 4
)

// Counter counts. It is safe for concurrent use; Open it before Run.
type Counter struct {
	reads    map[string]bool // permissions that change nothing
	load     func(r kv.Reader) ([]*permissionv1.SeparationRule, error)
	table    *kv.Table[*permissionv1.Alarm]
	store    kv.Store
	journal  *change.Journal
	logger   *slog.Logger
	rules    atomic.Pointer[map[string][]*permissionv1.SeparationRule] // by organisation
	queue    chan note
	dropped  atomic.Int64
	alarms   atomic.Int64
	seed     maphash.Seed
	trackers map[key]*tracker // of the worker
	used     int              // bytes of bitmaps
	latest   time.Time        // of the reads counted
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
		reads: make(map[string]bool), load: load, queue: make(chan note, queued), seed: maphash.MakeSeed(),
		trackers: make(map[key]*tracker),
		table: kv.NewTable(kv.TableConfig[*permissionv1.Alarm]{
			Name: "alarms", Key: func(a *permissionv1.Alarm) kv.Key {
				return kv.Key{kv.String(resource.Parent(a.GetName())), kv.Time(a.GetCreateTime().AsTime()), kv.String(a.GetName())}
			},
		}),
	}
	for _, p := range catalogue {
		if !p.Mutates {
			c.reads[p.Name] = true
		}
	}
	c.rules.Store(&map[string][]*permissionv1.SeparationRule{})
	return c
}

// Tables returns the raw tables of this package, for kv.Options.
func (c *Counter) Tables() []string { return c.table.Tables() }

// Open gives the counter its store and metrics; meter may be nil.
func (c *Counter) Open(store kv.Store, journal *change.Journal, logger *slog.Logger, meter metric.Meter) error {
	c.store, c.journal, c.logger = store, journal, logger
	if meter == nil {
		return nil
	}
	var err error
	for name, m := range map[string]struct {
		text  string
		value *atomic.Int64
	}{
		"guildhall.permission.alarms":           {"Alarms raised because of bulk reading.", &c.alarms},
		"guildhall.permission.readings.dropped": {"Reads that were not counted because too many waited, or for want of memory.", &c.dropped},
	} {
		_, failed := meter.Int64ObservableCounter(name, metric.WithDescription(m.text),
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

// Run counts until ctx ends.
func (c *Counter) Run(ctx context.Context) {
	tick := time.NewTicker(refresh)
	defer tick.Stop()
	c.refresh(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			c.refresh(ctx)
		case n := <-c.queue:
			c.count(ctx, n)
		}
	}
}

// refresh reads the rules anew, and forgets whom no rule counts any more, or who
// has long read nothing.
func (c *Counter) refresh(ctx context.Context) {
	var all []*permissionv1.SeparationRule
	err := c.store.View(ctx, func(r kv.Reader) (err error) {
		all, err = c.load(r)
		return err
	})
	if err != nil {
		if ctx.Err() == nil {
			c.logger.WarnContext(ctx, "rules against bulk reading cannot be read; counting by those known", "error", err)
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
	for _, r := range (*c.rules.Load())[n.organization] {
		if !c.concerns(r, n) {
			continue
		}
		t := c.tracker(key{r.GetName(), n.subject}, r.GetBulkRead())
		if t == nil {
			c.dropped.Add(1)
			continue
		}
		estimate := t.add(maphash.String(c.seed, n.resource), n.at)
		if estimate <= float64(r.GetBulkRead().GetThreshold()) || n.at.Before(t.quiet) {
			continue
		}
		t.quiet = n.at.Add(r.GetBulkRead().GetWindow().AsDuration())
		if err := c.raise(ctx, r, n, int32(math.Ceil(estimate)), t.from()); err != nil && ctx.Err() == nil {
			t.quiet = time.Time{} // the next read tries again
			c.logger.WarnContext(ctx, "an alarm could not be raised; trying again", "error", err)
		}
	}
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

func (c *Counter) raise(ctx context.Context, r *permissionv1.SeparationRule, n note, estimate int32, from time.Time) error {
	err := change.DoSystem(ctx, c.journal, action, func(tx *change.Tx) error {
		a := &permissionv1.Alarm{
			Name: n.organization + "/alarms/" + tx.NewID(), Rule: r.GetName(), Subject: n.subject, Resources: estimate,
			StartTime: timestamppb.New(from), CreateTime: timestamppb.New(tx.Time),
		}
		if _, err := c.table.Create(tx, a); err != nil {
			return err
		}
		tx.Record(change.Change{Resource: a.GetName(), Type: raised, Data: &permissionv1.AlarmRaised{
			Rule: a.GetRule(), Subject: a.GetSubject(), Resources: estimate,
		}})
		return nil
	})
	if err == nil {
		c.alarms.Add(1)
	}
	return err
}

// List returns a page of an organisation's alarms, newest first, and where the
// next one starts, nil at the end.
func (c *Counter) List(r kv.Reader, organization string, after []byte, limit int) ([]*permissionv1.Alarm, []byte, error) {
	page, err := c.table.List(r, kv.Query{Prefix: kv.Key{kv.String(organization)}, Reverse: true, After: after, Limit: limit})
	if err != nil {
		return nil, nil, err
	}
	out := make([]*permissionv1.Alarm, len(page.Records))
	for i, rec := range page.Records {
		out[i] = rec.Value
	}
	return out, page.Next, nil
}

// tracker returns the tracker of a key; nil when there is no room for it.
func (c *Counter) tracker(k key, b *permissionv1.BulkRead) *tracker {
	words := (int(b.GetThreshold())*bitsEach + 63) / 64
	half := b.GetWindow().AsDuration() / 2
	t := c.trackers[k]
	if t != nil && (len(t.now) != words || t.half != half) { // the rule has changed
		c.used -= t.size()
		delete(c.trackers, k)
		t = nil
	}
	if t == nil {
		t = &tracker{half: half, now: make([]uint64, words), before: make([]uint64, words)}
		if c.used+t.size() > room {
			return nil
		}
		c.used += t.size()
		c.trackers[k] = t
	}
	return t
}

// tracker has what one account read, by one rule.
type tracker struct {
	half        time.Duration
	start       time.Time // of now
	now, before []uint64
	ones        int       // bits that either has
	last        time.Time // when something was noted
	quiet       time.Time // until when no other alarm is raised
}

func (t *tracker) size() int { return 16 * len(t.now) }

func (t *tracker) from() time.Time { return t.start.Add(-t.half) }

// add notes a resource and returns about how many there were in this half of a
// window and the one before.
func (t *tracker) add(hash uint64, at time.Time) float64 {
	t.last = at
	switch age := at.Sub(t.start); {
	case age < t.half:
	case age < 2*t.half:
		t.before, t.now = t.now, t.before
		clear(t.now)
		t.start, t.ones = t.start.Add(t.half), 0
		for _, w := range t.before {
			t.ones += bits.OnesCount64(w)
		}
	default:
		clear(t.before)
		clear(t.now)
		t.start, t.ones = at, 0
	}
	size := uint64(len(t.now) * 64)
	word, mask := hash%size/64, uint64(1)<<(hash%size%64)
	if (t.now[word]|t.before[word])&mask == 0 {
		t.ones++
	}
	t.now[word] |= mask
	// A full bitmap has seen far more than the threshold.
	zero := max(float64(size)-float64(t.ones), 0.5)
	return -float64(size) * math.Log(zero/float64(size))
}
