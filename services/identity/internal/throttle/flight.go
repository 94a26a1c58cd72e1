package throttle

import (
	"context"
	"sync"

	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
)

// flights are the attempts of this process of which nobody knows yet whether
// they are right. They count like wrong ones, so that none slips through; but who
// would have to wait because of them only stands by until they have landed. Else
// many logins of one account at once, all of them right, would be told to wait
// for each other. Replicas do not know of each other's flights.
type flights struct {
	mu sync.Mutex
	in map[string]*flight // by bucket; those with attempts only
}

// flight are the attempts in one bucket.
type flight struct {
	attempts int
	// landed is closed when the next of them lands.
	landed chan struct{}
}

func newFlights() *flights { return &flights{in: make(map[string]*flight)} }

// id names a bucket.
func id(t *storev1.Throttle) string {
	return string(t.GetSubject()) + string(rune(t.GetScope())) + string(t.GetPart())
}

// begin counts an attempt in its buckets.
func (f *flights) begin(of []*storev1.Throttle) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, each := range of {
		in := f.in[id(each)]
		if in == nil {
			in = &flight{landed: make(chan struct{})}
			f.in[id(each)] = in
		}
		in.attempts++
	}
}

// land ends an attempt that began, and wakes who stands by.
func (f *flights) land(of []*storev1.Throttle) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, each := range of {
		in := f.in[id(each)]
		close(in.landed)
		in.landed = make(chan struct{})
		if in.attempts--; in.attempts == 0 {
			delete(f.in, id(each))
		}
	}
}

// landing returns what is closed when an attempt in the bucket lands; nil when
// there is none.
func (f *flights) landing(of *storev1.Throttle) <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if in := f.in[id(of)]; in != nil {
		return in.landed
	}
	return nil
}

// standBy returns when an attempt lands that made another wait: the first, or
// the second when there was no first. It reports false when there is neither.
func standBy(ctx context.Context, before, after <-chan struct{}) (bool, error) {
	if before == nil {
		before = after
	}
	if before == nil {
		return false, nil
	}
	select {
	case <-before:
		return true, nil
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}
