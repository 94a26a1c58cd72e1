package postgres

import (
	"context"
	"math/rand/v2"
	"time"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/kv/internal/engine"
)

// outcome is the result of one attempt at a transaction.
type outcome struct {
	err   error
	again again // whether the same transaction may be tried once more
}

type again uint8

const (
	no        again = iota
	conflict        // another transaction won
	reconnect       // the connection was lost before anything was committed
)

// Bounds of a transaction's attempts.
const (
	maxConflicts  = 30
	maxReconnects = 3
	// After this many lost races a transaction waits for the lane: of those
	// that keep losing against each other, one at a time runs, and so wins.
	conflictsBeforeLane = 3

	firstPause = 2 * time.Millisecond
	maxPause   = 100 * time.Millisecond
)

// retry runs attempt until it is decided, loses too often, or ctx ends.
func (s *Store) retry(ctx context.Context, attempt func(context.Context) outcome) error {
	if err := engine.Context(ctx); err != nil {
		return err
	}
	if err := s.gate.Enter(); err != nil {
		return err
	}
	defer s.gate.Leave()
	for conflicts, reconnects := 0, 0; ; {
		o := s.tryOnce(ctx, attempt, conflicts > conflictsBeforeLane)
		switch o.again {
		case no:
			return o.err
		case conflict:
			if conflicts++; conflicts == maxConflicts {
				return contention(o.err)
			}
		case reconnect:
			if reconnects++; reconnects == maxReconnects {
				return o.err
			}
		}
		s.metrics.Retried(ctx)
		if err := pause(ctx, conflicts+reconnects); err != nil {
			return err
		}
	}
}

func (s *Store) tryOnce(ctx context.Context, attempt func(context.Context) outcome, inLane bool) outcome {
	if !inLane {
		return attempt(ctx)
	}
	select {
	case s.lane <- struct{}{}:
	case <-ctx.Done():
		return outcome{err: engine.Context(ctx)}
	}
	defer func() { <-s.lane }()
	return attempt(ctx)
}

// pause waits before the next attempt: a random part of a time that doubles,
// so that transactions that met once do not meet again.
func pause(ctx context.Context, lost int) error {
	bound := min(maxPause, firstPause<<min(lost-1, 10))
	timer := time.NewTimer(rand.N(bound))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return engine.Context(ctx)
	}
}

func contention(cause error) error {
	return errs.New(errs.Unavailable, kv.ReasonContention, "too many changes to the same records at once; try again",
		errs.RetryAfter(time.Second), errs.Cause(cause))
}
