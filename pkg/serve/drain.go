package serve

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"guildhall.dev/pkg/errs"
)

// ReasonDraining is the reason of what ends a stream when the process stops.
const ReasonDraining = "SERVER_DRAINING"

// ErrDraining returns the error that a long stream's handler ends with when
// Draining(ctx) is closed: Unavailable, SERVER_DRAINING.
func ErrDraining() *errs.Error {
	return errs.New(errs.Unavailable, ReasonDraining, "the server is restarting; connect again", errs.RetryAfter(time.Second))
}

type drainKey struct{}

// Draining returns a channel that is closed when the process stops taking
// calls. A handler that stays open (a stream, a WebSocket) watches it, says
// what it has left to say and returns ErrDraining; a stream that does not is
// cut after process.drain.streams by the end of its context. Calls that end by
// themselves need not look. For a context of no server it is nil, which blocks
// for ever.
func Draining(ctx context.Context) <-chan struct{} {
	begun, _ := ctx.Value(drainKey{}).(<-chan struct{})
	return begun
}

// WithDraining returns a context whose Draining channel is begun, as the calls
// of a process have: for what serves in another way than a process does, like
// pkg/servetest.
func WithDraining(ctx context.Context, begun <-chan struct{}) context.Context {
	return context.WithValue(ctx, drainKey{}, begun)
}

// drain tells running calls of one process that it stops.
type drain struct {
	begun  chan struct{}
	once   sync.Once
	cut    context.Context // ends when open streams are cut
	cutNow context.CancelFunc
	active atomic.Int64 // calls and requests that run
	// requests are those of the HTTP server.
	requests sync.WaitGroup
}

func newDrain() *drain {
	d := &drain{begun: make(chan struct{})}
	d.cut, d.cutNow = context.WithCancel(context.Background())
	return d
}

// begin tells handlers, and cuts streams after the grace. The timer may
// outlive the drain: it only ends a context.
func (d *drain) begin(grace time.Duration) {
	d.once.Do(func() {
		close(d.begun)
		time.AfterFunc(grace, d.cutNow)
	})
}

// serverOptions are the interceptors of a server. They stand inside those of
// pkg/rpc, which turn their errors into status.
func (d *drain) serverOptions() []grpc.ServerOption {
	return []grpc.ServerOption{grpc.ChainUnaryInterceptor(d.unary), grpc.ChainStreamInterceptor(d.stream)}
}

func (d *drain) unary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	d.active.Add(1)
	defer d.active.Add(-1)
	return handler(WithDraining(ctx, d.begun), req)
}

var errCut = errors.New("the process stops")

func (d *drain) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	d.active.Add(1)
	defer d.active.Add(-1)
	ctx, cancel := context.WithCancelCause(WithDraining(ss.Context(), d.begun))
	defer cancel(nil)
	defer context.AfterFunc(d.cut, func() { cancel(errCut) })()
	err := handler(srv, &drainStream{ServerStream: ss, ctx: ctx, waits: info.IsClientStream})
	if context.Cause(ctx) == errCut {
		// Whatever the handler made of the end of its context, to the client it
		// is one thing: come again.
		return ErrDraining()
	}
	return err
}

// drainStream is a stream whose context ends when streams are cut.
type drainStream struct {
	grpc.ServerStream
	ctx   context.Context
	waits bool
}

func (s *drainStream) Context() context.Context { return s.ctx }

// RecvMsg also returns when the context ends. The inner call then still waits
// on its goroutine, but not for long: it ends with the call, which the handler
// ends by returning.
func (s *drainStream) RecvMsg(m any) error {
	if !s.waits {
		return s.ServerStream.RecvMsg(m)
	}
	received := make(chan error, 1)
	go func() { received <- s.ServerStream.RecvMsg(m) }()
	select {
	case err := <-received:
		return err
	case <-s.ctx.Done():
		return ErrDraining()
	}
}

// handler counts requests, also ones whose connection was taken over
// (WebSocket), which http.Server.Shutdown does not wait for.
func (d *drain) handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.active.Add(1)
		defer d.active.Add(-1)
		d.requests.Add(1)
		defer d.requests.Done()
		next.ServeHTTP(w, r)
	})
}
