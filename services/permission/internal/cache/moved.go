package cache

import (
	"context"
	"sync"
)

// moved wakes those who watch for changes. It says when to look, and not at
// what.
type moved struct {
	mu   sync.Mutex
	next chan struct{} // nil when nobody waits
}

func (m *moved) tell() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.next != nil {
		close(m.next)
		m.next = nil
	}
}

// Moved returns a channel that is closed when an organisation that is in memory
// moves on after the call. What moved is for View to say.
func (c *Cache) Moved() <-chan struct{} {
	c.moved.mu.Lock()
	defer c.moved.mu.Unlock()
	if c.moved.next == nil {
		c.moved.next = make(chan struct{})
	}
	return c.moved.next
}

// Settle returns when no replica answers any more from what was before the
// call: all of them know what this one knows. It waits as a change does, and
// not at all where only this process writes.
func (c *Cache) Settle(ctx context.Context) error {
	if c.keeper == nil {
		return nil
	}
	return c.keeper.Settle(ctx)
}
