package rpc

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

type markKey struct{}

// bounded returns a call's context with a minute to go; its parent has a mark.
func bounded(parent context.Context) *unaryContext {
	srv := &server{cfg: Config{DefaultDeadline: time.Minute, MaxDeadline: time.Hour}}
	u := &unaryContext{call: call{method: "m", start: time.Now()}}
	srv.bound(context.WithValue(parent, markKey{}, "of the parent"), u)
	return u
}

func TestDeadline_whoWaitsIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := bounded(t.Context())
		defer u.end()
		below, cancel := context.WithCancel(u)
		defer cancel()
		begun := time.Now()
		<-below.Done()
		if took := time.Since(begun); took != time.Minute {
			t.Errorf("it took %s", took)
		}
		for name, ctx := range map[string]context.Context{"the call's": u, "one below": below} {
			if ctx.Err() != context.DeadlineExceeded || context.Cause(ctx) != context.DeadlineExceeded {
				t.Errorf("%s: %v, %v", name, ctx.Err(), context.Cause(ctx))
			}
		}
	})
}

func TestDeadline_whoDoesNotWaitIsToldWhenAsking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := bounded(t.Context())
		defer u.end()
		if err := u.Err(); err != nil {
			t.Errorf("at first: %v", err)
		}
		time.Sleep(time.Minute)
		if err := u.Err(); err != context.DeadlineExceeded {
			t.Errorf("in the end: %v", err)
		}
		if u.timed.Load() != nil {
			t.Error("there is a timer for nobody")
		}
	})
}

func TestDeadline_endsWithItsCallAndItsParent(t *testing.T) {
	for _, waits := range []bool{true, false} {
		u := bounded(t.Context())
		if waits {
			u.Done()
		}
		u.end()
		if <-u.Done(); u.Err() != context.Canceled {
			t.Errorf("waits=%t: the call has ended, and Err is %v", waits, u.Err())
		}

		reason := errors.New("away")
		parent, cancel := context.WithCancelCause(t.Context())
		v := bounded(parent)
		if waits {
			v.Done()
		}
		cancel(reason)
		if v.Err() != context.Canceled || context.Cause(v) != reason {
			t.Errorf("waits=%t: the parent has ended, and Err is %v for %v", waits, v.Err(), context.Cause(v))
		}
		v.end()
	}
}

func TestDeadline_passesValuesOn(t *testing.T) {
	u := bounded(t.Context())
	defer u.end()
	for _, when := range []string{"before Done", "after Done"} {
		if callOf(u) != &u.call || u.Value(markKey{}) != "of the parent" {
			t.Errorf("%s: %v, %v", when, callOf(u), u.Value(markKey{}))
		}
		u.Done()
	}
}

// A context below one that is not of package context is watched by a goroutine
// of its own, unless that one shows which context cancels it.
func TestDeadline_contextsBelowNeedNoGoroutine(t *testing.T) {
	u := bounded(t.Context())
	defer u.end()
	_, cancel := context.WithCancel(u)
	defer cancel()
	if allocated := testing.AllocsPerRun(100, func() {
		_, cancel := context.WithCancel(u)
		cancel()
	}); allocated > 3 {
		t.Errorf("a context below allocates %v times", allocated)
	}
}
