package mirror

import (
	"context"
	"time"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/subject"
	"guildhall.dev/services/permission/internal/sweep"
)

const (
	// endAction names the end of a team or an account in the audit log.
	endAction = "permission.grants.end"
	// endEvery is how often Run looks for what an end has left over. Nothing
	// of it counts meanwhile.
	endEvery = time.Second
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
	return m.endWith(tx, at, name)
}

// endWith ends what hangs on a name, and what it holds.
func (m *Mirror) endWith(tx *change.Tx, at time.Time, name string) error {
	for _, forget := range m.cfg.Forget {
		if err := forget(tx, name); err != nil {
			return err
		}
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
	for _, e := range gone {
		e.Record(tx)
	}
	return err
}

// Run deletes what ended subjects have left, until ctx ends. Replicas may do
// so at once.
func (m *Mirror) Run(ctx context.Context) error {
	sweeper := sweep.Sweeper{
		Store: m.cfg.Store, Journal: m.cfg.Journal, Logger: m.cfg.Logger, Clock: m.cfg.Clock, Every: endEvery,
		Jobs: []sweep.Job{{Action: endAction, Due: m.endings, Do: m.finish}},
	}
	return sweeper.Run(ctx)
}

func (m *Mirror) endings(r kv.Reader, _ time.Time, after []byte, limit int) ([]string, []byte, error) {
	return m.cfg.Grants.Endings(r, after, limit)
}

// finish deletes a part of what a subject has left over.
func (m *Mirror) finish(tx *change.Tx, name string) (more bool, err error) {
	ending, err := m.cfg.Grants.Ending(tx, name)
	if err != nil || !ending {
		return false, err // another replica was quicker: the name may be somebody else's
	}
	if err := m.endHeld(tx, tx.Time, name); err != nil {
		return false, err
	}
	return m.cfg.Grants.Ending(tx, name)
}
