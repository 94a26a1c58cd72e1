package groupchat_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/servetest"
	"guildhall.dev/pkg/testkit"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	"guildhall.dev/services/groupchat"
)

// reader is a client as apps have them: it keeps what it was sent and resumes
// with the last sequence number it has.
type reader struct {
	last   int64
	texts  map[int64]string // as it knows them now
	beats  int
	doubts []string
}

func newReader() *reader { return &reader{texts: map[int64]string{}} }

// take keeps one step of a stream.
func (r *reader) take(resp *groupchatv1.StreamMessagesResponse) {
	switch e := resp.GetEvent().(type) {
	case *groupchatv1.StreamMessagesResponse_Message:
		if e.Message.GetSequence() != r.last+1 {
			r.doubts = append(r.doubts, fmt.Sprintf("%d after %d", e.Message.GetSequence(), r.last))
		}
		r.last = e.Message.GetSequence()
		r.texts[r.last] = e.Message.GetText()
	case *groupchatv1.StreamMessagesResponse_Recalled:
		if _, has := r.texts[e.Recalled.GetSequence()]; !has || e.Recalled.GetText() != "" || e.Recalled.GetRecallTime() == nil {
			r.doubts = append(r.doubts, fmt.Sprintf("the recall of %v at %d", e.Recalled, r.last))
		}
		r.texts[e.Recalled.GetSequence()] = ""
	case *groupchatv1.StreamMessagesResponse_Heartbeat_:
		r.beats++
	}
}

func (w *world) stream(t testing.TB, ctx context.Context, account, group string, after int64) groupchatv1.MessageService_StreamMessagesClient {
	t.Helper()
	return must(w.messages(t, account).StreamMessages(ctx, &groupchatv1.StreamMessagesRequest{Parent: group, AfterSequence: after}))(t)
}

// read takes up to n steps of a new stream and then drops the connection.
func (r *reader) read(t *testing.T, c groupchatv1.MessageServiceClient, group string, n int) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s, err := c.StreamMessages(ctx, &groupchatv1.StreamMessagesRequest{Parent: group, AfterSequence: r.last})
	if err != nil {
		t.Error(err)
		return
	}
	for range n {
		resp, err := s.Recv()
		if err != nil {
			t.Error(err)
			return
		}
		r.take(resp)
	}
}

// TestStream_onceAndInOrderOverAnyResume has people talk and recall while
// readers lose their connections all the time: each reader ends up with every
// message once, in order, and knows of every recall.
func TestStream_onceAndInOrderOverAnyResume(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			w := start(t, setting{
				Options: servetest.Options{Engine: engine},
				config:  func(c *groupchat.Config) { c.StreamHeartbeat = 20 * time.Millisecond },
			})
			name := w.group(t, "g1", mei, li)
			const each, people = 30, 3
			var writers, reading sync.WaitGroup
			for _, account := range []string{clerk, mei, li} {
				writers.Go(func() { w.chat(t, account, name, each) })
			}
			readers := []*reader{newReader(), newReader(), newReader()}
			c := w.messages(t, mei)
			for _, r := range readers {
				reading.Go(func() {
					for r.last < each*people && !t.Failed() {
						r.read(t, c, name, 1+rand.IntN(9))
					}
				})
			}
			writers.Wait()
			reading.Wait()
			wantAllKnown(t, w, name, readers)
		})
	}
}

// chat sends n messages and takes some back.
func (w *world) chat(t *testing.T, account, group string, n int) {
	c := w.messages(t, account)
	for i := range n {
		m, err := c.CreateMessage(t.Context(), &groupchatv1.CreateMessageRequest{Parent: group, Message: &groupchatv1.Message{Text: fmt.Sprint(i)}})
		if err != nil {
			t.Error(err)
			return
		}
		if back := m.GetSequence() - rand.Int64N(8); back > 0 && i%3 == 0 {
			// Whosever it is: refusals are not what this is about.
			_, _ = c.RecallMessage(t.Context(), &groupchatv1.RecallMessageRequest{Name: fmt.Sprintf("%s/messages/%d", group, back)})
		}
	}
}

// wantAllKnown wants what readers know to be what there is, once they have
// looked for recalls behind the last message.
func wantAllKnown(t *testing.T, w *world, name string, readers []*reader) {
	t.Helper()
	end := w.say(t, name, clerk, "the very end").GetSequence()
	for i, r := range readers {
		for r.last < end {
			r.read(t, w.messages(t, clerk), name, 1)
		}
		if len(r.doubts) > 0 {
			t.Errorf("reader %d: %v", i, r.doubts)
		}
	}
	p := must(w.messages(t, clerk).ListMessages(t.Context(), &groupchatv1.ListMessagesRequest{Parent: name, PageSize: 1000}))(t)
	recalled := 0
	for _, m := range p.GetMessages() {
		if m.GetRecallTime() != nil {
			recalled++
		}
		for i, r := range readers {
			if text, has := r.texts[m.GetSequence()]; !has || text != m.GetText() {
				t.Errorf("reader %d has %q of message %d, want %q", i, text, m.GetSequence(), m.GetText())
			}
		}
	}
	if recalled == 0 {
		t.Error("nothing was recalled: the test tests nothing")
	}
}

