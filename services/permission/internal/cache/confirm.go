package cache

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/services/permission/internal/revision"
)

// confirmTimeout bounds one read of heads, which serves many callers and so
// does not end with the context of one.
const confirmTimeout = 3 * time.Second

// confirmer reads the newest revisions of organisations for many callers at
// once. One read is under way at a time; who comes meanwhile waits for the
// next one, never for the one that has begun: that one may have missed what
// the caller knows of.
type confirmer struct {
	store kv.Store
	reads *atomic.Int64

	mu   sync.Mutex
	busy bool   // somebody reads, or was told to
	next *round // those who wait for the read to come
}

// round is one read and those who share it.
type round struct {
	lead          chan struct{} // holds one when a waiter is to read
	done          chan struct{} // closed after the read
	places        map[string]int
	organizations []string
	heads         []revision.Revision
	err           error
}

// head returns a revision of the organisation that was the newest at some time
// since the call.
func (c *confirmer) head(ctx context.Context, organization string) (revision.Revision, error) {
	r, leads := c.join(organization)
	if !leads {
		select {
		case <-r.done:
		case <-r.lead:
			leads = true
		case <-ctx.Done():
			return revision.Revision{}, ended(ctx)
		}
	}
	if leads {
		c.read(ctx, r)
	}
	if r.err != nil {
		return revision.Revision{}, r.err
	}
	return r.heads[r.places[organization]], nil
}

// join enters the caller into the next round, and says whether it is to read.
func (c *confirmer) join(organization string) (r *round, leads bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.next == nil {
		c.next = &round{lead: make(chan struct{}, 1), done: make(chan struct{}), places: make(map[string]int)}
	}
	r = c.next
	if _, ok := r.places[organization]; !ok {
		r.places[organization] = len(r.organizations)
		r.organizations = append(r.organizations, organization)
	}
	leads = !c.busy
	c.busy = true
	return r, leads
}

// read carries out a round and hands over to the next, whichever way it ends:
// were the round left open, all later checks would wait for it.
func (c *confirmer) read(ctx context.Context, r *round) {
	c.mu.Lock()
	c.next = nil // who comes from now on is too late for this read
	c.mu.Unlock()
	r.err = errUnread
	defer c.handOver(r)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), confirmTimeout)
	defer cancel()
	c.reads.Add(1)
	r.err = c.store.View(ctx, func(reader kv.Reader) (err error) {
		r.heads, err = revision.Heads(reader, r.organizations)
		return err
	})
}

// errUnread is what the followers of a leader that panicked get.
var errUnread = errors.New("cache: the read of revisions did not end")

// handOver closes the round and wakes a reader for the next one. A round that
// all have left keeps its lead for the next who joins.
func (c *confirmer) handOver(r *round) {
	close(r.done)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.next == nil {
		c.busy = false
		return
	}
	c.next.lead <- struct{}{}
}
