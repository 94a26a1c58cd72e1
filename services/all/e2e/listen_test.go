package e2e

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"

	"google.golang.org/grpc"

	"guildhall.dev/pkg/errs"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
)

// say sends a message.
func (p *person) say(t testing.TB, group, text string) *groupchatv1.Message {
	t.Helper()
	return need(p.messages.CreateMessage(t.Context(), &groupchatv1.CreateMessageRequest{
		Parent: group, Message: &groupchatv1.Message{Text: text}, RequestId: newID("req"),
	}))(t)
}

// listener is an open stream of a group.
type listener struct {
	t      testing.TB
	cancel context.CancelFunc
	steps  chan *groupchatv1.StreamMessagesResponse // without heartbeats
	// err is why the stream ended, once steps is closed.
	err error
}

// listen opens a stream of a group's messages at the company's door.
func (c *company) listen(t testing.TB, p *person, group string, after int64) *listener {
	t.Helper()
	return openStream(t, p.messages, group, after)
}

// listenSSE opens it as server-sent events, which resume by the id of the last
// event.
func (c *company) listenSSE(t testing.TB, p *person, group string, after int64) *listener {
	t.Helper()
	conn := &httpConn{t: t, base: c.http, token: p.tokens.GetAccessToken(), sse: true}
	conn.header = http.Header{"Last-Event-Id": {strconv.FormatInt(after, 10)}}
	return openStream(t, groupchatv1.NewMessageServiceClient(conn), group, 0)
}

func openStream(t testing.TB, messages groupchatv1.MessageServiceClient, group string, after int64) *listener {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	stream := need(messages.StreamMessages(ctx, &groupchatv1.StreamMessagesRequest{Parent: group, AfterSequence: after}))(t)
	l := &listener{t: t, cancel: cancel, steps: make(chan *groupchatv1.StreamMessagesResponse, 1000)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(l.steps)
		l.err = l.read(stream)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return l
}

func (l *listener) read(stream grpc.ServerStreamingClient[groupchatv1.StreamMessagesResponse]) error {
	for {
		step, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return errs.New(errs.Internal, "ENDED", "the stream ended without an error, which it never does")
		}
		if err != nil {
			return err
		}
		if step.GetHeartbeat() == nil {
			l.steps <- step
		}
	}
}

// next returns the next step.
func (l *listener) next() *groupchatv1.StreamMessagesResponse {
	l.t.Helper()
	select {
	case step, open := <-l.steps:
		if !open {
			l.t.Fatalf("the stream ended: %v", l.err)
		}
		return step
	case <-time.After(patience):
		l.t.Fatal("nothing comes")
		return nil
	}
}

// expect wants the message with this number next.
func (l *listener) expect(sequence int64, text string) {
	l.t.Helper()
	if m := l.next().GetMessage(); m.GetSequence() != sequence || m.GetText() != text {
		l.t.Fatalf("got %v, want message %d: %q", m, sequence, text)
	}
}

// expectRecall wants the recall of a message next, after messages that do not
// matter.
func (l *listener) expectRecall(sequence int64) {
	l.t.Helper()
	for {
		step := l.next()
		if m := step.GetRecalled(); m != nil {
			if m.GetSequence() != sequence || m.GetText() != "" {
				l.t.Errorf("got the recall %v, want that of %d", m, sequence)
			}
			return
		}
	}
}

// expectEnd wants the stream to end with a kind of error, whatever comes
// before.
func (l *listener) expectEnd(kind errs.Kind) {
	l.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case _, open := <-l.steps:
			if open {
				continue
			}
			if !errs.Is(l.err, kind) {
				l.t.Errorf("the stream ended with %v, want %v", l.err, kind)
			}
			return
		case <-timeout:
			l.t.Fatal("the stream does not end")
		}
	}
}

// close ends the stream from this side.
func (l *listener) close() { l.cancel() }
