// Package promise says whether a run of the permission service kept its
// promise: when a revocation has returned, no replica says yes; and when a
// grant has returned, none says no because it has not heard.
//
// A run is recorded as what its clients saw: which answers they got, and
// between which two instants they waited for them. The checker knows nothing of
// leases, logs or caches, so it cannot share their mistakes. Its own tests give
// it histories that are wrong.
//
// # What is checked
//
// Each right that a run gives and takes away is a register of one bit: changes
// write it, checks read it. The promise is that of a regular register (Lamport,
// On Interprocess Communication, 1986): a read returns a value that was written
// by a write that overlaps it, or by one of the last writes that ended before
// it began. It is not linearizability: while a revocation is under way, one
// replica may say no and another, asked later, still yes. It has not returned.
//
// A change whose answer was lost is recorded until it was repeated (under its
// request id) with success; one that never was has no end, and may take effect
// at any time or never. A check that was not answered says nothing, and is not
// recorded.
package promise

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// Never is the end of a change that was given up: it may yet happen.
const Never = time.Duration(1<<63 - 1)

// Operation is a change or a check of one right, as its client saw it.
type Operation struct {
	// Right names what is written or read.
	Right string
	// Start is when the client began, and End when it had the answer, since
	// the beginning of the run.
	Start, End time.Duration
	// Change tells a change from a check.
	Change bool
	// Value is what was written or read: whether the right is held.
	Value bool
	// Where says by which replica, and how, for the report.
	Where string
}

func (o Operation) String() string {
	verb := "check said"
	if o.Change {
		verb = "change to"
	}
	end := o.End.String()
	if o.End == Never {
		end = "?"
	}
	return fmt.Sprintf("%s: %s %t, %s to %s, %s", o.Right, verb, o.Value, o.Start, end, o.Where)
}

// History is a run. It is safe for concurrent use while it is recorded.
type History struct {
	begun time.Time
	mu    sync.Mutex
	ops   []Operation
}

// Begin starts a history. Instants are of this process's monotonic clock.
func Begin() *History { return &History{begun: time.Now()} }

// Now is the time since the beginning.
func (h *History) Now() time.Duration { return time.Since(h.begun) }

// Add records an operation that has ended.
func (h *History) Add(op Operation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, op)
}

// Operations returns what was recorded, by start.
func (h *History) Operations() []Operation {
	h.mu.Lock()
	defer h.mu.Unlock()
	ops := slices.Clone(h.ops)
	slices.SortStableFunc(ops, func(a, b Operation) int { return int(a.Start - b.Start) })
	return ops
}

// Violation is a check that broke the promise.
type Violation struct {
	Check Operation
	// Instead is the last change that had ended before the check began, and
	// Late how long before.
	Instead Operation
	Late    time.Duration
}

func (v Violation) String() string {
	kind := "stale no"
	if v.Check.Value {
		kind = "stale yes"
	}
	return fmt.Sprintf("%s, %s late:\n\t%s\n\tafter %s", kind, v.Late, v.Check, v.Instead)
}

// Verify returns the checks of a history that broke the promise. Every right is
// not held at the beginning.
func Verify(ops []Operation) []Violation {
	changes := make(map[string][]Operation)
	for _, op := range ops {
		if op.Change {
			changes[op.Right] = append(changes[op.Right], op)
		}
	}
	for right, of := range changes {
		slices.SortFunc(of, func(a, b Operation) int { return int(a.Start - b.Start) })
		changes[right] = append([]Operation{{Right: right, Start: -1, End: -1, Change: true, Where: "the beginning"}}, of...)
	}
	var found []Violation
	for _, op := range ops {
		if op.Change {
			continue
		}
		of, known := changes[op.Right]
		if !known {
			of = []Operation{{Right: op.Right, Start: -1, End: -1, Change: true, Where: "the beginning"}}
		}
		if v, broken := judge(op, of); broken {
			found = append(found, v)
		}
	}
	return found
}

// judge says whether a check read a value that it may not have. The changes are
// all of its right, by start, the beginning first.
func judge(check Operation, changes []Operation) (Violation, bool) {
	var last Operation // of those that ended before the check began, the one that ended last
	last.End = -2
	for i, c := range changes {
		if c.End < check.Start && c.End > last.End {
			last = c
		}
		if c.Value == check.Value && c.Start < check.End && !superseded(c, changes[i+1:], check) {
			return Violation{}, false
		}
	}
	return Violation{Check: check, Instead: last, Late: check.Start - last.End}, true
}

// superseded reports whether another change began after this one had ended, and
// ended before the check began: then this one's value is a thing of the past.
func superseded(c Operation, later []Operation, check Operation) bool {
	return slices.ContainsFunc(later, func(other Operation) bool {
		return other.Start > c.End && other.End < check.Start
	})
}
