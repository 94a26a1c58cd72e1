package cache

import (
	"context"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/revision"
)

// Need says how fresh an answer has to be, beyond what View promises anyway.
// The zero Need asks for nothing.
type Need struct {
	// AtLeast is a state that has to be part of the answer's history: one that
	// has not taken effect everywhere yet, or that View could know nothing of.
	AtLeast revision.Revision
	// Snapshot has the answer read from the store, whatever memory holds.
	Snapshot bool
}

// ViewAs is View on a state that is as fresh as is needed. It is Precondition
// (CONSISTENCY_TOKEN_AHEAD) when the store's history does not have the state
// that the need names.
func (c *Cache) ViewAs(ctx context.Context, organization string, need Need, fn func(decide.Facts) error) (revision.Revision, error) {
	if need.Snapshot {
		return c.viewStore(ctx, organization, fn)
	}
	j := c.journal(organization)
	if err := c.confirm(ctx, j); err != nil {
		return revision.Revision{}, err
	}
	if need.AtLeast.Number > 0 {
		if err := c.reach(ctx, j, need.AtLeast); err != nil {
			return revision.Revision{}, err
		}
	}
	return c.viewMemory(ctx, j, fn)
}

// reach brings the journal to a state at least.
func (c *Cache) reach(ctx context.Context, j *journal, v revision.Revision) error {
	if err := c.catchUp(ctx, j, v.Number); err != nil {
		return err
	}
	if j.denies(v) {
		return errs.New(errs.Precondition, "CONSISTENCY_TOKEN_AHEAD",
			"the store does not have the state that the token names: it may have been restored from a backup; check without the token")
	}
	return nil
}

// denies reports whether the journal knows that the revision is none of its
// history: it is still to come, or another one had its number. Of what is older
// than the journal it knows nothing.
func (j *journal) denies(v revision.Revision) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return v.Number >= j.floor.Number && !j.holds(v)
}
