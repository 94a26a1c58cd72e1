package identity_test

import (
	"context"
	"sync"
	"time"

	"guildhall.dev/pkg/kv"
)

// commits is a store that tells of its commits. Whatever the background does ends
// in one, so a test that waits for it need not ask again and again.
type commits struct {
	kv.Store
	mu   sync.Mutex
	next chan struct{} // closed with the next commit
}

func newCommits(s kv.Store) *commits { return &commits{Store: s, next: make(chan struct{})} }

// Unwrap is for kv.Exclusive.
func (c *commits) Unwrap() kv.Store { return c.Store }

func (c *commits) Update(ctx context.Context, fn func(tx kv.Tx) error) error {
	err := c.Store.Update(ctx, fn)
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.next)
	c.next = make(chan struct{})
	return err
}

// after returns what is closed with the next commit.
func (c *commits) after() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.next
}

// until waits for a condition that the background makes true with a commit.
func (p *process) until(is func() bool) {
	p.t.Helper()
	late := time.After(30 * time.Second)
	for {
		next := p.commits.after()
		if is() {
			return
		}
		select {
		case <-next:
		case <-late:
			p.t.Fatal("what was waited for did not come")
		}
	}
}
