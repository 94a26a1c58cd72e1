package api

import (
	"context"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/change"
	"guildhall.dev/services/identity/internal/segment"
)

// mayMove refuses a move of customers that gives what the caller does not hold:
// into a segment to which more is granted, or out of one to which more is denied.
func (c *Centres) mayMove(ctx context.Context, m segment.Move) error {
	if m.Joins {
		return c.Covers(ctx, m.Segment)
	}
	return c.frees(ctx, m.Segment)
}

// Permitted makes a change by which customers may move between segments, and
// reports whether any may have: a retry cannot tell. Errors are those of the
// change and of mayMove.
func Permitted[Q, R proto.Message](ctx context.Context, c *Centres, req Q, make func(*change.Tx, segment.Permit) (R, error)) (resp R, moved bool, err error) {
	permits := segment.NewPermits(c.mayMove)
	for again := true; again; {
		ran := false
		resp, err = change.Do(ctx, c.Journal, req, func(tx *change.Tx) (R, error) {
			ran = true
			return make(tx, permits.Permit)
		})
		again, err = permits.Settle(ctx, err)
		moved = !ran || permits.Moved()
	}
	return resp, moved, err
}
