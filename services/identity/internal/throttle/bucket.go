package throttle

import (
	"math"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
)

// first is the wait after the first attempt that is not free.
const first = time.Second

// limit is how one scope counts.
type limit struct {
	// free is how many attempts the bucket holds before there are waits.
	free int
	// longest is the longest wait, leak the time in which one attempt leaks out.
	longest, leak time.Duration
}

// full is the level from which all waits are the longest. No bucket is fuller,
// so that it is empty again within full times leak, whatever was poured in.
func (l limit) full() float64 {
	return float64(l.free) + 1 + math.Log2(float64(l.longest)/float64(first))
}

// level returns how many attempts are in a bucket.
func (l limit) level(t *storev1.Throttle, now time.Time) float64 {
	n := float64(t.GetEmptyTime().AsTime().Sub(now)) / float64(l.leak)
	return min(max(n, 0), l.full())
}

// after returns how long the next attempt waits behind one that brought the
// bucket to the level.
func (l limit) after(level float64) time.Duration {
	const rounding = 1e-6
	over := level - float64(l.free)
	if over < rounding {
		return 0
	}
	return min(time.Duration(float64(first)*math.Pow(2, over-1)), l.longest)
}

// wait returns how long the next attempt has to wait from now. A time further
// ahead than the longest wait was written by a clock that is wrong, and makes
// nobody wait: the next attempt writes a right one.
func (l limit) wait(t *storev1.Throttle, now time.Time) time.Duration {
	wait := t.GetReadyTime().AsTime().Sub(now)
	if wait <= 0 || wait > l.longest {
		return 0
	}
	return wait
}

// pour puts an attempt into a bucket, and reports whether waits begin by it, for
// the first time since the bucket was half empty: not again and again while
// somebody goes on at just the rate of the leak.
func (l limit) pour(t *storev1.Throttle, now time.Time) (begun bool) {
	before := l.level(t, now)
	level := min(before+1, l.full())
	t.EmptyTime = timestamppb.New(now.Add(time.Duration(level * float64(l.leak))))
	delay := l.after(level)
	t.ReadyTime = timestamppb.New(now.Add(delay))
	told := t.GetTold() && before > float64(l.free)/2
	t.Told = told || delay > 0
	return t.Told && !told
}

// takeOut undoes a pour that found the time ready was. A wait that others have
// made longer since stays.
func (l limit) takeOut(t *storev1.Throttle, p poured, now time.Time) {
	level := max(l.level(t, now)-1, 0)
	t.EmptyTime = timestamppb.New(now.Add(time.Duration(level * float64(l.leak))))
	if t.GetReadyTime().AsTime().Equal(p.set) {
		t.ReadyTime = timestamppb.New(p.was)
	}
	if p.begun {
		t.Told = false
	}
}
