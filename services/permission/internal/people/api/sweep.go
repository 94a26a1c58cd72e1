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

// expireAction names the end of a request by its deadline in the audit log.
const expireAction = "permission.permissionChangeRequests.expire"

// Run does what deadlines need done, until ctx ends. Replicas may do so at
// once: they find each other's work done.
func (c *Change) Run(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if err := c.Sweep(ctx); err != nil && ctx.Err() == nil {
			c.Logger.WarnContext(ctx, "deadlines of change requests were not kept; trying again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Sweep ends the requests whose stage is over.
func (c *Change) Sweep(ctx context.Context) error {
	for {
		due, err := c.due(ctx)
		if err != nil || len(due) == 0 {
			return err
		}
		for _, name := range due {
			err := change.DoSystem(ctx, c.Journal.Changes, expireAction, func(tx *change.Tx) error {
				return c.Requests.Expire(tx, name)
			})
			if err != nil {
				return err
			}
		}
	}
}

func (c *Change) due(ctx context.Context) (names []string, err error) {
	err = c.Journal.Store.View(ctx, func(r kv.Reader) error {
		names, err = c.Requests.Due(r, c.Clock(), sweepBatch)
		return err
	})
	return names, err
}
