package reading

import (
	"math"
	"math/bits"
	"time"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// bitsEach is how many bits a bitmap has for each resource of the threshold.
const bitsEach = 4

// tracker has what one account read, by one rule: what all replicas had seen at
// the last merge, and what this one has seen since.
type tracker struct {
	rule        *permissionv1.SeparationRule
	half        time.Duration
	start       time.Time // of now
	now, before []uint64
	ones        int       // bits that either has
	last        time.Time // when something was noted
	quiet       time.Time // until when no other alarm is raised
	fresh       []uint32  // bits of now that the store has not got
}

func newTracker(r *permissionv1.SeparationRule) *tracker {
	words := wordsOf(r)
	return &tracker{rule: r, half: halfOf(r), now: make([]uint64, words), before: make([]uint64, words)}
}

func wordsOf(r *permissionv1.SeparationRule) int {
	return (int(r.GetBulkRead().GetThreshold())*bitsEach + 63) / 64
}

func halfOf(r *permissionv1.SeparationRule) time.Duration {
	return r.GetBulkRead().GetWindow().AsDuration() / 2
}

// fits reports whether the tracker is of the rule as it is now.
func (t *tracker) fits(r *permissionv1.SeparationRule) bool {
	return len(t.now) == wordsOf(r) && t.half == halfOf(r)
}

func (t *tracker) size() int { return 16 * len(t.now) }

// from is since when the tracker knows what was read.
func (t *tracker) from() time.Time { return t.start.Add(-t.half) }

// add notes a resource and returns about how many there were in this half of a
// window and the one before.
func (t *tracker) add(hash uint64, at time.Time) float64 {
	t.pass(at)
	if bit := uint32(hash % uint64(len(t.now)*64)); t.set(bit) {
		t.fresh = append(t.fresh, bit)
	}
	return t.estimate()
}

// pass lets the time go on. It does not go back: a clock that is behind that of
// another replica counts into the half that the other has begun.
func (t *tracker) pass(at time.Time) {
	if at.After(t.last) {
		t.last = at
	}
	switch age := t.last.Sub(t.start); {
	case age < t.half:
	case age < 2*t.half:
		t.before, t.now = t.now, t.before
		clear(t.now)
		t.start = t.start.Add(t.half)
		t.recount()
	default:
		clear(t.before)
		clear(t.now)
		t.start, t.ones, t.fresh = t.last, 0, nil
	}
}

// set sets a bit of now, and reports whether it was not there.
func (t *tracker) set(bit uint32) bool {
	word, mask := bit/64, uint64(1)<<(bit%64)
	if t.now[word]&mask != 0 {
		return false
	}
	if t.before[word]&mask == 0 {
		t.ones++
	}
	t.now[word] |= mask
	return true
}

func (t *tracker) recount() {
	t.ones = 0
	for i, w := range t.now {
		t.ones += bits.OnesCount64(w | t.before[i])
	}
}

func (t *tracker) estimate() float64 {
	size := float64(len(t.now) * 64)
	// A full bitmap has seen far more than the threshold.
	zero := max(size-float64(t.ones), 0.5)
	return -size * math.Log(zero/size)
}

// exceeds reports whether there is reason for an alarm.
func (t *tracker) exceeds() bool {
	return t.estimate() > float64(t.rule.GetBulkRead().GetThreshold()) && !t.last.Before(t.quiet)
}
