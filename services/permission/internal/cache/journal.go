package cache

import (
	"context"
	"sync"
	"sync/atomic"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/fresh"
	"guildhall.dev/services/permission/internal/revision"
)

// journal is the end of one organisation's change log, in memory.
type journal struct {
	organization string
	// turn is held by whoever reads the log from the store.
	turn chan struct{}
	// state is where the journal stands; nil before it is first loaded. It
	// is stored last, when all entries that are void at it are gone.
	state atomic.Pointer[state]
	// doubts counts writes of this process that may have changed more than the
	// journal knows; up to settled, the store has been asked.
	doubts, settled atomic.Int64

	mu    sync.Mutex
	floor revision.Revision // the oldest revision that is known
	marks []uint64          // of the revisions behind the floor
	last  map[string]int64  // names touched behind the floor -> when last
}

// state never changes once made.
type state struct {
	revision revision.Revision
	// generation changes when everything kept before is void.
	generation uint64
	// known is what checks have found out at it.
	known *decide.State
}

func newJournal(organization string) *journal {
	return &journal{organization: organization, turn: make(chan struct{}, 1), last: make(map[string]int64)}
}

// settle notes that the store was asked after so many doubts had been raised.
func (j *journal) settle(raised int64) {
	for {
		settled := j.settled.Load()
		if settled >= raised || j.settled.CompareAndSwap(settled, raised) {
			return
		}
	}
}

// newest asks catchUp for whatever is the newest revision.
const newest = -1

// catchUp brings the journal to the store's newest revision, unless it is at
// the number already.
func (c *Cache) catchUp(ctx context.Context, j *journal, number int64) error {
	select {
	case j.turn <- struct{}{}:
		defer func() { <-j.turn }()
	case <-ctx.Done():
		return fresh.Ended(ctx)
	}
	before := j.state.Load()
	if before != nil && number != newest && before.revision.Number >= number {
		return nil // whoever had the turn before has done it
	}
	var head revision.Revision
	var changes []revision.Change
	var complete bool
	err := c.cfg.Store.View(ctx, func(r kv.Reader) error {
		var err error
		if head, err = revision.Head(r, j.organization); err != nil {
			return err
		}
		changes, complete, err = revision.Since(r, j.organization, c.from(before, head))
		return err
	})
	if err != nil {
		return err
	}
	c.apply(j, before, head, changes, complete)
	return nil
}

// from returns the number behind which to read the log. What is known already
// is read once more: if it reads differently, the store's history was
// replaced.
func (c *Cache) from(before *state, head revision.Revision) int64 {
	if before != nil && before.revision.Number <= head.Number {
		return max(0, before.revision.Number-1)
	}
	if c.second == nil {
		return head.Number
	}
	return max(0, head.Number-revision.Kept) // for the entries that Redis has
}

// apply moves the journal to head. The caller has the turn.
func (c *Cache) apply(j *journal, before *state, head revision.Revision, changes []revision.Change, complete bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	next := &state{revision: head, known: decide.NewState()}
	if before != nil {
		next.generation = before.generation
		if before.revision == head {
			return
		}
	}
	if before == nil || !complete || !follows(before.revision, changes) {
		next.generation++
		j.restart(head, changes)
	} else {
		for _, change := range changes {
			if change.Revision.Number > before.revision.Number {
				c.note(j, change)
			}
		}
		j.prune()
	}
	j.state.Store(next)
	c.moved.tell()
}

// follows reports whether the changes go on from the revision: they begin with
// the one that made it.
func follows(last revision.Revision, changes []revision.Change) bool {
	if last.Number == 0 {
		return true
	}
	return len(changes) > 0 && changes[0].Revision == last
}

// restart fills the journal anew, with the changes up to head.
func (j *journal) restart(head revision.Revision, changes []revision.Change) {
	j.marks, j.last = nil, make(map[string]int64)
	switch {
	case len(changes) == 0:
		j.floor = head
		return
	case changes[0].Revision.Number == 1:
		j.floor = revision.Revision{}
	default:
		j.floor, changes = changes[0].Revision, changes[1:]
	}
	for _, change := range changes {
		j.add(change)
	}
}

// note adds a change and drops the entries that it touched.
func (c *Cache) note(j *journal, change revision.Change) {
	j.add(change)
	for _, name := range change.Touched {
		if e, ok := c.memory.GetIfPresent(name); ok && e.at.Number < change.Revision.Number {
			c.memory.Invalidate(name)
		}
	}
}

func (j *journal) add(change revision.Change) {
	j.marks = append(j.marks, change.Revision.Mark)
	for _, name := range change.Touched {
		j.last[name] = change.Revision.Number
	}
}

// prune forgets the oldest changes, now and then.
func (j *journal) prune() {
	extra := len(j.marks) - revision.Kept
	if extra < revision.Kept {
		return
	}
	j.floor = revision.Revision{Number: j.floor.Number + int64(extra), Mark: j.marks[extra-1]}
	j.marks = append([]uint64(nil), j.marks[extra:]...)
	for name, number := range j.last {
		if number <= j.floor.Number {
			delete(j.last, name)
		}
	}
}

// covers reports whether the journal has come by the revision.
func (j *journal) covers(v revision.Revision) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.state.Load() != nil && j.holds(v)
}

// holds is covers for one who has the lock. It is the revision check: what was
// read at a revision that is not on this history is of no use.
func (j *journal) holds(v revision.Revision) bool {
	i := v.Number - j.floor.Number
	if i == 0 {
		return v == j.floor
	}
	return i > 0 && i <= int64(len(j.marks)) && j.marks[i-1] == v.Mark
}

// verdict is what a journal says of an entry that was read at some revision.
type verdict uint8

const (
	good  verdict = iota // it is as the store has it now
	stale                // it was changed since, or its revision is not known
	ahead                // the journal has yet to come there
)

// judge returns the verdict on an entry. The caller holds the lock.
func (j *journal) judge(name string, at revision.Revision) verdict {
	switch {
	case at.Number > j.floor.Number+int64(len(j.marks)):
		return ahead
	case !j.holds(at) || j.touchedSince(name, at):
		return stale
	default:
		return good
	}
}

// touchedSince reports whether a change behind the revision has touched the
// name. It stands for the entry that the change has dropped: one that was read
// before and arrives after finds that it is late.
func (j *journal) touchedSince(name string, at revision.Revision) bool {
	return j.last[name] > at.Number
}
