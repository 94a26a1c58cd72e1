package feed_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/feed"
	"guildhall.dev/pkg/kv"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// start is when the events of most tests are made.
var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func openLog(t *testing.T, s kv.Store, edit ...func(*feed.Config)) *feed.Log {
	t.Helper()
	cfg := feed.Config{Service: "groupchat", Store: s, Clock: func() time.Time { return start }}
	for _, e := range edit {
		e(&cfg)
	}
	l, err := feed.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func event(subject string) *eventv1.Event {
	return &eventv1.Event{
		Type: "guildhall.groupchat.group.created.v1", Subject: subject,
		Organization: "organizations/acme", Time: timestamppb.New(start),
	}
}

func group(n int) string { return fmt.Sprintf("organizations/acme/groups/g%d", n) }

// appendAll appends each event in a transaction of its own.
func appendAll(t *testing.T, s kv.Store, l *feed.Log, events ...*eventv1.Event) {
	t.Helper()
	for _, e := range events {
		if err := appendOne(t.Context(), s, l, e); err != nil {
			t.Fatal(err)
		}
	}
}

func appendOne(ctx context.Context, s kv.Store, l *feed.Log, e *eventv1.Event) error {
	err := s.Update(ctx, func(tx kv.Tx) error { return l.Append(tx, proto.CloneOf(e)) })
	if err == nil {
		l.Notify()
	}
	return err
}

// readAll reads from cursor to the end in batches of limit.
func readAll(t *testing.T, l *feed.Log, cursor string, limit int) ([]*eventv1.Event, string) {
	t.Helper()
	var all []*eventv1.Event
	for {
		b, err := l.Read(t.Context(), cursor, limit)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b.Events...)
		cursor = b.Cursor
		if !b.More {
			return all, cursor
		}
	}
}

// checkGapless checks that the events of each partition have the sequences
// 1, 2, 3 and so on, in this order.
func checkGapless(t *testing.T, events []*eventv1.Event) {
	t.Helper()
	next := make(map[uint32]uint64)
	for _, e := range events {
		next[e.GetPartition()]++
		if e.GetSequence() != next[e.GetPartition()] {
			t.Fatalf("partition %d: got event %d, want %d", e.GetPartition(), e.GetSequence(), next[e.GetPartition()])
		}
	}
}