func TestStream_tellsOfRecallsAndBeats(t *testing.T) {
	w := start(t, setting{config: func(c *groupchat.Config) { c.StreamHeartbeat = 20 * time.Millisecond }})
	name := w.group(t, "g1", mei)
	said := w.say(t, name, mei, "hello")
	s, r := w.stream(t, t.Context(), mei, name, 0), newReader()
	for r.last < 1 || r.beats == 0 {
		r.take(must(s.Recv())(t))
	}
	must(w.recall(t, mei, said.GetName()))(t)
	for r.texts[1] != "" {
		r.take(must(s.Recv())(t))
	}
	if len(r.doubts) > 0 {
		t.Error(r.doubts)
	}
}

func TestStream_refusesAPositionBehindTheEnd(t *testing.T) {
	w := start(t, setting{})
	name := w.group(t, "g1")
	w.say(t, name, clerk, "hello")
	_, err := w.stream(t, t.Context(), clerk, name, 2).Recv()
	wantErr(t, err, errs.Invalid, "SEQUENCE_UNKNOWN", "after_sequence")
	_, err = w.stream(t, t.Context(), clerk, name, -1).Recv()
	wantErr(t, err, errs.Invalid, "VALIDATION_FAILED", "after_sequence")
}

// open returns a stream that is up and idle.
func (w *world) open(t *testing.T, account, group string) groupchatv1.MessageService_StreamMessagesClient {
	t.Helper()
	s := w.stream(t, t.Context(), account, group, 0)
	must(s.Recv())(t) // the group has one message
	return s
}

func TestStream_endsAtOnceWithTheMembership(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		name := w.group(t, "g1", mei, li)
		w.say(t, name, clerk, "hello")
		idle, others := w.open(t, mei, name), w.open(t, li, name)
		removed := time.Now()
		if err := w.remove(t, clerk, name, mei); err != nil {
			t.Fatal(err)
		}
		_, err := idle.Recv()
		wantErr(t, err, errs.Denied, "PERMISSION_DENIED")
		if took := time.Since(removed); took > 10*time.Second { // the heartbeat would find it at 15 s
			t.Errorf("an idle stream ended %v after the removal", took)
		}
		w.say(t, name, clerk, "they are gone")
		if m := must(others.Recv())(t); m.GetMessage().GetSequence() != 2 {
			t.Errorf("the others' stream: %v", m)
		}
	})
}

func TestStream_endsWithTheGroup(t *testing.T) {
	w := start(t, setting{})
	name := w.group(t, "g1", mei)
	w.say(t, name, clerk, "hello")
	s := w.open(t, mei, name)
	must(w.groups(t, clerk).DeleteGroup(t.Context(), &groupchatv1.DeleteGroupRequest{Name: name}))(t)
	_, err := s.Recv()
	wantErr(t, err, errs.Precondition, "GROUP_DELETED")
}

func TestStream_endsWithTheServer(t *testing.T) {
	w := start(t, setting{})
	name := w.group(t, "g1", mei)
	w.say(t, name, clerk, "hello")
	s := w.open(t, mei, name)
	w.Drain()
	_, err := s.Recv()
	wantErr(t, err, errs.Unavailable, "SERVER_DRAINING")
}

// TestStream_overReplicas has one replica hear what another takes: by Redis, by
// looking, and when Redis goes away in between.
func TestStream_overReplicas(t *testing.T) {
	t.Run("with Redis", func(t *testing.T) {
		w := start(t, setting{Options: servetest.Options{Engine: "postgres", Redis: redisClient(t, testkit.Redis(t))}})
		name := w.group(t, "g1", mei)
		w.say(t, name, clerk, "hello")
		s := w.replica(t).open(t, mei, name)
		began := time.Now()
		for i := range 10 {
			w.say(t, name, clerk, fmt.Sprint(i))
			must(s.Recv())(t)
		}
		if took := time.Since(began); took > 10*time.Second { // by looking it is a second each on average, and two at most
			t.Errorf("ten messages, one after the other, took %v", took)
		}
		if err := w.remove(t, clerk, name, mei); err != nil {
			t.Fatal(err)
		}
		_, err := s.Recv()
		wantErr(t, err, errs.Denied, "PERMISSION_DENIED")
	})
	t.Run("without Redis", func(t *testing.T) {
		w := start(t, setting{Options: servetest.Options{Engine: "postgres"}})
		name := w.group(t, "g1", mei)
		w.say(t, name, clerk, "hello")
		s := w.replica(t).open(t, mei, name)
		for i := range 2 {
			w.say(t, name, clerk, fmt.Sprint(i))
			if m := must(s.Recv())(t).GetMessage(); m.GetText() != fmt.Sprint(i) {
				t.Errorf("got %v", m)
			}
		}
		if err := w.remove(t, clerk, name, mei); err != nil {
			t.Fatal(err)
		}
		_, err := s.Recv()
		wantErr(t, err, errs.Denied, "PERMISSION_DENIED")
	})
	for _, how := range []string{"stopped", "paused"} {
		t.Run("with Redis "+how+" on the way", func(t *testing.T) {
			server := testkit.Redis(t)
			w := start(t, setting{Options: servetest.Options{Engine: "postgres", Redis: redisClient(t, server)}})
			name := w.group(t, "g1", mei)
			w.say(t, name, clerk, "hello")
			s := w.replica(t).open(t, mei, name)
			away, back := server.Stop, server.Start
			if how == "paused" {
				away, back = server.Pause, server.Resume
			}
			for round, act := range []func(){func() {}, away, func() {}, back, func() {}} {
				act()
				w.say(t, name, clerk, fmt.Sprint(round))
				if m := must(s.Recv())(t).GetMessage(); m.GetText() != fmt.Sprint(round) {
					t.Errorf("round %d: got %v", round, m)
				}
			}
		})
	}
}
