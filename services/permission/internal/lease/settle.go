package lease

import (
	"context"
	"slices"
	"time"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/services/permission/internal/fresh"
	"guildhall.dev/services/permission/internal/sequence"
)

// ReasonPending is the reason of a change that is durable and whose wait was
// cut off (Unavailable).
const ReasonPending = "REVOCATION_PENDING"

// Times between two looks of one wait: soon after the change, when replicas
// that are well acknowledge it, then less often.
const (
	firstPause = time.Millisecond
	lastPause  = 25 * time.Millisecond
)

// Settle returns when everything that was committed before the call is in the
// memory of this replica, and of every other that answers from memory. It takes
// a length of the longest lease at most, as long as the store answers.
//
// When ctx ends first it is Unavailable (REVOCATION_PENDING), with the end of
// the context as its cause: what was committed stays so, and is in effect
// everywhere a length later at the latest; but nobody has made sure.
func (k *Keeper) Settle(ctx context.Context) error {
	w := wait{committed: k.cfg.Clock()}
	k.announce()
	for pause := firstPause; ; pause = min(pause*3/2, lastPause) {
		if s, err := k.looks.Get(ctx, struct{}{}); err == nil && w.over(s) {
			k.stats.waited(ctx, w.outcome(), k.cfg.Clock().Sub(w.committed))
			return nil
		}
		if sleep(ctx, pause); ctx.Err() != nil {
			k.stats.waited(ctx, outcomePending, k.cfg.Clock().Sub(w.committed))
			return errs.New(errs.Unavailable, ReasonPending,
				"the change is saved, but may not be in effect everywhere yet; send the same request again with its request_id to wait for that",
				errs.RetryAfter(time.Second), errs.Cause(fresh.Ended(ctx)))
		}
	}
}

// wait is the waiting of one change.
type wait struct {
	committed time.Time // after the commit was acknowledged
	begun     bool
	target    sequence.Vector // the head at the first look
	open      []string        // leases of the first look that are to be heard of
	ranOut    bool            // one of them ran out
}

// over takes in what a look has shown, and reports whether nobody is left to
// wait for.
func (w *wait) over(s *sight) bool {
	if !w.begun {
		w.begun, w.target = true, s.head
		for _, o := range s.others {
			w.open = append(w.open, o.id)
		}
	}
	w.open = slices.DeleteFunc(w.open, func(id string) bool {
		i := slices.IndexFunc(s.others, func(o other) bool { return o.id == id })
		return i < 0 || w.settled(&s.others[i], s)
	})
	return len(w.open) == 0
}

// settled reports whether the holder of a lease answers nothing any more from
// what it knew before the change. The package's doc says why.
func (w *wait) settled(o *other, s *sight) bool {
	if o.applied.Reached(&w.target, &s.head) {
		return true
	}
	if o.ranOut || s.begun.Sub(w.committed) >= o.length {
		w.ranOut = true
		return true
	}
	return false
}

func (w *wait) outcome() string {
	if w.ranOut {
		return outcomeRanOut
	}
	return outcomeAcknowledged
}
