// Package customer asks service identity which customers there are. Feedback
// keeps no copy of them: a complaint is filed rarely, and must not be filed
// for somebody who is not there.
package customer

import (
	"context"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// Directory asks identity. It is safe for concurrent use.
type Directory struct {
	get func(ctx context.Context, name string) (*identityv1.Customer, error)
}

// New returns a directory over a function that gets a customer: the client of
// identity, or a test's own.
func New(get func(ctx context.Context, name string) (*identityv1.Customer, error)) *Directory {
	return &Directory{get: get}
}

// CheckCustomer returns nil when the customer exists and is not deleted, else
// NotFound (CUSTOMER_NOT_FOUND), or Unavailable when identity does not answer.
func (d *Directory) CheckCustomer(ctx context.Context, name string) error {
	c, err := d.get(ctx, name)
	if err != nil {
		return err
	}
	if s := c.GetState(); s == identityv1.AccountState_ACCOUNT_STATE_DELETED || s == identityv1.AccountState_ACCOUNT_STATE_ERASED {
		return errs.NotFoundName("CUSTOMER_NOT_FOUND", name)
	}
	return nil
}
