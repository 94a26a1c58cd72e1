package journal

import (
	"context"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/page"
)

// Paged is a List request: all of them have these fields (AIP-158).
type Paged interface {
	GetPageSize() int32
	GetPageToken() string
}

// List reads one page on a snapshot. read gets the position to go on behind
// and the most items to return, and returns the position of the last; see
// kv.Query and kv.Page. query is everything that decides which items come in
// which order: the method, the parent, the filter, the order. The caller is
// part of it too, so nobody can use another's token.
func List[T any](ctx context.Context, j *Journal, req Paged, query []string, read func(r kv.Reader, after []byte, limit int) ([]T, []byte, error)) (items []T, next string, err error) {
	caller, _ := authn.FromContext(ctx)
	fingerprint := page.Fingerprint(append(query, caller.Name)...)
	after, limit, err := j.Pages.Start(page.Request{Size: req.GetPageSize(), Token: req.GetPageToken()}, fingerprint)
	if err != nil {
		return nil, "", err
	}
	err = j.Store.View(ctx, func(r kv.Reader) error {
		var last []byte
		if items, last, err = read(r, after, limit); err != nil {
			return err
		}
		next = j.Pages.Next(fingerprint, last)
		return nil
	})
	return items, next, err
}

// Read runs fn on a snapshot and returns its result.
func Read[T any](ctx context.Context, j *Journal, fn func(r kv.Reader) (T, error)) (T, error) {
	var out T
	err := j.Store.View(ctx, func(r kv.Reader) (err error) {
		out, err = fn(r)
		return err
	})
	return out, err
}
