package fresh_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"guildhall.dev/services/permission/internal/fresh"
)

// TestGet_readBeginsAfterTheCall: a read that was under way when a change
// returned must not answer who came after the change.
func TestGet_readBeginsAfterTheCall(t *testing.T) {
	var value, reads atomic.Int64
	reading, resume := make(chan struct{}), make(chan struct{})
	r := fresh.NewReader(time.Minute, func(_ context.Context, keys []string) ([]int64, error) {
		values := make([]int64, len(keys))
		for i, key := range keys {
			values[i] = value.Load() * int64(len(key))
		}
		if reads.Add(1) == 1 {
			close(reading)
			<-resume
		}
		return values, nil
	})
	var callers sync.WaitGroup
	callers.Go(func() {
		if v, err := r.Get(t.Context(), "a"); err != nil || v != 0 {
			t.Errorf("first: %v, %v", v, err)
		}
	})
	<-reading
	value.Store(1)
	const late = 50
	arrived := make(chan struct{}, late)
	for i := range late {
		key := "a"
		if i%2 == 1 {
			key = "bb"
		}
		callers.Go(func() {
			arrived <- struct{}{}
			if v, err := r.Get(t.Context(), key); err != nil || v != int64(len(key)) {
				t.Errorf("late %d: %v, %v", i, v, err)
			}
		})
	}
	for range late {
		<-arrived
	}
	close(resume)
	callers.Wait()
	if n := reads.Load(); n > late/2 {
		t.Errorf("%d reads for %d callers: they share none", n, late)
	}
}

// TestGet_leaderThatPanicsLeavesNobodyWaiting: the interceptors turn a panic
// into one failed call, and it must stay one.
func TestGet_leaderThatPanicsLeavesNobodyWaiting(t *testing.T) {
	first := true
	r := fresh.NewReader(time.Minute, func(context.Context, []string) ([]int, error) {
		if first {
			first = false
			panic("a damaged page")
		}
		return []int{1}, nil
	})
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic: the test proves nothing")
			}
		}()
		r.Get(t.Context(), "a")
	}()
	if _, err := r.Get(t.Context(), "a"); err != nil {
		t.Error(err)
	}
}

// TestGet_callerMayGiveUp: the round that it left is read by the next who comes.
func TestGet_callerMayGiveUp(t *testing.T) {
	reading, resume := make(chan struct{}), make(chan struct{})
	var once sync.Once
	r := fresh.NewReader(time.Minute, func(context.Context, []string) ([]int, error) {
		once.Do(func() { close(reading); <-resume })
		return []int{1}, nil
	})
	var first sync.WaitGroup
	first.Go(func() { r.Get(t.Context(), "a") })
	<-reading
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := r.Get(ctx, "a"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	close(resume)
	first.Wait()
	if v, err := r.Get(t.Context(), "a"); err != nil || v != 1 {
		t.Errorf("got %d, %v", v, err)
	}
}
