package feed

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
)

// errBehind says that the stored cursor is behind the one the stream began
// at: it was set back, and the stream must begin again from it.
var errBehind = errors.New("feed: the stored cursor was set back")

// stuckError is a failure that only an operator or a new version ends.
type stuckError struct{ cause error }

func (e *stuckError) Error() string { return e.cause.Error() }
func (e *stuckError) Unwrap() error { return e.cause }

// handleError is a failure of Handle.
type handleError struct {
	event *eventv1.Event
	index int
	cause error
}

func (e *handleError) Error() string {
	return fmt.Sprintf("feed: handle event %s of type %s: %v", e.event.GetId(), e.event.GetType(), e.cause)
}

func (e *handleError) Unwrap() error { return e.cause }

// apply gives the events of a response their effect and moves the cursor, in
// one transaction. When an event fails, those before it still take effect. It
// returns the cursor that is stored then.
func (c *Consumer) apply(ctx context.Context, from string, resp *eventv1.StreamEventsResponse) (string, error) {
	to, err := parseCursor(resp.GetCursor())
	if err != nil {
		return from, fmt.Errorf("feed: the source sent a cursor that is not one: %w", err)
	}
	if c.skips(from, resp) {
		c.advance(to, nil)
		return from, nil
	}
	parked := make(map[string]bool)
	for {
		at, err := c.commit(ctx, from, resp.GetEvents(), to, parked)
		if err == nil {
			c.wrote = c.cfg.Clock()
			c.advance(at, resp.GetEvents())
			return resp.GetCursor(), nil
		}
		var failed *handleError
		if !errors.As(err, &failed) {
			return from, err
		}
		if c.cfg.Park && errs.Is(failed.cause, errs.Invalid) {
			c.cfg.Logger.Error("feed: parked an event", "event", failed.event.GetId(), "type", failed.event.GetType(), "error", failed.cause)
			parked[failed.event.GetId()] = true
			continue
		}
		return from, c.applyBefore(ctx, from, resp.GetEvents(), failed, parked)
	}
}

// skips reports whether a response is not worth a write: it has nothing to apply,
// and the cursor has not moved, or was stored a moment ago.
func (c *Consumer) skips(from string, resp *eventv1.StreamEventsResponse) bool {
	if len(resp.GetEvents()) > 0 || from == "" {
		return false
	}
	return resp.GetCursor() == from || c.cfg.Clock().Sub(c.wrote) < settle
}

// applyBefore gives the events before the failed one their effect.
func (c *Consumer) applyBefore(ctx context.Context, from string, events []*eventv1.Event, failed *handleError, parked map[string]bool) error {
	if failed.index == 0 || from == "" {
		return &stuckError{failed}
	}
	start, err := parseCursor(from)
	if err != nil {
		return err
	}
	done := events[:failed.index]
	to := position{feed: start.feed, sequences: slices.Clone(start.sequences)}
	for _, e := range done {
		if int(e.GetPartition()) < len(to.sequences) {
			to.sequences[e.GetPartition()] = e.GetSequence()
		}
	}
	at, err := c.commit(ctx, from, done, to, parked)
	if err != nil {
		return err
	}
	c.advance(at, done)
	return &stuckError{failed}
}

// commit runs the transaction of a batch and returns the cursor it stored.
//
// The stored cursor, not the stream, says which events are new: a replica
// with the same name may have applied some of them, and a commit whose answer
// was lost may have taken effect.
func (c *Consumer) commit(ctx context.Context, from string, events []*eventv1.Event, to position, parked map[string]bool) (position, error) {
	var at position
	err := c.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		was, err := c.startingPoint(tx, from, to)
		if err != nil {
			return err
		}
		for i, e := range events {
			if e.GetSequence() <= was.at(e.GetPartition()) {
				continue
			}
			if err := c.effect(tx, e, parked); err != nil {
				return &handleError{event: e, index: i, cause: err}
			}
		}
		at = was.merge(to)
		return c.putCursor(tx, at)
	})
	return at, err
}

// startingPoint returns what has taken effect before this batch.
func (c *Consumer) startingPoint(tx kv.Tx, from string, to position) (position, error) {
	stored, err := c.getCursor(tx)
	if err != nil {
		return position{}, err
	}
	if stored == "" {
		if from != "" {
			return position{}, errBehind
		}
		if c.cfg.Began != nil {
			if err := c.cfg.Began(tx, c.since); err != nil {
				return position{}, err
			}
		}
		return position{feed: to.feed, sequences: make([]uint64, len(to.sequences))}, nil
	}
	was, err := parseCursor(stored)
	if err != nil {
		return position{}, corrupt("the cursor of consumer %s: %w", c.cfg.Name, err)
	}
	if !was.comparable(to) {
		return position{}, errBehind
	}
	if from == "" {
		return was, nil
	}
	start, err := parseCursor(from)
	if err != nil {
		return position{}, err
	}
	if !was.covers(start) {
		return position{}, errBehind
	}
	return was, nil
}

func (c *Consumer) effect(tx kv.Tx, e *eventv1.Event, parked map[string]bool) error {
	if parked[e.GetId()] {
		return c.park(tx, e)
	}
	return c.cfg.Handle(tx, e)
}

func (c *Consumer) cursorKey() ([]byte, error) { return encode(kv.Key{kv.String(c.cfg.Name)}) }

// getCursor returns the stored cursor; "" when there is none.
func (c *Consumer) getCursor(r kv.Reader) (string, error) {
	key, err := c.cursorKey()
	if err != nil {
		return "", err
	}
	row, err := r.Get(tableCursors, key)
	return string(row), err
}

func (c *Consumer) putCursor(tx kv.Tx, p position) error {
	key, err := c.cursorKey()
	if err != nil {
		return err
	}
	return tx.Put(tableCursors, key, []byte(p.String()))
}

func (c *Consumer) stored(ctx context.Context) (string, error) {
	var cursor string
	err := c.cfg.Store.View(ctx, func(r kv.Reader) (err error) {
		cursor, err = c.getCursor(r)
		return err
	})
	return cursor, err
}

// store replaces the cursor old. Another replica may have been quicker with
// the same resynchronisation; its cursor stays then, for to set it back would
// repeat effects.
func (c *Consumer) store(ctx context.Context, old string, to position) error {
	return c.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		now, err := c.getCursor(tx)
		if err != nil || now != old {
			return err
		}
		return c.putCursor(tx, to)
	})
}

// forget removes the cursor old, so that the next stream begins at the oldest event
// kept. A replica that was quicker has forgotten it already.
func (c *Consumer) forget(ctx context.Context, old string) error {
	return c.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		now, err := c.getCursor(tx)
		if err != nil || now != old {
			return err
		}
		key, err := c.cursorKey()
		if err != nil {
			return err
		}
		return tx.Delete(tableCursors, key)
	})
}
