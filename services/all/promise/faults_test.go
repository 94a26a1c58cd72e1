package promise_test

import (
	"context"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"
)

// fault is something that goes wrong for a while.
type fault struct {
	name string
	// strike breaks it, for as long as is meant, and repairs it.
	strike func(ctx context.Context, c *cluster)
}

// faults are what a replica, and what it depends on, does to us in production.
func faults() []fault {
	return []fault{
		{"Redis hangs", func(ctx context.Context, c *cluster) {
			c.redis.Pause()
			pause(ctx, 2*leaseLength)
			c.redis.Resume()
		}},
		{"Redis is killed and comes back empty", func(ctx context.Context, c *cluster) {
			c.redis.Stop()
			pause(ctx, leaseLength)
			c.redis.Start()
		}},
		{"Redis returns what it held before", func(ctx context.Context, c *cluster) {
			held := c.remember(ctx)
			pause(ctx, leaseLength)
			c.restore(ctx, held)
		}},
		{"Redis is gone for one replica", func(ctx context.Context, c *cluster) {
			r := c.any()
			r.redis.refuse(true)
			pause(ctx, leaseLength)
			r.redis.refuse(false)
		}},
		{"a replica is stopped past its lease and goes on", func(ctx context.Context, c *cluster) {
			c.any().freeze(ctx, leaseLength*5/2)
		}},
		{"a replica is stopped for part of its lease", func(ctx context.Context, c *cluster) {
			c.any().freeze(ctx, leaseLength*3/4)
		}},
		{"the connections to PostgreSQL are cut", func(ctx context.Context, c *cluster) {
			for range 5 {
				c.any().database.cut()
				pause(ctx, leaseLength/5)
			}
		}},
		{"a replica loses PostgreSQL past its lease", func(ctx context.Context, c *cluster) {
			c.any().loseDatabase(ctx, leaseLength*5/2)
		}},
		{"PostgreSQL is slow for one replica", func(ctx context.Context, c *cluster) {
			r := c.any()
			r.database.slow(15 * time.Millisecond)
			pause(ctx, 2*leaseLength)
			r.database.slow(0)
		}},
		{"a replica is killed and started again", func(ctx context.Context, c *cluster) {
			c.any().restart(ctx, leaseLength/2)
		}},
	}
}

func (c *cluster) any() *replica { return c.replicas[rand.IntN(len(c.replicas))] }

// freeze stops the process for a while.
func (r *replica) freeze(ctx context.Context, d time.Duration) {
	r.signal(r.cluster.t, syscall.SIGSTOP)
	pause(ctx, d)
	r.signal(r.cluster.t, syscall.SIGCONT)
}

// loseDatabase cuts the replica off from PostgreSQL for a while.
func (r *replica) loseDatabase(ctx context.Context, d time.Duration) {
	r.database.hang(true)
	pause(ctx, d)
	r.database.cut()
	r.database.hang(false)
}

// restart kills the process, and starts it again after a while.
func (r *replica) restart(ctx context.Context, after time.Duration) {
	r.process.Kill()
	pause(ctx, after)
	if ctx.Err() == nil {
		r.start()
	}
}

func (r *replica) signal(t *testing.T, s syscall.Signal) {
	if err := r.process.Signal(s); err != nil {
		t.Errorf("%v to %s: %v", s, r.name, err)
	}
}

// remember returns all that Redis holds.
func (c *cluster) remember(ctx context.Context) map[string]string {
	held := make(map[string]string)
	keys := c.peek.Scan(ctx, 0, "*", 1000).Iterator()
	for keys.Next(ctx) {
		if dump, err := c.peek.Dump(ctx, keys.Val()).Result(); err == nil {
			held[keys.Val()] = dump
		}
	}
	return held
}

// restore puts it back over what is there now.
func (c *cluster) restore(ctx context.Context, held map[string]string) {
	for key, dump := range held {
		c.peek.RestoreReplace(ctx, key, 0, dump) // an error is that Redis is away
	}
}
