package feed_test

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/feed"
	"guildhall.dev/pkg/kv"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
)

// count adds one to the counter of a subject: an effect that shows when it
// happens twice.
func count(tx kv.Tx, e *eventv1.Event) error {
	key := []byte(e.GetSubject())
	was, err := tx.Get(counters, key)
	if err != nil {
		return err
	}
	n := uint64(0)
	if was != nil {
		n = binary.BigEndian.Uint64(was)
	}
	return tx.Put(counters, key, binary.BigEndian.AppendUint64(nil, n+1))
}

// checkCounts checks that the subjects group(0) to group(n-1) each have the
// count, and that there is no other.
func checkCounts(t *testing.T, s kv.Store, n int, want uint64) {
	t.Helper()
	got := make(map[string]uint64)
	err := s.View(t.Context(), func(r kv.Reader) error {
		for item, err := range r.Scan(counters, kv.Range{}) {
			if err != nil {
				return err
			}
			got[string(item.Key)] = binary.BigEndian.Uint64(item.Value)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if got[group(i)] != want {
			t.Errorf("%s took effect %d times, want %d", group(i), got[group(i)], want)
		}
		delete(got, group(i))
	}
	if len(got) > 0 {
		t.Errorf("effects that no event had: %v", got)
	}
}

// follow runs a consumer until the test ends or the returned func is called.
func follow(t *testing.T, p *pipe, s kv.Store, edit ...func(*feed.ConsumerConfig)) (*feed.Consumer, func()) {
	t.Helper()
	cfg := feed.ConsumerConfig{Name: "groupchat", Store: s, Source: p.open, Handle: count}
	for _, e := range edit {
		e(&cfg)
	}
	c, err := feed.NewConsumer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- c.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return c, stop
}

func caughtUp(t *testing.T, c *feed.Consumer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := c.CaughtUp(ctx); err != nil {
		t.Fatalf("CaughtUp: %v (Ready: %v)", err, errors.Unwrap(c.Ready()))
	}
}

func appendGroups(t *testing.T, s kv.Store, l *feed.Log, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		appendAll(t, s, l, event(group(i)))
	}
}

func TestConsumer_effectsHappenOnceAcrossRestartsAndBrokenStreams(t *testing.T) {
	eachStore(t, func(t *testing.T, s kv.Store) {
		source := openBolt(t)
		l := openLog(t, source)
		p := newPipe(t, l)
		appendGroups(t, source, l, 0, 20)
		c, stop := follow(t, p, s)
		caughtUp(t, c)
		p.setDown(true)
		appendGroups(t, source, l, 20, 40)
		p.setDown(false)
		caughtUp(t, c)
		stop()
		appendGroups(t, source, l, 40, 60)
		c, _ = follow(t, p, s)
		caughtUp(t, c)
		checkCounts(t, s, 60, 1)
		if err := c.Ready(); err != nil {
			t.Errorf("Ready: %v", err)
		}
	})
}

func TestConsumer_replicasOfOneNameShareTheWork(t *testing.T) {
	eachStore(t, func(t *testing.T, s kv.Store) {
		source := openBolt(t)
		l := openLog(t, source)
		p := newPipe(t, l)
		a, _ := follow(t, p, s)
		b, _ := follow(t, p, s)
		for round := range 20 {
			appendGroups(t, source, l, round*5, round*5+5)
			if round%7 == 3 {
				p.setDown(true)
				p.setDown(false)
			}
		}
		caughtUp(t, a)
		caughtUp(t, b)
		checkCounts(t, s, 100, 1)
	})
}

// refuse makes a handler that counts all but one subject while it is told to
// refuse that.
func refuse(subject string, on *atomic.Bool, kind errs.Kind) func(kv.Tx, *eventv1.Event) error {
	return func(tx kv.Tx, e *eventv1.Event) error {
		if e.GetSubject() == subject && on.Load() {
			return errs.New(kind, "TEST", "refused")
		}
		return count(tx, e)
	}
}

// until waits for a condition that another goroutine brings about.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	timeout := time.After(30 * time.Second)
	for !ok() {
		select {
		case <-timeout:
			t.Fatalf("timed out: %s", what)
		case <-time.After(time.Millisecond):
		}
	}
}

