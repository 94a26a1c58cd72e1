package groupchat_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"guildhall.dev/pkg/errs"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	"guildhall.dev/services/groupchat"
)

// word is what a step of a stream says, in short: "1 order", "2-3 withheld",
// "2 removed", "scope order".
func word(resp *groupchatv1.StreamMessagesResponse) string {
	id := func(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }
	switch e := resp.GetEvent().(type) {
	case *groupchatv1.StreamMessagesResponse_Message:
		return fmt.Sprintf("%d %s", e.Message.GetSequence(), id(e.Message.GetType()))
	case *groupchatv1.StreamMessagesResponse_Recalled:
		return fmt.Sprintf("%d recalled", e.Recalled.GetSequence())
	case *groupchatv1.StreamMessagesResponse_Retyped:
		return fmt.Sprintf("%d now %s", e.Retyped.GetSequence(), id(e.Retyped.GetType()))
	case *groupchatv1.StreamMessagesResponse_Withheld:
		return fmt.Sprintf("%d-%d withheld", e.Withheld.GetFirstSequence(), e.Withheld.GetLastSequence())
	case *groupchatv1.StreamMessagesResponse_Removed:
		return fmt.Sprintf("%d removed", e.Removed.GetSequence())
	case *groupchatv1.StreamMessagesResponse_Scope_:
		all := "scope"
		if e.Scope.GetAll() {
			return "scope all"
		}
		for _, name := range e.Scope.GetTypes() {
			all += " " + id(name)
		}
		return all
	}
	return ""
}

// wantWords wants the next steps of a stream to be these, heartbeats aside.
func wantWords(t *testing.T, s groupchatv1.MessageService_StreamMessagesClient, want ...string) {
	t.Helper()
	for _, w := range want {
		got := ""
		for got == "" {
			got = word(must(s.Recv())(t))
		}
		if got != w {
			t.Fatalf("got %q, want %q of %q", got, w, want)
		}
	}
}

func TestStream_withholdsTypes(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		name := w.group(t, "g1", mei)
		for _, typeName := range []string{complaint, order, complaint, complaint, order} {
			w.sayOf(t, name, mei, "x", typeName)
		}
		w.permission.limit(clerk, "order", "news")
		s := w.stream(t, t.Context(), clerk, name, 0)
		wantWords(t, s, "scope news order", "1-1 withheld", "2 order", "3-4 withheld", "5 order")
		w.sayOf(t, name, mei, "x", complaint)
		wantWords(t, s, "6-6 withheld")
		// A type that is added while the stream is open is asked about when a
		// message of it comes.
		w.addType(t, "returns")
		w.sayOf(t, name, mei, "x", returns)
		wantWords(t, s, "7-7 withheld")
		w.sayOf(t, name, mei, "x", news)
		wantWords(t, s, "8 news")
		// Whoever resumes behind what was withheld is not told of it again.
		wantWords(t, w.stream(t, t.Context(), clerk, name, 7), "scope news order", "8 news")
		wantWords(t, w.stream(t, t.Context(), mei, name, 6), "7 returns")
	})
}

func TestStream_refusesWhoMayReadNoType(t *testing.T) {
	w := start(t, setting{})
	name := w.group(t, "g1", mei)
	w.permission.limit(mei, "none-of-them")
	_, err := w.stream(t, t.Context(), mei, name, 0).Recv()
	wantErr(t, err, errs.Denied, "PERMISSION_DENIED")
}

func TestStream_retypedMessagesComeAndGo(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		name := w.group(t, "g1", mei)
		first, second := w.sayOf(t, name, mei, "one", order), w.sayOf(t, name, mei, "two", complaint)
		w.permission.limit(clerk, "order", "news")
		limited, whole := w.stream(t, t.Context(), clerk, name, 0), w.stream(t, t.Context(), mei, name, 0)
		wantWords(t, limited, "scope news order", "1 order", "2-2 withheld")
		wantWords(t, whole, "1 order", "2 complaint")
		must(w.retype(t, boss, second.GetName(), news))(t)
		wantWords(t, limited, "2 now news")
		wantWords(t, whole, "2 now news")
		must(w.retype(t, boss, first.GetName(), complaint))(t)
		wantWords(t, limited, "1 removed")
		wantWords(t, whole, "1 now complaint")
		must(w.recall(t, boss, first.GetName()))(t)
		wantWords(t, limited, "1 removed")
		wantWords(t, whole, "1 recalled")
		// A reader that comes back hears of both, and has no gap.
		wantWords(t, w.stream(t, t.Context(), clerk, name, 0), "scope news order", "1-1 withheld", "2 news")
	})
}

