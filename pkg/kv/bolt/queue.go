package bolt

import (
	"context"
	"sync"

	"guildhall.dev/pkg/kv/internal/overlay"
)

// update is one caller of Update in the queue.
type update struct {
	ctx  context.Context
	turn chan *overlay.Tx // filled when its closure may run
	done chan error       // filled with the fate of its batch

	mu    sync.Mutex
	taken bool // its turn has come, or its caller has gone
}

// take reports whether this call is the one that decides what becomes of u.
func (u *update) take() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	first := !u.taken
	u.taken = true
	return first
}

// queue holds the updates that wait.
type queue struct {
	mu      sync.Mutex
	waiting []*update
	closed  bool
	wake    chan struct{} // one token when something may have changed
}

func (q *queue) push(u *update) {
	q.mu.Lock()
	q.waiting = append(q.waiting, u)
	q.mu.Unlock()
	q.signal()
}

func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.signal()
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// wait blocks until something waits, or returns false when nothing does and
// the queue is closed.
func (q *queue) wait() bool {
	for {
		q.mu.Lock()
		some, closed := len(q.waiting) > 0, q.closed
		q.mu.Unlock()
		if some || closed {
			return some
		}
		<-q.wake
	}
}

// drain takes all that wait, in order of arrival.
func (q *queue) drain() []*update {
	q.mu.Lock()
	defer q.mu.Unlock()
	waiting := q.waiting
	q.waiting = nil
	return waiting
}
