package rpc

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/telemetry"
)

// unaryContext is the context of one unary call, and its record. What it carries
// of the call it answers by itself: a context for each value would cost more
// than the answer of a permission check.
type unaryContext struct {
	deadlineContext
	call call
}

// Value implements context.Context.
func (c *unaryContext) Value(key any) any {
	switch key.(type) {
	case callKey:
		return &c.call
	case telemetry.RequestIDKey:
		return c.call.id()
	case authn.CallerKey:
		if c.call.caller.Name != "" {
			return &c.call.caller
		}
	}
	return c.deadlineContext.Value(key)
}

// deadlineContext is context.WithDeadline for calls that mostly end without
// anybody waiting for them to be cut short: it starts a timer only when somebody
// asks to be told (Done), as all do that leave the process. A timer for each
// call is a twentieth of what a permission check costs.
//
// It is ready for use when it has a parent, which has no earlier deadline, and
// a deadline. end has to be called once.
type deadlineContext struct {
	context.Context // the parent
	deadline        time.Time

	// timed is the parent with the deadline, once somebody has asked.
	timed atomic.Pointer[timed]
	mu    sync.Mutex // of making and ending it
	ended atomic.Bool
}

type timed struct {
	context.Context
	cancel context.CancelFunc
}

// Deadline implements context.Context.
func (c *deadlineContext) Deadline() (time.Time, bool) { return c.deadline, true }

// Done implements context.Context.
func (c *deadlineContext) Done() <-chan struct{} {
	if t := c.timed.Load(); t != nil {
		return t.Done()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.timed.Load(); t != nil {
		return t.Done()
	}
	t := &timed{}
	t.Context, t.cancel = context.WithDeadline(c.Context, c.deadline)
	if c.ended.Load() {
		t.cancel()
	}
	c.timed.Store(t)
	return t.Done()
}

// Err implements context.Context.
func (c *deadlineContext) Err() error {
	if t := c.timed.Load(); t != nil {
		return t.Err()
	}
	switch err := c.Context.Err(); {
	case err != nil:
		return err
	case c.ended.Load():
		return context.Canceled
	case !time.Now().Before(c.deadline):
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// Value implements context.Context. Contexts that are made from this one ask it
// so for the one that cancels them. That is the timed one and not the parent,
// and it is there: they have asked for Done before.
func (c *deadlineContext) Value(key any) any {
	if t := c.timed.Load(); t != nil {
		return t.Value(key)
	}
	return c.Context.Value(key)
}

// end frees the timer, and cancels what was made from the context.
func (c *deadlineContext) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended.Store(true)
	if t := c.timed.Load(); t != nil {
		t.cancel()
	}
}
