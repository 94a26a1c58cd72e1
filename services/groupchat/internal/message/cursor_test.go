package message_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"pgregory.net/rapid"

	"guildhall.dev/pkg/audit"
	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/feed"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/page"
	"guildhall.dev/pkg/testkit"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	"guildhall.dev/services/groupchat/internal/message"
)

const mei = "organizations/acme/customers/mei"

// whoever may change any message.
var whoever = message.Actor{Account: mei, Any: true, May: func(string) bool { return true }}

// log is a group's log over a store.
type log struct {
	t        testing.TB
	store    kv.Store
	journal  *change.Journal
	messages *message.Messages
	group    string
	sent     int64
	recalled map[int64]bool
	retyped  map[int64]string
}

func newLog(t *testing.T) *log {
	messages := message.New(0)
	store := testkit.Store(t, "bolt", "groupchat", append(messages.Tables(), change.Tables()...))
	events, err := feed.Open(t.Context(), feed.Config{Service: "groupchat", Store: store})
	if err != nil {
		t.Fatal(err)
	}
	pages, err := page.NewCodec(make([]byte, page.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	entries, err := audit.New(audit.Config{Store: store, Pages: pages, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	journal, err := change.NewJournal(change.Config{Service: "groupchat", Store: store, Feed: events, Audit: entries})
	if err != nil {
		t.Fatal(err)
	}
	return &log{t: t, store: store, journal: journal, messages: messages}
}

func (l *log) begin(group string) {
	l.group, l.sent, l.recalled, l.retyped = group, 0, map[int64]bool{}, map[int64]string{}
}

func (l *log) do(fn func(tx *change.Tx) (*groupchatv1.Message, error)) {
	ctx := authn.WithCaller(context.Background(), authn.Caller{Name: mei})
	if _, err := change.Do(ctx, l.journal, &groupchatv1.CreateMessageRequest{}, fn); err != nil {
		l.t.Fatal(err)
	}
}

func (l *log) send() {
	l.sent++
	l.do(func(tx *change.Tx) (*groupchatv1.Message, error) {
		return l.messages.Create(tx, l.group, mei, &groupchatv1.Message{Text: fmt.Sprint(l.sent)})
	})
}

func (l *log) recall(sequence int64) {
	l.recalled[sequence] = true
	l.do(func(tx *change.Tx) (*groupchatv1.Message, error) {
		return l.messages.Recall(tx, fmt.Sprintf("%s/messages/%d", l.group, sequence), "", whoever)
	})
}

func (l *log) retype(sequence int64, to string) {
	if l.recalled[sequence] {
		return
	}
	l.retyped[sequence] = to
	l.do(func(tx *change.Tx) (*groupchatv1.Message, error) {
		return l.messages.Retype(tx, fmt.Sprintf("%s/messages/%d", l.group, sequence), to, "", whoever)
	})
}

func (l *log) next(c *message.Cursor, limit int) message.Step {
	var step message.Step
	err := l.store.View(context.Background(), func(r kv.Reader) (err error) {
		step, err = l.messages.Next(r, c, limit)
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return step
}

// reader keeps what it was told; a connection that breaks loses the cursor and
// the rest of a step, but not the last sequence number.
type reader struct {
	last   int64
	gone   map[int64]bool
	types  map[int64]string
	cursor *message.Cursor
}

// TestNext_anyInterleavingAndAnyBreak sends, recalls, re-types, reads in steps of any
// size and breaks off in the middle of them: the reader gets each message once
// and in order, and in the end knows of every recall and every type.
func TestNext_anyInterleavingAndAnyBreak(t *testing.T) {
	l, n := newLog(t), 0
	rapid.Check(t, func(r *rapid.T) {
		n++
		l.begin(fmt.Sprintf("organizations/acme/groups/g%d", n))
		me := &reader{gone: map[int64]bool{}, types: map[int64]string{}}
		for range rapid.IntRange(1, 30).Draw(r, "acts") {
			switch act := rapid.IntRange(0, 6).Draw(r, "act"); {
			case act < 3 || l.sent == 0:
				l.send()
			case act == 3:
				l.recall(rapid.Int64Range(1, l.sent).Draw(r, "which"))
			case act == 4:
				l.retype(rapid.Int64Range(1, l.sent).Draw(r, "which"), rapid.SampledFrom([]string{"news", "order"}).Draw(r, "type"))
			default:
				limit := rapid.IntRange(1, 4).Draw(r, "limit")
				me.read(r, l, limit, rapid.IntRange(0, 2*limit).Draw(r, "events"))
			}
		}
		for limit := rapid.IntRange(1, 4).Draw(r, "last limit"); me.read(r, l, limit, 2*limit); {
		}
		if me.last != l.sent {
			r.Fatalf("the reader has %d of %d messages", me.last, l.sent)
		}
		for s := range l.recalled {
			if !me.gone[s] {
				r.Fatalf("the reader does not know of the recall of %d", s)
			}
		}
		for s, now := range l.retyped {
			if me.types[s] != now {
				r.Fatalf("message %d is %q to the reader, want %q", s, me.types[s], now)
			}
		}
	})
}

// read takes up to n events of the next step, breaks off if there were more,
// and reports whether more follow.
func (me *reader) read(r *rapid.T, l *log, limit, n int) (more bool) {
	if me.cursor == nil {
		me.cursor = message.After(l.group, me.last)
	}
	step := l.next(me.cursor, limit)
	if len(step.Events) > 2*limit {
		r.Fatalf("%d events at a limit of %d", len(step.Events), limit)
	}
	if n < len(step.Events) {
		step.Events = step.Events[:n]
		me.cursor = nil
	}
	for _, e := range step.Events {
		s, recalled := e.Message.GetSequence(), e.Message.GetRecallTime() != nil
		switch {
		case e.Changed && (s > me.last || !recalled && len(e.Message.GetTypeChanges()) == 0 || recalled && e.Message.GetText() != ""):
			r.Fatalf("the change of %v to a reader at %d", e.Message, me.last)
		case e.Changed:
			me.gone[s] = recalled
		case s != me.last+1:
			r.Fatalf("message %d to a reader at %d", s, me.last)
		default:
			me.last = s
			me.gone[s] = recalled
		}
		me.types[s] = e.Message.GetType()
	}
	return step.More || me.cursor == nil
}