func TestAppend_concurrentWritersLeaveNoGapAndNoReaderPassesOne(t *testing.T) {
	eachStore(t, func(t *testing.T, s kv.Store) {
		l := openLog(t, s, func(c *feed.Config) { c.Partitions = 4 })
		const writers, each = 8, 25
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for i := range each {
					e := event(group(i % 10))
					e.Traceparent = fmt.Sprintf("%d-%d", w, i)
					if err := appendOne(t.Context(), s, l, e); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		// The reader runs along, so that it would pass what commits late.
		var got []*eventv1.Event
		cursor := ""
		for len(got) < writers*each && !t.Failed() {
			changed := l.Changed()
			b, err := l.Read(t.Context(), cursor, 7)
			if err != nil {
				t.Fatal(err)
			}
			got, cursor = append(got, b.Events...), b.Cursor
			if len(b.Events) == 0 {
				<-changed
			}
		}
		wg.Wait()
		checkGapless(t, got)
		seen := make(map[string]bool)
		for _, e := range got {
			if seen[e.GetTraceparent()] {
				t.Errorf("event %s came twice", e.GetTraceparent())
			}
			seen[e.GetTraceparent()] = true
		}
	})
}

func TestAppend_oneResourceStaysInOrder(t *testing.T) {
	eachStore(t, func(t *testing.T, s kv.Store) {
		l := openLog(t, s)
		var want []string
		for i := range 20 {
			e := event(fmt.Sprintf("%s/messages/%d", group(1), i))
			want = append(want, e.GetSubject())
			appendAll(t, s, l, e, event(group(i)))
		}
		events, _ := readAll(t, l, "", 3)
		var got []string
		for _, e := range events {
			if slices.Contains(want, e.GetSubject()) {
				got = append(got, e.GetSubject())
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %v\nwant %v", got, want)
		}
	})
}

func TestAppend_twiceInOneTransaction(t *testing.T) {
	eachStore(t, func(t *testing.T, s kv.Store) {
		l := openLog(t, s)
		err := s.Update(t.Context(), func(tx kv.Tx) error {
			if err := l.Append(tx, event(group(1))); err != nil {
				return err
			}
			return l.Append(tx, event(group(1)+"/members/a"))
		})
		if err != nil {
			t.Fatal(err)
		}
		events, _ := readAll(t, l, "", 0)
		checkGapless(t, events)
		if len(events) != 2 {
			t.Fatalf("got %d events, want 2", len(events))
		}
		e := events[1]
		want := fmt.Sprintf("%d-2", e.GetPartition())
		if e.GetId() != want || e.GetSource() != "//groupchat.guildhall.dev" {
			t.Errorf("got id %q of %q, want %q of //groupchat.guildhall.dev", e.GetId(), e.GetSource(), want)
		}
	})
}

func TestAppend_refusesMarkedDataAndIncompleteEvents(t *testing.T) {
	s := openBolt(t)
	l := openLog(t, s)
	with := func(data proto.Message) *eventv1.Event {
		e := event(group(1))
		var err error
		if e.Data, err = anypb.New(data); err != nil {
			t.Fatal(err)
		}
		return e
	}
	untimed := event(group(1))
	untimed.Time = nil
	for name, e := range map[string]*eventv1.Event{
		"personal":      with(&groupchatv1.Group{Name: group(1), DisplayName: "Ada's orders"}),
		"nested":        with(&groupchatv1.UpdateGroupRequest{Group: &groupchatv1.Group{Description: "x"}}),
		"secret":        with(&identityv1.TokenSet{AccessToken: "x"}),
		"any in event":  with(with(&identityv1.TokenSet{AccessToken: "x"})),
		"unknown type":  {Type: "t", Subject: "s", Time: timestamppb.New(start), Data: &anypb.Any{TypeUrl: "type.googleapis.com/none.Such"}},
		"unparseable":   {Type: "t", Subject: "s", Time: timestamppb.New(start), Data: &anypb.Any{TypeUrl: "type.googleapis.com/guildhall.groupchat.v1.Group", Value: []byte{0xff}}},
		"too large":     with(&groupchatv1.MemberChanged{Group: string(make([]byte, feed.MaxEventSize))}),
		"no time":       untimed,
		"no type":       {Subject: "s", Time: timestamppb.New(start)},
		"no subject":    {Type: "t", Time: timestamppb.New(start)},
		"invalid utf-8": {Type: "t", Subject: "\xff", Time: timestamppb.New(start)},
	} {
		if err := appendOne(t.Context(), s, l, e); !errs.Is(err, errs.Internal) {
			t.Errorf("%s: got %v, want Internal", name, err)
		}
	}
	appendAll(t, s, l, with(&groupchatv1.Group{Name: group(1)}), with(&groupchatv1.MemberChanged{Account: "organizations/acme/staff/a"}))
	events, _ := readAll(t, l, "", 0)
	if len(events) != 2 {
		t.Errorf("got %d events, want the 2 without marked fields", len(events))
	}
}

func TestOpen_keepsTheFirstNumberOfPartitions(t *testing.T) {
	eachStore(t, func(t *testing.T, s kv.Store) {
		first := openLog(t, s, func(c *feed.Config) { c.Partitions = 3 })
		for i := range 30 {
			appendAll(t, s, first, event(group(i)))
		}
		second := openLog(t, s, func(c *feed.Config) { c.Partitions = 50 })
		for i := range 30 {
			appendAll(t, s, second, event(group(i)))
		}
		events, _ := readAll(t, second, "", 0)
		checkGapless(t, events)
		for _, e := range events {
			if e.GetPartition() >= 3 {
				t.Fatalf("event in partition %d of a feed with 3", e.GetPartition())
			}
		}
	})
}

func TestRead_anyLimitYieldsTheSameEvents(t *testing.T) {
	eachStore(t, func(t *testing.T, s kv.Store) {
		l := openLog(t, s, func(c *feed.Config) { c.Partitions = 5 })
		for i := range 60 {
			appendAll(t, s, l, event(group(i%13)))
		}
		for _, limit := range []int{1, 2, 4, 5, 17, 500} {
			events, cursor := readAll(t, l, "", limit)
			checkGapless(t, events)
			if len(events) != 60 {
				t.Errorf("limit %d: got %d events, want 60", limit, len(events))
			}
			if rest, _ := readAll(t, l, cursor, limit); len(rest) != 0 {
				t.Errorf("limit %d: %d events behind the end", limit, len(rest))
			}
		}
	})
}

func TestRead_aBatchIsBoundedInBytes(t *testing.T) {
	s := openBolt(t)
	l := openLog(t, s, func(c *feed.Config) { c.Partitions = 2 })
	big, err := anypb.New(&groupchatv1.MemberChanged{Group: string(make([]byte, 30<<10))})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 80 {
		e := event(group(i))
		e.Data = big
		appendAll(t, s, l, e)
	}
	cursor, total := "", 0
	for more := true; more; {
		b, err := l.Read(t.Context(), cursor, 0)
		if err != nil {
			t.Fatal(err)
		}
		if size := proto.Size(&eventv1.StreamEventsResponse{Events: b.Events}); size > 2<<20 {
			t.Errorf("a batch of %d bytes", size)
		}
		total += len(b.Events)
		cursor, more = b.Cursor, b.More
	}
	if total != 80 {
		t.Errorf("got %d events, want 80", total)
	}
}

func TestRead_latestSkipsWhatIsThere(t *testing.T) {
	eachStore(t, func(t *testing.T, s kv.Store) {
		l := openLog(t, s)
		appendAll(t, s, l, event(group(1)), event(group(2)))
		_, cursor := readAll(t, l, feed.Latest, 0)
		appendAll(t, s, l, event(group(3)))
		events, _ := readAll(t, l, cursor, 0)
		if len(events) != 1 || events[0].GetSubject() != group(3) {
			t.Errorf("got %v, want the event of %s", events, group(3))
		}
	})
}

func TestTrim_removesOldEventsAndRefusesOldCursors(t *testing.T) {
	eachStore(t, func(t *testing.T, s kv.Store) {
		now := start
		l := openLog(t, s, func(c *feed.Config) {
			c.Partitions, c.Retention = 3, time.Hour
			c.Clock = func() time.Time { return now }
		})
		_, first := readAll(t, l, "", 0)
		for i := range 700 {
			if err := s.Update(t.Context(), func(tx kv.Tx) error { return l.Append(tx, event(group(i%7))) }); err != nil {
				t.Fatal(err)
			}
		}
		late := event(group(1))
		late.Time = timestamppb.New(start.Add(time.Hour))
		_, middle := readAll(t, l, "", 0)
		appendAll(t, s, l, late)

		now = start.Add(time.Hour + time.Second)
		n, err := l.Trim(t.Context())
		if n != 700 || err != nil {
			t.Fatalf("Trim = %d, %v; want 700", n, err)
		}
		if events, _ := readAll(t, l, "", 0); len(events) != 1 {
			t.Errorf("an empty cursor reads %d events, want the 1 kept", len(events))
		}
		if events, _ := readAll(t, l, middle, 0); len(events) != 1 {
			t.Errorf("a cursor at the floor reads %d events, want 1", len(events))
		}
		_, err = l.Read(t.Context(), first, 0)
		if !errs.Is(err, errs.OutOfRange) || errs.ReasonOf(err) != feed.ReasonCursorTooOld {
			t.Errorf("an old cursor: got %v, want OutOfRange %s", err, feed.ReasonCursorTooOld)
		}
		if n, err := l.Trim(t.Context()); n != 0 || err != nil {
			t.Errorf("a second Trim = %d, %v; want 0", n, err)
		}
	})
}

func TestRead_foreignAndFutureCursorsAreRefused(t *testing.T) {
	one, two := openBolt(t), openBolt(t)
	l, other := openLog(t, one), openLog(t, two)
	_, foreign := readAll(t, other, feed.Latest, 0)
	if _, err := l.Read(t.Context(), foreign, 0); errs.ReasonOf(err) != feed.ReasonCursorUnknown {
		t.Errorf("a cursor of another feed: got %v, want %s", err, feed.ReasonCursorUnknown)
	}
	for _, bad := range []string{"x", "LATEST", foreign + "A", foreign[:len(foreign)-2], " " + foreign} {
		if _, err := l.Read(t.Context(), bad, 0); !errs.Is(err, errs.Invalid) {
			t.Errorf("cursor %q: got %v, want Invalid", bad, err)
		}
	}
}
