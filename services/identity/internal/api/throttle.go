package api

import (
	"context"
	"strings"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
)

// throttles implements ThrottleService.
type throttles struct{ *Centres }

// GetLoginThrottle returns what counts against an account.
func (s throttles) GetLoginThrottle(ctx context.Context, req *identityv1.GetLoginThrottleRequest) (*identityv1.LoginThrottle, error) {
	name, err := throttledAccount(req.GetName())
	if err != nil {
		return nil, err
	}
	var out *identityv1.LoginThrottle
	err = s.Store.View(ctx, func(r kv.Reader) (err error) {
		out, err = s.Gate.Waits(r, name)
		return err
	})
	return out, err
}

// ClearLoginThrottle forgets what counts against an account.
func (s throttles) ClearLoginThrottle(ctx context.Context, req *identityv1.ClearLoginThrottleRequest) (*identityv1.LoginThrottle, error) {
	name, err := throttledAccount(req.GetName())
	if err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.LoginThrottle, error) {
		return s.Gate.ClearWaits(tx, name)
	})
}

// throttledAccount returns the account in the name of a throttle.
func throttledAccount(name string) (string, error) {
	of, ok := strings.CutSuffix(name, "/loginThrottle")
	if _, err := account.ParseName("name", of); err != nil || !ok {
		return "", errs.InvalidField("name", resource.Reason, "send the name of an account's throttle, as in organizations/acme/customers/c1/loginThrottle")
	}
	return of, nil
}
