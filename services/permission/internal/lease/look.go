package lease

import (
	"context"
	"slices"
	"time"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/services/permission/internal/sequence"
)

// sight is what one look has shown.
type sight struct {
	begun  time.Time // before the snapshot was taken
	head   sequence.Vector
	others []other // in the order of their ids
}

// other is the lease of another replica.
type other struct {
	row
	// ranOut: its holder does not answer from memory by what it knew before
	// the look began.
	ranOut bool
	silent time.Duration // since it was first seen as it is
}

// sighting is since when a row has been seen as it is.
type sighting struct {
	beat  uint64
	since time.Time // the end of the look that first saw it
}

// look reads the rows and the head of the sequence from one snapshot, and
// applies to memory what has changed. One look is under way at a time.
func (k *Keeper) look(ctx context.Context) (*sight, error) {
	s := &sight{begun: k.cfg.Clock()}
	var rows []row
	var changes sequence.Changes
	applied := k.applied.Load()
	err := k.cfg.Store.View(ctx, func(r kv.Reader) (err error) {
		if s.head, err = sequence.Head(r); err != nil {
			return err
		}
		if changes, err = sequence.Since(r, applied, s.head); err != nil {
			return err
		}
		rows, err = readRows(r)
		return err
	})
	if err != nil {
		return nil, err
	}
	if !changes.Empty() {
		if err := k.cfg.Apply(ctx, changes); err != nil {
			return nil, err
		}
	}
	k.applied.Store(&s.head)
	s.others = k.watch(rows, s.begun, k.cfg.Clock())
	k.stats.others.Store(int64(len(s.others)))
	if !changes.Empty() {
		nudge(k.moved)
	}
	return s, nil
}

// watch notes the rows of a look that took from begun to ended.
func (k *Keeper) watch(rows []row, begun, ended time.Time) []other {
	rows = slices.DeleteFunc(rows, func(l row) bool { return l.id == k.id })
	seen := make(map[string]sighting, len(rows))
	others := make([]other, len(rows))
	for i, l := range rows {
		last, ok := k.seen[l.id]
		if !ok || last.beat != l.beat {
			last = sighting{beat: l.beat, since: ended}
		}
		seen[l.id] = last
		silent := begun.Sub(last.since)
		others[i] = other{row: l, silent: silent, ranOut: silent >= l.length}
	}
	k.seen = seen
	return others
}
