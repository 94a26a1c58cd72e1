package mirror

import (
	"context"
	"time"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/subject"
)

const (
	// endAction names the end of a team or an account in the audit log.
	endAction = "permission.grants.end"
	// endEvery is how often Run looks for what an end has left over. Nothing
	// of it counts meanwhile.
	endEvery = time.Second
	endBatch = 10
)

// end ends a team, a segment or an account that is gone for good, with all it
// holds, so that a later one of the same name begins with nothing. What is too
// much for one transaction no longer counts, and Run deletes it.
func (m *Mirror) end(tx *change.Tx, at time.Time, name string) error {
	var err error
	switch {
	case subject.IsTeam(name):
		err = m.cfg.Subjects.RemoveTeam(tx, at, name)
	case subject.IsAccount(name):
		err = m.cfg.Subjects.RemoveAccount(tx, at, name)
	}
	if err != nil {
		return err
	}
	if err := m.cfg.Properties.Forget(tx, at, name); err != nil {
		return err
	}
	return m.endHeld(tx, at, name)
}

// endHeld ends what a name holds and, of a segment, who is in it: as much of
// both as one transaction takes. By the time of a second call the name of an
// account or a team may be somebody else's.
func (m *Mirror) endHeld(tx *change.Tx, at time.Time, name string) error {
	more := false
	if subject.IsSegment(name) {
		var err error
		if more, err = m.cfg.Subjects.RemoveMembers(tx, at, name, grant.EndChunk); err != nil {
			return err
		}
	}
	gone, err := m.cfg.Grants.DeleteOf(tx, at, name, more)
	for _, c := range gone {
		tx.Record(change.Change{
			Resource: c.Grant.GetName(), Type: "guildhall.permission.grant.deleted.v1",
			Data: grant.Event(c.Grant, c.Revision),
		})
	}
	return err
}

// Run deletes what ended subjects have left, until ctx ends. Replicas may do
// so at once.
func (m *Mirror) Run(ctx context.Context) error {
	tick := time.NewTicker(endEvery)
	defer tick.Stop()
	for {
		if err := m.finish(ctx); err != nil && ctx.Err() == nil {
			m.cfg.Logger.WarnContext(ctx, "the grants of those who are gone were not deleted; trying again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// finish deletes until nothing is left over.
func (m *Mirror) finish(ctx context.Context) error {
	for {
		var names []string
		err := m.cfg.Store.View(ctx, func(r kv.Reader) (err error) {
			names, err = m.cfg.Grants.Endings(r, endBatch)
			return err
		})
		if err != nil || len(names) == 0 {
			return err
		}
		for _, name := range names {
			err := change.DoSystem(ctx, m.cfg.Journal, endAction, func(tx *change.Tx) error {
				tx.Unchanged() // holds unless something is recorded
				ending, err := m.cfg.Grants.Ending(tx, name)
				if err != nil || !ending {
					return err // another replica was quicker: the name may be somebody else's
				}
				return m.endHeld(tx, tx.Time, name)
			})
			if err != nil {
				return err
			}
		}
	}
}
