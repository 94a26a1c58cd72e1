package api

import (
	"context"
	"time"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
)

// Deadlines are looked at this often. A stage that is over counts as over
// before it is swept.
const (
	sweepEvery = 10 * time.Second
	sweepBatch = 100
)

// Names of what the service does by itself, in the audit log.
const (
	expireAction  = "permission.permissionChangeRequests.expire"
	advanceAction = "permission.accessReviews.advance"
)

// Run does what deadlines need done, until ctx ends. Replicas may do so at
// once: they find each other's work done.
func (c *Change) Run(ctx context.Context) error {
	counting := make(chan struct{})
	go func() { defer close(counting); c.Readings.Run(ctx) }()
	defer func() { <-counting }()
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if err := c.Sweep(ctx); err != nil && ctx.Err() == nil {
			c.logger.WarnContext(ctx, "deadlines of change requests and reviews were not kept; trying again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Sweep ends the requests whose stage is over, and takes reviews as far as they
// go by themselves.
func (c *Change) Sweep(ctx context.Context) error {
	err := c.each(ctx, c.Requests.Due, expireAction, func(tx *change.Tx, name string) (bool, error) {
		return false, c.Requests.Expire(tx, name)
	})
	if err != nil {
		return err
	}
	if err := c.each(ctx, c.Reviews.Due, advanceAction, c.Reviews.Advance); err != nil {
		return err
	}
	return c.journal.Store.View(ctx, func(r kv.Reader) error {
		items, err := c.Reviews.Overdue(r, c.clock())
		c.overdue.Store(items)
		return err
	})
}

// each does something to all that is due, one transaction at a time, and does it
// again where there is more.
func (c *Change) each(ctx context.Context, dueAt func(kv.Reader, time.Time, int) ([]string, error), action string, do func(*change.Tx, string) (more bool, err error)) error {
	for {
		var due []string
		err := c.journal.Store.View(ctx, func(r kv.Reader) (err error) {
			due, err = dueAt(r, c.clock(), sweepBatch)
			return err
		})
		if err != nil || len(due) == 0 {
			return err
		}
		for _, name := range due {
			for more := true; more; {
				err := change.DoSystem(ctx, c.journal.Changes, action, func(tx *change.Tx) (err error) {
					more, err = do(tx, name)
					return err
				})
				if err != nil {
					return err
				}
			}
		}
	}
}
