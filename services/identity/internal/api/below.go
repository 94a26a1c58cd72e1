package api

import (
	"context"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/page"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// What the handlers in packages below this one have in common with those here.

// Covers is covers.
func (c *Centres) Covers(ctx context.Context, target string) error { return c.covers(ctx, target) }

// Everywhere is everywhere.
func Everywhere[R proto.Message](ctx context.Context, c *Centres, account string, resp R, err error) (R, error) {
	return everywhere(ctx, c, account, resp, err)
}

// RemoteAddress is remoteAddress.
func RemoteAddress(ctx context.Context) string { return remoteAddress(ctx) }

// NotOneself is notOneself.
func NotOneself(ctx context.Context, name string) error { return notOneself(ctx, name) }

// May is may.
func (c *Centres) May(ctx context.Context, permission, resource string) error {
	return c.may(ctx, permission, resource)
}

// CallerOf is callerOf.
func CallerOf(ctx context.Context) (authn.Caller, error) { return callerOf(ctx) }

// Customer is customer.
func Customer(rec kv.Record[*storev1.Account]) *identityv1.Customer { return customer(rec) }

// Read is read.
func Read[R proto.Message](ctx context.Context, c *Centres, get func(kv.Reader) (R, error)) (R, error) {
	return read(ctx, c.Store, get)
}

// PageOf is pageOf.
func PageOf[T any](ctx context.Context, c *Centres, req listing, method string,
	list func(r kv.Reader, after []byte, limit int) ([]T, []byte, error), parts ...string,
) ([]T, string, error) {
	return pageOf(ctx, c, req, method, list, parts...)
}

// CheckBelow is checkBelow.
func CheckBelow(parent string, names []string, pattern resource.Pattern) error {
	return checkBelow(parent, names, pattern)
}

// ListAccounts is accounts.
func (c *Centres) ListAccounts(ctx context.Context, kind authn.Kind, req listAccounts) ([]kv.Record[*storev1.Account], string, error) {
	return c.accounts(ctx, kind, req)
}

// Page reads a page of a list that find reads from behind a position, at most
// limit of it, and returns the token of the next page. The parts are what decides
// which resources come in which order.
func Page[T any](ctx context.Context, c *Centres, req page.Request, find func(r kv.Reader, after []byte, limit int) ([]T, []byte, error), parts ...string) (items []T, token string, err error) {
	l, err := c.start(ctx, req, parts...)
	if err != nil {
		return nil, "", err
	}
	err = c.Store.View(ctx, func(r kv.Reader) error {
		var next []byte
		items, next, err = find(r, l.after, l.limit)
		token = l.next(next)
		return err
	})
	return items, token, err
}