func TestConsumer_stopsAtAnEventItCannotApply(t *testing.T) {
	s, source := openBolt(t), openBolt(t)
	l := openLog(t, source, func(c *feed.Config) { c.Partitions = 1 })
	p := newPipe(t, l)
	appendGroups(t, source, l, 0, 10)
	var on atomic.Bool
	on.Store(true)
	c, stop := follow(t, p, s, func(c *feed.ConsumerConfig) { c.Handle = refuse(group(4), &on, errs.Invalid) })
	until(t, "the consumer reports that it is stuck", func() bool { return c.Ready() != nil })
	appendGroups(t, source, l, 10, 11)
	on.Store(false)
	caughtUp(t, c)
	if err := c.Ready(); err != nil {
		t.Errorf("Ready after the fault is gone: %v", err)
	}
	stop()
	checkCounts(t, s, 11, 1)
}

func TestConsumer_eventsBeforeTheFaultTakeEffect(t *testing.T) {
	s, source := openBolt(t), openBolt(t)
	l := openLog(t, source, func(c *feed.Config) { c.Partitions = 1 })
	p := newPipe(t, l)
	c, stop := follow(t, p, s, func(c *feed.ConsumerConfig) {
		var on atomic.Bool
		on.Store(true)
		c.Handle = refuse(group(4), &on, errs.Internal)
	})
	caughtUp(t, c) // there is a cursor now
	p.setDown(true)
	appendGroups(t, source, l, 0, 10)
	p.setDown(false)
	until(t, "the consumer reports that it is stuck", func() bool { return c.Ready() != nil })
	stop()
	checkCounts(t, s, 4, 1)
}

func TestConsumer_parksWhatItMayAndRedrives(t *testing.T) {
	eachStore(t, func(t *testing.T, s kv.Store) {
		source := openBolt(t)
		l := openLog(t, source)
		p := newPipe(t, l)
		appendGroups(t, source, l, 0, 10)
		var on atomic.Bool
		on.Store(true)
		c, _ := follow(t, p, s, func(c *feed.ConsumerConfig) {
			c.Handle, c.Park = refuse(group(4), &on, errs.Invalid), true
		})
		caughtUp(t, c)
		parked, err := c.Parked(t.Context(), 0)
		if err != nil || len(parked) != 1 || parked[0].GetSubject() != group(4) {
			t.Fatalf("Parked = %v, %v; want the event of %s", parked, err, group(4))
		}
		if n, err := c.Redrive(t.Context()); n != 0 || !errs.Is(err, errs.Invalid) {
			t.Errorf("Redrive while refused = %d, %v; want 0 and Invalid", n, err)
		}
		on.Store(false)
		if n, err := c.Redrive(t.Context()); n != 1 || err != nil {
			t.Errorf("Redrive = %d, %v; want 1", n, err)
		}
		checkCounts(t, s, 10, 1)
		if parked, err := c.Parked(t.Context(), 0); err != nil || len(parked) != 0 {
			t.Errorf("Parked after Redrive = %v, %v; want none", parked, err)
		}
	})
}

func TestConsumer_parksOnlyWhatIsInvalid(t *testing.T) {
	s, source := openBolt(t), openBolt(t)
	l := openLog(t, source)
	appendGroups(t, source, l, 0, 3)
	var on atomic.Bool
	on.Store(true)
	c, _ := follow(t, newPipe(t, l), s, func(c *feed.ConsumerConfig) {
		c.Handle, c.Park = refuse(group(1), &on, errs.Unavailable), true
	})
	until(t, "the consumer reports that it is stuck", func() bool { return c.Ready() != nil })
	on.Store(false)
	caughtUp(t, c)
	checkCounts(t, s, 3, 1)
}

