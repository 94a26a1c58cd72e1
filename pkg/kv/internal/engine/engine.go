// Package engine holds what the storage engines have in common: the errors
// they make, the gate that Close shuts, and their metrics. It knows no driver.
package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
)

// Misuse is a mistake in our own code: an undeclared table, a transaction that
// outlived its closure.
func Misuse(format string, args ...any) error {
	return errs.New(errs.Internal, kv.ReasonMisuse, errs.InternalMessage, errs.Cause(fmt.Errorf(format, args...)))
}

// Unavailable is a store that cannot be reached now.
func Unavailable(cause error) error {
	return errs.New(errs.Unavailable, kv.ReasonUnavailable, "the store cannot be reached; try again", errs.Cause(cause))
}

// Full is a disk without space.
func Full(cause error) error {
	return errs.New(errs.Exhausted, kv.ReasonFull,
		"the store's disk is full; nothing was written: free space or grow the volume, then try again", errs.Cause(cause))
}

// Context returns the error for a ctx that has ended, or nil. The context's
// own error stays reachable with errors.Is.
func Context(ctx context.Context) error {
	err := ctx.Err()
	if err == nil {
		return nil
	}
	return Ended(err)
}

// Ended returns the errs error for a context's error.
func Ended(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return errs.New(errs.DeadlineExceeded, kv.ReasonDeadline, "the call ran out of time in the store", errs.Cause(err))
	}
	return errs.New(errs.Canceled, kv.ReasonCanceled, "the caller gave the call up", errs.Cause(err))
}

// Gate counts the calls inside a store, so that Close can refuse new ones and
// wait for the rest. The zero value is open.
type Gate struct {
	mu     sync.Mutex
	closed bool
	inside sync.WaitGroup
}

// Enter lets a call in, or returns the error of a closed store. Every nil must
// be followed by one Leave.
func (g *Gate) Enter() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return errs.New(errs.Unavailable, kv.ReasonClosed, "the server is shutting down; try again")
	}
	g.inside.Add(1)
	return nil
}

// Leave ends a call.
func (g *Gate) Leave() { g.inside.Done() }

// Shut refuses new calls and waits for those inside. It reports whether this
// call was the one that shut the gate.
func (g *Gate) Shut() bool {
	g.mu.Lock()
	first := !g.closed
	g.closed = true
	g.mu.Unlock()
	g.inside.Wait()
	return first
}
