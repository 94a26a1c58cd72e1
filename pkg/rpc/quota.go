package rpc

import (
	"context"
	"sync"
	"time"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/errs"
)

// maxHeaderBytes bounds the headers of a call, before anybody is known to be
// calling: far above the largest token, far below grpc-go's own 16 MiB.
const maxHeaderBytes = 64 << 10

// firstMessage is how long a stream may take to say what it wants. Until then
// it has been authorised for nothing and only costs memory.
const firstMessage = 10 * time.Second

// quota counts the open streams of each caller. Sister services have none: a
// gateway's streams are counted under the callers it forwards.
type quota struct {
	most int
	mu   sync.Mutex
	open map[string]int
}

// take counts one stream of the caller until release is called. The error is
// Exhausted (TOO_MANY_STREAMS).
func (q *quota) take(c authn.Caller) (release func(), err error) {
	if c.Name == "" || c.Kind() == authn.System {
		return func() {}, nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.open[c.Name] >= q.most {
		return nil, errs.New(errs.Exhausted, "TOO_MANY_STREAMS", "too many open streams of this account; close some first")
	}
	q.open[c.Name]++
	return func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if q.open[c.Name]--; q.open[c.Name] == 0 {
			delete(q.open, c.Name)
		}
	}, nil
}

// receive is RecvMsg, but ends with the caller's right to go on, and when the
// first message is late: a client that sends nothing holds nothing open. The
// inner call then still waits on its goroutine, but not for long: it ends with
// the call, which the handler ends by returning the error.
func (g *guardedStream) receive(m any) error {
	var late <-chan time.Time // never, behind the first message
	if !g.isAdmitted() {
		timer := time.NewTimer(g.s.cfg.FirstMessage)
		defer timer.Stop()
		late = timer.C
	}
	received := make(chan error, 1)
	go func() { received <- g.ServerStream.RecvMsg(m) }()
	select {
	case err := <-received:
		return err
	case <-late:
		return g.keep(errs.New(errs.Invalid, "FIRST_MESSAGE_LATE", "a stream says at once what it wants; this one sent nothing"))
	case <-g.ctx.Done():
		return context.Cause(g.ctx)
	}
}