// trimAll makes every event of the log so far too old.
func trimAll(t *testing.T, s kv.Store) {
	t.Helper()
	l := openLog(t, s, func(c *feed.Config) {
		c.Retention = time.Hour
		c.Clock = func() time.Time { return start.Add(2 * time.Hour) }
	})
	if _, err := l.Trim(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestConsumer_resynchronisesWhenItsCursorIsLost(t *testing.T) {
	eachStore(t, func(t *testing.T, s kv.Store) {
		source := openBolt(t)
		l := openLog(t, source)
		p := newPipe(t, l)
		// The resources, as List RPCs would tell of them.
		var resources atomic.Int64
		resync := func(ctx context.Context) error {
			return s.Update(ctx, func(tx kv.Tx) error {
				for i := range int(resources.Load()) {
					if err := tx.Put(counters, []byte(group(i)), binary.BigEndian.AppendUint64(nil, 1)); err != nil {
						return err
					}
				}
				return nil
			})
		}
		config := func(c *feed.ConsumerConfig) { c.Resync = resync }
		appendGroups(t, source, l, 0, 5)
		resources.Store(5)
		c, stop := follow(t, p, s, config)
		caughtUp(t, c)
		stop()
		checkCounts(t, s, 5, 1)

		appendGroups(t, source, l, 5, 10)
		resources.Store(10)
		trimAll(t, source)
		fresh := event(group(10))
		fresh.Time = timestamppb.New(start.Add(3 * time.Hour))
		c, _ = follow(t, p, s, config)
		caughtUp(t, c)
		appendAll(t, source, l, fresh)
		caughtUp(t, c)
		checkCounts(t, s, 11, 1)
	})
}

func TestConsumer_withoutResyncALostCursorIsNotReady(t *testing.T) {
	s, source := openBolt(t), openBolt(t)
	l := openLog(t, source)
	p := newPipe(t, l)
	appendGroups(t, source, l, 0, 5)
	c, stop := follow(t, p, s)
	caughtUp(t, c)
	stop()
	appendGroups(t, source, l, 5, 10)
	trimAll(t, source)
	c, _ = follow(t, p, s)
	until(t, "the consumer reports that it is stuck", func() bool { return c.Ready() != nil })
	if err := c.Ready(); !errs.Is(err, errs.Unavailable) || !errs.Is(errors.Unwrap(err), errs.OutOfRange) {
		t.Errorf("Ready: got %v, want Unavailable because of OutOfRange", err)
	}
	checkCounts(t, s, 5, 1)
}

func TestConsumer_lagIsTheAgeOfEventsAndOfSilence(t *testing.T) {
	s, source := openBolt(t), openBolt(t)
	l := openLog(t, source)
	p := newPipe(t, l)
	var now atomic.Int64
	now.Store(start.Add(3 * time.Second).UnixNano())
	c, stop := follow(t, p, s, func(c *feed.ConsumerConfig) {
		c.Clock = func() time.Time { return time.Unix(0, now.Load()) }
	})
	caughtUp(t, c)
	appendGroups(t, source, l, 0, 1)
	caughtUp(t, c)
	if got := c.Lag(); got != 3*time.Second {
		t.Errorf("after an event that was made 3 s ago: lag %v", got)
	}
	stop()
	now.Add(int64(time.Hour))
	if got := c.Lag(); got != time.Hour+3*time.Second {
		t.Errorf("an hour later: lag %v, want an hour more", got)
	}
}

func TestNewConsumer_namesWhatIsMissing(t *testing.T) {
	for i, cfg := range []feed.ConsumerConfig{{}, {Name: "x"}, {Name: "x", Handle: count}} {
		if _, err := feed.NewConsumer(cfg); err == nil {
			t.Errorf("config %d: no error", i)
		}
	}
}

// TestCaughtUp_doesNotWaitForTheNextAttempt has a source that can be asked where
// it ends, and not followed: each question makes the consumer try at once. By
// its pauses alone so many attempts would take minutes.
func TestCaughtUp_doesNotWaitForTheNextAttempt(t *testing.T) {
	s, source := openBolt(t), openBolt(t)
	l := openLog(t, source)
	p := newPipe(t, l)
	appendGroups(t, source, l, 0, 1)
	var attempts atomic.Int64
	c, _ := follow(t, p, s, func(c *feed.ConsumerConfig) {
		c.Source = func(ctx context.Context, req *eventv1.StreamEventsRequest, opts ...grpc.CallOption) (grpc.ServerStreamingClient[eventv1.StreamEventsResponse], error) {
			if req.GetStopAtEnd() {
				return p.open(ctx, req, opts...)
			}
			attempts.Add(1)
			return nil, errDown()
		}
	})
	const enough = 20
	until(t, "the consumer has tried often", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		defer cancel()
		if err := c.CaughtUp(ctx); err == nil {
			t.Fatal("it says to have caught up with what it cannot read")
		}
		return attempts.Load() >= enough
	})
}

// TestCaughtUp_behindEventsOfOtherTypes: what a consumer did not ask for comes last in
// the log, and no heartbeat says so for an hour.
func TestCaughtUp_behindEventsOfOtherTypes(t *testing.T) {
	s, source := openBolt(t), openBolt(t)
	l := openLog(t, source, func(c *feed.Config) { c.Heartbeat = time.Hour })
	p := newPipe(t, l)
	c, _ := follow(t, p, s, func(c *feed.ConsumerConfig) { c.TypePrefixes = []string{"guildhall.other."}; c.Idle = 2 * time.Hour })
	caughtUp(t, c)
	for i := range 3 {
		appendGroups(t, source, l, i, i+1)
		caughtUp(t, c)
	}
	checkCounts(t, s, 0, 0)
}
