package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"guildhall.dev/gateway/internal/problem"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/rpc"
	"guildhall.dev/pkg/serve"
)

const (
	// openGrace is how long the first message or error of a stream is waited
	// for before 200 is sent without one. Refusals come within it and so get
	// their own status; a stream on which nothing happens opens no later.
	openGrace = 250 * time.Millisecond
	// ahead is how many messages are received before the client has taken
	// them. Beyond it gRPC's flow control holds the service back.
	ahead = 32
)

// stream is the route of an RPC that streams its answers.
type stream struct {
	api     *api
	b       *binding
	in, out protoreflect.MessageType
	resume  resumption
}

func (a *api) newStream(b *binding) (*stream, error) {
	in, err := protoregistry.GlobalTypes.FindMessageByName(b.method.Input().FullName())
	if err != nil {
		return nil, fmt.Errorf("gateway: %s: %w", b.rpc, err)
	}
	out, err := protoregistry.GlobalTypes.FindMessageByName(b.method.Output().FullName())
	if err != nil {
		return nil, fmt.Errorf("gateway: %s: %w", b.rpc, err)
	}
	return &stream{api: a, b: b, in: in, out: out, resume: resumptionOf(b.method)}, nil
}

// serve is a runtime.HandlerFunc.
func (s *stream) serve(w http.ResponseWriter, r *http.Request, path map[string]string) {
	q := requestOf(r.Context())
	q.binding = s.b
	if q.http.Method == http.MethodHead {
		// It would be a stream that nobody reads and nothing ends.
		w.Header().Set("Allow", "GET, OPTIONS")
		s.api.edge.fail(w, q, errs.New(errs.Invalid, problem.MethodNotAllowed, "a stream can only be read with GET"))
		return
	}
	message, err := s.request(q, path)
	if err != nil {
		s.api.edge.fail(w, q, err)
		return
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	answers, err := s.call(ctx, q, message)
	if err != nil {
		s.api.edge.fail(w, q, err)
		return
	}
	s.forward(ctx, q, answers, formOf(q.http))
	cancel(nil)
	for range answers { // until the receiving goroutine has ended
	}
}

// request reads path, query and Last-Event-ID into a request message.
func (s *stream) request(q *request, path map[string]string) (proto.Message, error) {
	m := s.in.New().Interface()
	if err := q.checkQuery(s.b); err != nil {
		return nil, err
	}
	if err := populate(m, q.query); err != nil {
		return nil, q.explainQuery(err)
	}
	for field, value := range path {
		if err := runtime.PopulateFieldFromPath(m, field, value); err != nil {
			return nil, errs.New(errs.Invalid, problem.PathInvalid, "the path does not fit the operation", errs.Cause(err))
		}
	}
	if err := q.fromHeaders(s.b, m.ProtoReflect()); err != nil {
		return nil, err
	}
	// A browser comes back to the same URL, whose position is older.
	if last := q.http.Header.Get("Last-Event-Id"); last != "" && s.resume.field != "" {
		m.ProtoReflect().Clear(s.in.Descriptor().Fields().ByName(s.resume.field))
		if err := populate(m, url.Values{string(s.resume.field): {last}}); err != nil {
			return nil, invalidHeader("Last-Event-ID", "send the id of an event of this stream")
		}
	}
	return m, nil
}

// answer is one message of a service, or the error that ended its stream.
type answer struct {
	message proto.Message
	err     error
}

// call makes the call and returns its answers. The channel is closed after the
// end, which ctx brings about at the latest; it has to be read until then.
func (s *stream) call(ctx context.Context, q *request, message proto.Message) (<-chan answer, error) {
	call, err := s.api.conn.open(ctx, q, s.b)
	if err != nil {
		return nil, err
	}
	if err := call.SendMsg(message); err != nil && !errors.Is(err, io.EOF) {
		return nil, rpc.FromStatus(err) // io.EOF: the reason is in RecvMsg
	}
	if !s.b.method.IsStreamingClient() {
		if err := call.CloseSend(); err != nil {
			return nil, rpc.FromStatus(err)
		}
	}
	return s.receive(call), nil
}

func (s *stream) receive(call grpc.ClientStream) <-chan answer {
	answers := make(chan answer, ahead)
	go func() {
		defer close(answers)
		for {
			m := s.out.New().Interface()
			if err := call.RecvMsg(m); err != nil {
				if !errors.Is(err, io.EOF) {
					answers <- answer{err: rpc.FromStatus(err)}
				}
				return
			}
			answers <- answer{message: m}
		}
	}()
	return answers
}

// forward writes the answers until they end, the client is gone or the process
// drains.
func (s *stream) forward(ctx context.Context, q *request, answers <-chan answer, f form) {
	first, begun := s.first(ctx, answers)
	if begun && first.err != nil {
		s.api.edge.fail(q.writer, q, cause(ctx, first.err))
		return
	}
	s.api.edge.metrics.streams.Add(ctx, 1)
	defer s.api.edge.metrics.streams.Add(context.WithoutCancel(ctx), -1)
	out := newFrames(q, f, s.api.edge.cfg.BodyTimeout)
	out.open()
	if begun && first.message != nil {
		s.write(out, first.message)
	}
	silence := time.NewTicker(s.api.edge.cfg.Heartbeat)
	defer silence.Stop()
	for out.err == nil {
		select {
		case a, more := <-answers:
			switch {
			case !more:
				out.flush()
				return
			case a.err != nil:
				s.end(ctx, q, out, cause(ctx, a.err))
				return
			}
			s.write(out, a.message)
			silence.Reset(s.api.edge.cfg.Heartbeat)
		case <-out.due.C:
			out.flush()
		case <-silence.C:
			out.heartbeat()
		case <-serve.Draining(ctx):
			s.end(ctx, q, out, serve.ErrDraining())
			return
		case <-ctx.Done():
			s.end(ctx, q, out, context.Cause(ctx))
			return
		}
	}
}

// first waits for the first answer; false when there is none yet. The zero
// answer is the end.
func (s *stream) first(ctx context.Context, answers <-chan answer) (answer, bool) {
	grace := time.NewTimer(openGrace)
	defer grace.Stop()
	select {
	case a := <-answers:
		return a, true
	case <-ctx.Done():
		return answer{err: context.Cause(ctx)}, true
	case <-grace.C:
		return answer{}, false
	}
}

func (s *stream) write(out *frames, m proto.Message) {
	text, err := s.api.codec.Marshal(m)
	if err != nil {
		out.err = err
		return
	}
	id, event := s.resume.of(m.ProtoReflect())
	out.message(id, event, text)
}

// end writes the problem that a stream ends with. The client that is gone is
// no problem.
func (s *stream) end(ctx context.Context, q *request, out *frames, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	s.api.edge.log(q, err)
	out.problem(problem.New(err, q.problem()))
}

// cause returns why a stream ended: what this side ended it with, if it did,
// for then the other only says that it was canceled.
func cause(ctx context.Context, err error) error {
	if e, ok := errors.AsType[*errs.Error](context.Cause(ctx)); ok {
		return e
	}
	return err
}
