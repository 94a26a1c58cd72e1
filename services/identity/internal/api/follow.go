package api

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/errs"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

const (
	// followPatience bounds how long a change waits for permission to hear of it.
	followPatience = 5 * time.Second
	// followAgain is what a caller is told to wait when permission did not.
	followAgain = 2 * time.Second
)

// Heard returns the result of a change of who is in which team or segment, or
// where a team is, once service permission has it from the feed and no replica of it answers
// from before. The error is Unavailable (REVOCATION_PENDING) when the change is
// made and that is not known of it: permission is away, or behind. There is no
// intent to keep, as for the states of accounts, for the feed is one: permission
// comes by the change whenever it is back.
func Heard[R proto.Message](ctx context.Context, c *Centres, resp R, err error) (R, error) {
	if err == nil {
		err = c.catchUp(ctx, followPatience)
	}
	if err != nil {
		var none R
		return none, err
	}
	return resp, nil
}

// InStep is for what must not come before permission has heard all that was
// changed so far. The error is Unavailable (PERMISSION_UNAVAILABLE).
func (c *Centres) InStep(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if _, err := c.Permission.CatchUp(ctx, &permissionv1.CatchUpRequest{}); err != nil {
		return unasked(err)
	}
	return nil
}

// left is Heard for another rule of a segment: those who are to leave by it have
// left. Who joins by it comes in the background.
func left[R proto.Message](ctx context.Context, c *Centres, segment string, resp R, err error) (R, error) {
	var none R
	if err != nil {
		return none, err
	}
	bounded, cancel := context.WithTimeout(ctx, followPatience)
	defer cancel()
	if err := c.Evaluations.Leave(bounded, segment); err != nil {
		return none, pending(err)
	}
	return Heard(bounded, c, resp, nil)
}

func (c *Centres) catchUp(ctx context.Context, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if _, err := c.Permission.CatchUp(ctx, &permissionv1.CatchUpRequest{}); err != nil {
		return pending(err)
	}
	return nil
}

// pending is the error for a change that is made and does not count everywhere.
func pending(cause error) error {
	return errs.New(errs.Unavailable, "REVOCATION_PENDING",
		"the change is made, but has not taken effect everywhere yet; it will on its own. The same request_id again waits for it",
		errs.RetryAfter(followAgain), errs.Cause(cause))
}
