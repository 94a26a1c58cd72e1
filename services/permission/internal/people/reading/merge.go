package reading

import (
	"context"
	"maps"
	"math/bits"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/permission/store/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

const (
	// mergeEvery is how often replicas put together what they have counted, and
	// so how late an alarm may be that takes the sum of several.
	mergeEvery = 2 * time.Second
	// mergeBatch is how many accounts one transaction merges, and mergeTimeout
	// how long the counting stands still for it at most.
	mergeBatch   = 100
	mergeTimeout = 2 * time.Second
	// sweepBatch is how many records are swept at once.
	sweepBatch = 500
)

// byEnd is the index of readings by when they say nothing any more.
const byEnd = "end"

func newReadings() *kv.Table[*storev1.Reading] {
	return kv.NewTable(kv.TableConfig[*storev1.Reading]{
		Name: "readings", Key: func(r *storev1.Reading) kv.Key { return key{r.GetRule(), r.GetSubject()}.inStore() },
		Indexes: []kv.Index[*storev1.Reading]{{
			Name: byEnd, Keys: func(r *storev1.Reading) []kv.Key { return []kv.Key{{kv.Time(r.GetEndTime().AsTime())}} },
		}},
	})
}

func (k key) inStore() kv.Key { return kv.Key{kv.String(k.rule), kv.String(k.subject)} }

// merge puts what was counted since the last time together with what other
// replicas have, and raises the alarms that the sums are reason for. What it
// cannot store it keeps for the next time.
func (c *Counter) merge(ctx context.Context) {
	maps.DeleteFunc(c.dirty, func(k key, _ bool) bool { return c.trackers[k] == nil })
	due := slices.Collect(maps.Keys(c.dirty))
	clear(c.dirty)
	for batch := range slices.Chunk(due, mergeBatch) {
		if err := c.mergeBatch(ctx, batch); err != nil {
			if !c.away && ctx.Err() == nil {
				c.cfg.Logger.WarnContext(ctx, "what was read cannot be counted together with other replicas; trying again", "error", err)
			}
			c.away = true
			c.touch(batch...)
			continue
		}
		c.away = false
		for _, k := range batch {
			if t := c.trackers[k]; t.exceeds() {
				c.alarm(ctx, k, t)
			}
		}
	}
}

// touch has accounts merged the next time.
func (c *Counter) touch(keys ...key) {
	for _, k := range keys {
		c.dirty[k] = true
	}
}

func (c *Counter) mergeBatch(ctx context.Context, batch []key) error {
	ctx, cancel := context.WithTimeout(ctx, mergeTimeout)
	defer cancel()
	keys := make([]kv.Key, len(batch))
	for i, k := range batch {
		keys[i] = k.inStore()
	}
	merged := make([]*tracker, len(batch))
	err := c.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		stored, err := c.readings.GetMany(tx, keys)
		if err != nil {
			return err
		}
		for i, k := range batch {
			merged[i] = c.trackers[k].with(stored[i].Value)
			if _, err := c.readings.Put(tx, merged[i].record(k), ""); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i, k := range batch {
		*c.trackers[k] = *merged[i]
	}
	return nil
}

// with returns what was stored, nil for nothing, together with what the tracker
// has fresh. Only that: what it had from the store before may be over by now.
func (t *tracker) with(r *storev1.Reading) *tracker {
	m := stored(t.rule, r)
	if m == nil {
		m = newTracker(t.rule)
		m.start = t.start
	}
	m.pass(t.last)
	for _, bit := range t.fresh {
		m.set(bit)
	}
	return m
}

// stored returns the tracker that a record has, or nil when there is none, or it
// is of the rule as it was.
func stored(rule *permissionv1.SeparationRule, r *storev1.Reading) *tracker {
	t := newTracker(rule)
	if int(r.GetBits()) != len(t.now)*64 || r.GetHalf() != int64(t.half) || !fill(t.now, r.GetNow()) || !fill(t.before, r.GetBefore()) {
		return nil
	}
	t.start, t.last, t.quiet = r.GetStartTime().AsTime(), r.GetLastTime().AsTime(), r.GetQuietTime().AsTime()
	t.recount()
	return t
}

func (t *tracker) record(k key) *storev1.Reading {
	return &storev1.Reading{
		Rule: k.rule, Subject: k.subject, Bits: int32(len(t.now) * 64), Half: int64(t.half),
		StartTime: timestamppb.New(t.start), Now: gaps(t.now), Before: gaps(t.before),
		LastTime: timestamppb.New(t.last), QuietTime: timestamppb.New(t.quiet),
		EndTime: timestamppb.New(t.end()),
	}
}

// end is when the tracker says nothing any more.
func (t *tracker) end() time.Time {
	if until := t.last.Add(2 * t.half); t.quiet.Before(until) {
		return endAfter(until)
	}
	return endAfter(t.quiet)
}

// endAfter returns the next whole hour: few merges move the index.
func endAfter(t time.Time) time.Time { return t.Truncate(time.Hour).Add(time.Hour) }

// gaps returns the bits as the number of zeros before each one: of few bits few
// bytes, whatever the size of the bitmap.
func gaps(words []uint64) []uint32 {
	var out []uint32
	next := uint32(0)
	for i, w := range words {
		for ; w != 0; w &= w - 1 {
			bit := uint32(i*64 + bits.TrailingZeros64(w))
			out = append(out, bit-next)
			next = bit + 1
		}
	}
	return out
}

// fill sets the bits that gaps has returned; false when they do not fit.
func fill(words []uint64, gaps []uint32) bool {
	next, size := uint64(0), uint64(len(words)*64)
	for _, gap := range gaps {
		bit := next + uint64(gap)
		if bit >= size {
			return false
		}
		words[bit/64] |= 1 << (bit % 64)
		next = bit + 1
	}
	return true
}

// sweep deletes records that say nothing any more. Replicas may do so at once.
func (c *Counter) sweep(ctx context.Context) error {
	var over []key
	now := c.cfg.Clock()
	err := c.cfg.Store.View(ctx, func(r kv.Reader) error {
		over = nil
		for rec, err := range c.readings.Scan(r, kv.Query{Index: byEnd, Until: kv.Key{kv.Time(now)}, Limit: sweepBatch}) {
			if err != nil {
				return err
			}
			over = append(over, key{rec.Value.GetRule(), rec.Value.GetSubject()})
		}
		return nil
	})
	if err != nil || len(over) == 0 {
		return err
	}
	return c.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		for _, k := range over {
			rec, found, err := c.readings.Find(tx, k.inStore())
			if err != nil {
				return err
			}
			if !found || rec.Value.GetEndTime().AsTime().After(now) {
				continue
			}
			if _, err := c.readings.Delete(tx, k.inStore(), ""); err != nil {
				return err
			}
		}
		return nil
	})
}
