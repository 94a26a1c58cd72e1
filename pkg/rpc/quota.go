package rpc

import (
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

// receiveFirst is RecvMsg with a deadline. When that is over the inner call
// still waits on its goroutine, but not for long: it ends with the call, which
// the handler ends by returning the error.
func (g *guardedStream) receiveFirst(m any) error {
	received := make(chan error, 1)
	go func() { received <- g.ServerStream.RecvMsg(m) }()
	late := time.NewTimer(g.s.cfg.FirstMessage)
	defer late.Stop()
	select {
	case err := <-received:
		return err
	case <-late.C:
		return g.keep(errs.New(errs.Invalid, "FIRST_MESSAGE_LATE", "a stream says at once what it wants; this one sent nothing"))
	}
}
