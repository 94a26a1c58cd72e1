package api

import (
	"context"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/page"
)

// Read reads one thing from a snapshot.
func Read[R proto.Message](ctx context.Context, c *Centres, get func(kv.Reader) (R, error)) (out R, err error) {
	err = c.Store.View(ctx, func(r kv.Reader) error {
		out, err = get(r)
		return err
	})
	if err != nil {
		var none R
		return none, err
	}
	return out, nil
}

// listing is what the List requests of all that lies below something ask for.
type listing interface {
	GetParent() string
	GetPageSize() int32
	GetPageToken() string
}

// PageOf reads one page and makes the token behind it. The parts are what
// decides, besides the parent, which resources come in which order.
func PageOf[T any](ctx context.Context, c *Centres, req listing, method string,
	list func(r kv.Reader, after []byte, limit int) ([]T, []byte, error), parts ...string,
) (out []T, token string, err error) {
	return PageBy(ctx, c, req, method, func(after []byte, limit int) (out []T, next []byte, err error) {
		err = c.Store.View(ctx, func(r kv.Reader) error {
			out, next, err = list(r, after, limit)
			return err
		})
		return out, next, err
	}, parts...)
}

// PageBy is PageOf for a list that asks others too, between what it reads.
func PageBy[T any](ctx context.Context, c *Centres, req listing, method string,
	list func(after []byte, limit int) ([]T, []byte, error), parts ...string,
) ([]T, string, error) {
	l, err := c.start(ctx, page.Request{Size: req.GetPageSize(), Token: req.GetPageToken()}, append([]string{method, req.GetParent()}, parts...)...)
	if err != nil {
		return nil, "", err
	}
	out, next, err := list(l.after, l.limit)
	return out, l.next(next), err
}

// list serves one page of a List: start reads the request, next makes the
// token behind the page.
type list struct {
	codec *page.Codec
	query page.Query
	after []byte
	limit int
}

// start reads the page that a request wants. The parts are what decides which
// resources come in which order.
func (c *Centres) start(ctx context.Context, req page.Request, parts ...string) (list, error) {
	caller, _ := authn.FromContext(ctx) // a token without a caller is bound to none
	l := list{codec: c.Pages, query: page.Fingerprint(append(parts, caller.Name)...)}
	var err error
	l.after, l.limit, err = c.Pages.Start(req, l.query)
	return l, err
}

func (l list) next(position []byte) string { return l.codec.Next(l.query, position) }
