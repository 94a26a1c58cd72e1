package feed_test

import (
	"context"
	"io"
	"sync"
	"testing"

	"google.golang.org/grpc"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/feed"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
)

// pipe serves a feed to clients of the same process, without a network.
type pipe struct {
	log    *feed.Log
	caller authn.Caller

	mu   sync.Mutex
	down bool
	ends []context.CancelCauseFunc
	wg   sync.WaitGroup
}

func newPipe(t *testing.T, l *feed.Log) *pipe {
	p := &pipe{log: l, caller: authn.Caller{Name: authn.ServiceName("identity")}}
	t.Cleanup(p.wg.Wait)
	return p
}

// setDown breaks the streams there are, and refuses new ones while down.
func (p *pipe) setDown(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
	for _, end := range p.ends {
		end(errDown())
	}
	p.ends = nil
}

func errDown() error { return errs.New(errs.Unavailable, "DOWN", "the server is down") }

// open is a feed.Source.
func (p *pipe) open(ctx context.Context, req *eventv1.StreamEventsRequest, _ ...grpc.CallOption) (grpc.ServerStreamingClient[eventv1.StreamEventsResponse], error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		return nil, errDown()
	}
	ctx, end := context.WithCancelCause(ctx)
	p.ends = append(p.ends, end)
	s := &stream{ctx: authn.WithCaller(ctx, p.caller), sent: make(chan *eventv1.StreamEventsResponse)}
	p.wg.Go(func() {
		s.err = feed.NewServer(p.log).StreamEvents(req, s)
		close(s.sent)
	})
	return client{from: s}, nil
}

// stream is the server's end of a pipe, and client, around it, the client's.
type stream struct {
	grpc.ServerStream
	ctx  context.Context
	sent chan *eventv1.StreamEventsResponse
	err  error // set before sent is closed
}

type client struct {
	grpc.ClientStream
	from *stream
}

func (s *stream) Context() context.Context { return s.ctx }

func (s *stream) Send(r *eventv1.StreamEventsResponse) error {
	select {
	case s.sent <- r:
		return nil
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	}
}

func (c client) Recv() (*eventv1.StreamEventsResponse, error) {
	r, ok := <-c.from.sent
	switch {
	case ok:
		return r, nil
	case c.from.err == nil:
		return nil, io.EOF
	case context.Cause(c.from.ctx) != nil:
		return nil, context.Cause(c.from.ctx)
	}
	return nil, c.from.err
}
