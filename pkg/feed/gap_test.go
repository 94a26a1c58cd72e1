package feed_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/feed"
	"guildhall.dev/pkg/kv"
)

// TestConsumer_beginsAnewAtALostCursor: with Began, and says since when it has all.
func TestConsumer_beginsAnewAtALostCursor(t *testing.T) {
	eachStore(t, func(t *testing.T, s kv.Store) {
		source := openBolt(t)
		l := openLog(t, source)
		p := newPipe(t, l)
		var mu sync.Mutex
		var began []time.Time
		config := func(c *feed.ConsumerConfig) {
			c.Began = func(_ kv.Tx, since time.Time) error {
				mu.Lock()
				defer mu.Unlock()
				if n := len(began); n == 0 || !began[n-1].Equal(since) { // the closure may run again
					began = append(began, since)
				}
				return nil
			}
		}
		appendGroups(t, source, l, 0, 5)
		c, stop := follow(t, p, s, config)
		caughtUp(t, c)
		stop()
		checkCounts(t, s, 5, 1)
		if len(began) != 1 || !began[0].Equal(time.Unix(0, 0)) {
			t.Errorf("began %v, want once, with all there ever was", began)
		}
		appendGroups(t, source, l, 5, 10)
		trimAll(t, source)
		fresh := event(group(10))
		fresh.Time = timestamppb.New(time.Now())
		appendAll(t, source, l, fresh)
		c, stop = follow(t, p, s, config)
		until(t, "the consumer begins anew", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(began) == 2
		})
		caughtUp(t, c)
		stop()
		if want := start.Add(-feed.DefaultRetention); !began[1].Equal(want) {
			t.Errorf("began with what is kept since %v, want %v", began[1], want)
		}
		if err := c.Ready(); err != nil || c.Heard().IsZero() {
			t.Errorf("Ready: %v, heard %v", err, c.Heard())
		}
	})
}

// TestConsumer_writesNothingForOthersEvents: a busy source costs one that asked for
// other types a write now and then, and a restart misses nothing.
func TestConsumer_writesNothingForOthersEvents(t *testing.T) {
	s, source := openBolt(t), openBolt(t)
	l := openLog(t, source)
	p := newPipe(t, l)
	var now atomic.Int64
	now.Store(start.UnixNano())
	config := func(c *feed.ConsumerConfig) {
		c.TypePrefixes, c.Clock = []string{"guildhall.other."}, func() time.Time { return time.Unix(0, now.Load()) }
	}
	cursor := func() (row string) {
		if err := s.View(t.Context(), func(r kv.Reader) error {
			for item, err := range r.Scan("feed_cursors", kv.Range{}) {
				if err != nil {
					return err
				}
				row = string(item.Value)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return row
	}
	c, stop := follow(t, p, s, config)
	caughtUp(t, c)
	first := cursor()
	appendGroups(t, source, l, 0, 3)
	caughtUp(t, c)
	if first == "" || cursor() != first {
		t.Error("events of others moved the stored cursor at once")
	}
	now.Add(int64(11 * time.Second))
	appendGroups(t, source, l, 3, 4)
	caughtUp(t, c)
	second := cursor()
	if second == first {
		t.Error("the stored cursor did not move after a while")
	}
	appendGroups(t, source, l, 4, 5)
	caughtUp(t, c)
	other := event(group(7))
	other.Type = "guildhall.other.thing.happened.v1"
	appendAll(t, source, l, other)
	caughtUp(t, c)
	stop()
	n := map[string]int{}
	if err := s.View(t.Context(), func(r kv.Reader) error {
		for item, err := range r.Scan(counters, kv.Range{}) {
			if err != nil {
				return err
			}
			n[string(item.Key)]++
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(n) != 1 || n[group(7)] != 1 || cursor() == second {
		t.Errorf("effects %v; the cursor is %q", n, cursor())
	}
}
