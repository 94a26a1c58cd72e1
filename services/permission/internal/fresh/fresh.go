// Package fresh reads the store for many callers at once.
//
// Who has to know what is true now cannot use a read that was under way when
// it came: that one may have missed what the caller knows of. So one read is
// under way at a time, and who comes meanwhile waits for the next one and
// shares it. The store sees two reads for any number of callers, and no caller
// waits longer than two reads take.
//
// It is not a cache: nothing outlives the read it came from.
package fresh

import (
	"context"
	"errors"
	"sync"
	"time"

	"guildhall.dev/pkg/errs"
)

// Reader shares reads. It is safe for concurrent use.
type Reader[K comparable, V any] struct {
	read    func(ctx context.Context, keys []K) ([]V, error)
	timeout time.Duration

	mu   sync.Mutex
	busy bool         // somebody reads, or was told to
	next *round[K, V] // those who wait for the read to come
}

// round is one read and those who share it.
type round[K comparable, V any] struct {
	lead   chan struct{} // holds one when a waiter is to read
	done   chan struct{} // closed after the read
	places map[K]int
	keys   []K
	values []V
	err    error
}

// NewReader returns a Reader. read returns the values in the order of the
// keys; it is never called twice at once. Its context does not end with that
// of one caller, for it serves many, but after the timeout.
func NewReader[K comparable, V any](timeout time.Duration, read func(ctx context.Context, keys []K) ([]V, error)) *Reader[K, V] {
	return &Reader[K, V]{read: read, timeout: timeout}
}

// Get returns the value of the key by a read that began after the call. When
// ctx ends first it returns Canceled or DeadlineExceeded; else the error is
// that of the read.
func (r *Reader[K, V]) Get(ctx context.Context, key K) (value V, err error) {
	w, leads := r.join(key)
	if !leads {
		select {
		case <-w.done:
		case <-w.lead:
			leads = true
		case <-ctx.Done():
			return value, Ended(ctx)
		}
	}
	if leads {
		r.carryOut(ctx, w)
	}
	if w.err != nil {
		return value, w.err
	}
	return w.values[w.places[key]], nil
}

// join enters the caller into the next round, and says whether it is to read.
func (r *Reader[K, V]) join(key K) (w *round[K, V], leads bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next == nil {
		r.next = &round[K, V]{lead: make(chan struct{}, 1), done: make(chan struct{}), places: make(map[K]int)}
	}
	w = r.next
	if _, ok := w.places[key]; !ok {
		w.places[key] = len(w.keys)
		w.keys = append(w.keys, key)
	}
	leads = !r.busy
	r.busy = true
	return w, leads
}

// errUnread is what the followers of a leader that panicked get.
var errUnread = errors.New("fresh: the shared read did not end")

// carryOut reads and hands over to the next round, whichever way it ends: were
// the round left open, all later callers would wait for it.
func (r *Reader[K, V]) carryOut(ctx context.Context, w *round[K, V]) {
	r.mu.Lock()
	r.next = nil // who comes from now on is too late for this read
	r.mu.Unlock()
	w.err = errUnread
	defer r.handOver(w)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.timeout)
	defer cancel()
	w.values, w.err = r.read(ctx, w.keys)
}

// handOver closes the round and wakes a reader for the next one. A round that
// all have left keeps its lead for the next who joins.
func (r *Reader[K, V]) handOver(w *round[K, V]) {
	close(w.done)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next == nil {
		r.busy = false
		return
	}
	r.next.lead <- struct{}{}
}

// Ended is the error of a caller that gave up waiting.
func Ended(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return errs.New(errs.DeadlineExceeded, "DEADLINE_EXCEEDED", "the call ran out of time", errs.Cause(ctx.Err()))
	}
	return errs.New(errs.Canceled, "CANCELED", "the caller gave the call up", errs.Cause(ctx.Err()))
}
