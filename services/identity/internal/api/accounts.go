package api

import (
	"context"
	"strconv"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/page"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/organization"
)

// listAccounts is what the List requests of both kinds of accounts ask for.
type listAccounts interface {
	GetParent() string
	GetPageSize() int32
	GetPageToken() string
	GetFilter() string
	GetShowDeleted() bool
}

// ListAccounts reads a page of accounts of one kind.
func (c *Centres) ListAccounts(ctx context.Context, kind authn.Kind, req listAccounts) (records []kv.Record[*storev1.Account], token string, err error) {
	if _, err := organization.Pattern.Parse("parent", req.GetParent()); err != nil {
		return nil, "", err
	}
	condition, err := account.ParseFilter(kind, req.GetParent(), req.GetFilter())
	if err != nil {
		return nil, "", err
	}
	if s := condition.Segment(); s != "" {
		// Whom a filter finds by a segment is who is in it.
		if err := c.May(ctx, "identity.segmentMembers.list", s); err != nil {
			return nil, "", err
		}
	}
	l, err := c.start(ctx, page.Request{Size: req.GetPageSize(), Token: req.GetPageToken()},
		"ListAccounts", kind.String(), req.GetParent(), req.GetFilter(), strconv.FormatBool(req.GetShowDeleted()))
	if err != nil {
		return nil, "", err
	}
	err = c.Store.View(ctx, func(r kv.Reader) error {
		var next []byte
		records, next, err = c.Accounts.List(r, account.Query{
			Kind: kind, Organization: req.GetParent(), Filter: condition, ShowDeleted: req.GetShowDeleted(),
			After: l.after, Limit: l.limit,
		})
		token = l.next(next)
		return err
	})
	return records, token, err
}

// Everywhere returns the result of a change of who may act once service
// permission has it, so that the next call of the account, to whichever service,
// is decided by it. The error is Unavailable (SUSPENSION_PENDING) when the change
// is made and permission does not have it.
func Everywhere[R proto.Message](ctx context.Context, c *Centres, account string, resp R, err error) (R, error) {
	var none R
	if err != nil {
		return none, err
	}
	if err := c.Standings.Deliver(ctx, account); err != nil {
		return none, err
	}
	return resp, nil
}
