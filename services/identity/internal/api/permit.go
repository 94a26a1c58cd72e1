package api

import (
	"context"

	"guildhall.dev/services/identity/internal/segment"
)

// permitted makes a change by which customers may join segments: only such that
// hold nothing that the caller does not (see covers). Its errors are those of the
// change, and of covers.
func permitted[R any](ctx context.Context, c *Centres, change func(segment.Permit) (R, error)) (R, error) {
	permits := segment.NewPermits(c.covers)
	for {
		resp, err := change(permits.Permit)
		again, err := permits.Settle(ctx, err)
		if err != nil {
			var none R
			return none, err
		}
		if !again {
			return resp, nil
		}
	}
}