// TestStream_goesByChangedGrantsAtOnce takes types from an open stream and gives
// them back: it goes on, by what is true now.
func TestStream_goesByChangedGrantsAtOnce(t *testing.T) {
	w := start(t, setting{})
	name := w.group(t, "g1", mei)
	w.sayOf(t, name, mei, "x", order)
	s := w.stream(t, t.Context(), clerk, name, 0)
	wantWords(t, s, "1 order")
	w.permission.limit(clerk, "news")
	w.Changed(acme, clerk)
	wantWords(t, s, "scope news")
	w.sayOf(t, name, mei, "x", order)
	wantWords(t, s, "2-2 withheld")
	w.permission.limit(clerk)
	w.Changed(acme, clerk)
	wantWords(t, s, "scope all")
	w.sayOf(t, name, mei, "x", order)
	wantWords(t, s, "3 order")
	w.permission.limit(clerk, "none-of-them")
	w.Changed(acme, clerk)
	for {
		step, err := s.Recv()
		if err != nil {
			wantErr(t, err, errs.Denied, "PERMISSION_DENIED")
			return
		}
		if step.GetMessage() != nil { // a scope or a heartbeat may be on its way
			t.Fatalf("got %v", step)
		}
	}
}

// picture is what a limited client has of a group, from any number of streams.
type picture struct {
	last  int64
	types map[int64]string // "" is withheld or removed
}

func (p *picture) take(t *testing.T, resp *groupchatv1.StreamMessagesResponse) {
	switch e := resp.GetEvent().(type) {
	case *groupchatv1.StreamMessagesResponse_Message:
		if e.Message.GetSequence() != p.last+1 {
			t.Errorf("message %d after %d", e.Message.GetSequence(), p.last)
		}
		p.last = e.Message.GetSequence()
		p.types[p.last] = e.Message.GetType()
	case *groupchatv1.StreamMessagesResponse_Withheld:
		if e.Withheld.GetFirstSequence() != p.last+1 || e.Withheld.GetLastSequence() < e.Withheld.GetFirstSequence() {
			t.Errorf("withheld %v after %d", e.Withheld, p.last)
		}
		for ; p.last < e.Withheld.GetLastSequence(); p.last++ {
			p.types[p.last+1] = ""
		}
	case *groupchatv1.StreamMessagesResponse_Retyped:
		p.types[e.Retyped.GetSequence()] = e.Retyped.GetType()
	case *groupchatv1.StreamMessagesResponse_Removed:
		p.types[e.Removed.GetSequence()] = ""
	}
	for s, typeName := range p.types {
		if s > p.last || typeName == complaint {
			t.Errorf("at %d, message %d is there as %q", p.last, s, typeName)
		}
	}
}

// TestStream_limitedReaderHasNoGapOverAnyResume has people talk and re-type
// while a reader that may not read complaints loses its connection all the time:
// it is never given a complaint, and ends up with all else.
func TestStream_limitedReaderHasNoGapOverAnyResume(t *testing.T) {
	w := start(t, setting{config: func(c *groupchat.Config) { c.StreamHeartbeat = 20 * time.Millisecond }})
	name := w.group(t, "g1", mei)
	w.permission.limit(clerk, "order", "news")
	types := []string{order, news, complaint}
	const messages = 60
	var writing sync.WaitGroup
	writing.Go(func() {
		for i := range messages {
			m, err := w.send(t, name, mei, "x", types[rand.IntN(3)])
			if err != nil {
				t.Error(err)
				return
			}
			if i%2 == 0 {
				if _, err := w.retype(t, boss, fmt.Sprintf("%s/messages/%d", name, 1+rand.Int64N(m.GetSequence())), types[rand.IntN(3)]); err != nil {
					t.Error(err)
				}
			}
		}
	})
	p := &picture{types: map[int64]string{}}
	read := func(n int) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		s := w.stream(t, ctx, clerk, name, p.last)
		for range n {
			p.take(t, must(s.Recv())(t))
		}
	}
	for p.last < messages && !t.Failed() {
		read(2 + rand.IntN(9))
	}
	writing.Wait()
	end := w.sayOf(t, name, mei, "the very end", news).GetSequence()
	for p.last < end && !t.Failed() {
		read(2) // the scope, and something
	}
	want := map[int64]string{}
	for _, m := range must(w.messages(t, boss).ListMessages(t.Context(), &groupchatv1.ListMessagesRequest{Parent: name, PageSize: 1000}))(t).GetMessages() {
		want[m.GetSequence()] = strings.Replace(m.GetType(), complaint, "", 1)
	}
	if diff := cmp.Diff(want, p.types); diff != "" {
		t.Errorf("what the reader has (-want +got):\n%s", diff)
	}
}
