package credential

import (
	"context"
	"sync"
	"time"
)

// paceKept is for how long a slow hash slows others down after it was last seen.
const paceKept = 24 * time.Hour

// mostLag bounds how long a failure is held back.
const mostLag = time.Second

// pace makes failures last alike while there are hashes that take longer than
// those of now, because they were imported or made under other parameters: else
// the time would tell that there is such an account. It remembers what this
// process has seen, so the very first is still told.
type pace struct {
	mu      sync.Mutex
	slowest time.Duration
	seen    time.Time
}

// even returns when a failure that took so long may be answered. It holds no
// slot of the pool.
func (p *pace) even(ctx context.Context, took time.Duration, slow bool) {
	timer := time.NewTimer(p.lag(took, slow))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// lag notes how long a failure took, and returns how much is missing to the slow
// ones. One that a busy machine made slower still is forgotten bit by bit.
func (p *pace) lag(took time.Duration, slow bool) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if now.Sub(p.seen) > paceKept {
		p.slowest = 0
	}
	if slow {
		p.seen = now
		p.slowest = max(took, p.slowest-(p.slowest-took)/8)
	}
	return min(p.slowest-took, mostLag)
}
