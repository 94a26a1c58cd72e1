package cache

import (
	"context"
	"time"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/services/permission/internal/revision"
	"guildhall.dev/services/permission/internal/sequence"
)

// confirmTimeout bounds one read of heads, which serves many callers.
const confirmTimeout = 3 * time.Second

// confirm returns when the journal is at a revision that was the newest at
// some time since the call.
func (c *Cache) confirm(ctx context.Context, j *journal) error {
	if c.current() {
		return c.settleDoubts(ctx, j)
	}
	head, err := c.heads.Get(ctx, j.organization)
	if err != nil {
		return err
	}
	if s := j.state.Load(); s != nil && s.revision == head {
		return nil
	}
	if j.covers(head) {
		return nil // another check has got further meanwhile
	}
	return c.catchUp(ctx, j, newest)
}

// current reports whether memory is as new as the store, but for what journals
// doubt: because only this process writes, or because of the lease. It is the
// lease check, and has to follow the check's coming in.
func (c *Cache) current() bool {
	return c.exclusive || c.keeper != nil && c.keeper.Holds()
}

// settleDoubts reads the log if the journal was never loaded, or has reason to
// doubt that it knows all.
func (c *Cache) settleDoubts(ctx context.Context, j *journal) error {
	raised := j.doubts.Load()
	if j.state.Load() != nil && raised == j.settled.Load() {
		return nil
	}
	if err := c.catchUp(ctx, j, newest); err != nil {
		return err
	}
	j.settle(raised)
	return nil
}

// readHeads is how many checks confirm revisions by one read.
func (c *Cache) readHeads(ctx context.Context, organizations []string) (heads []revision.Revision, err error) {
	c.stats.RevisionReads.Add(1)
	err = c.cfg.Store.View(ctx, func(r kv.Reader) error {
		heads, err = revision.Heads(r, organizations)
		return err
	})
	return heads, err
}

// applyChanges brings journals up to date with what the lease has seen. One
// that is not there yet is left alone: the check that makes it loads it after
// that, and so reads what is newer.
func (c *Cache) applyChanges(ctx context.Context, changes sequence.Changes) error {
	for _, organization := range changes.Organizations {
		if j, ok := c.journals.Load(organization); ok {
			if err := c.catchUp(ctx, j.(*journal), newest); err != nil {
				return err
			}
		}
	}
	if changes.AnyLost() {
		c.journals.Range(func(organization, j any) bool {
			if changes.Lost[sequence.Of(organization.(string))] {
				j.(*journal).doubts.Add(1)
			}
			return true
		})
	}
	return nil
}
