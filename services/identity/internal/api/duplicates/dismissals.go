package duplicates

import (
	"context"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/api"
	"guildhall.dev/services/identity/internal/dismissal"
	"guildhall.dev/services/identity/internal/organization"
)

// CreateDuplicateDismissal says that two customers are not one person.
func (s server) CreateDuplicateDismissal(ctx context.Context, req *identityv1.CreateDuplicateDismissalRequest) (*identityv1.DuplicateDismissal, error) {
	ids, err := organization.Pattern.Parse("parent", req.GetParent())
	if err != nil {
		return nil, err
	}
	const field = "duplicate_dismissal.customers"
	d := req.GetDuplicateDismissal()
	for _, name := range d.GetCustomers() {
		if err := account.CustomerPattern.Check(field, name); err != nil {
			return nil, err
		}
		if resource.Parent(name) != req.GetParent() {
			return nil, errs.InvalidField(field, "PARENT_MISMATCH", "name customers below the parent of the request")
		}
	}
	caller, err := api.CallerOf(ctx)
	if err != nil {
		return nil, err
	}
	seen, err := s.Seen(ctx, mayGet, d.GetCustomers())
	if err != nil {
		return nil, err
	}
	for _, name := range d.GetCustomers() {
		if _, ok := seen[name]; !ok {
			return nil, errs.NotFoundName("CUSTOMER_NOT_FOUND", name)
		}
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.DuplicateDismissal, error) {
		id, err := tx.IDOr("duplicate_dismissal_id", req.GetDuplicateDismissalId())
		if err != nil {
			return nil, err
		}
		asked := &identityv1.DuplicateDismissal{Name: dismissal.Pattern.Format(ids[0], id), Customers: d.GetCustomers(), Note: d.GetNote()}
		return s.Duplicates.Dismiss(tx, asked, caller.Name)
	})
}

// GetDuplicateDismissal returns a dismissal.
func (s server) GetDuplicateDismissal(ctx context.Context, req *identityv1.GetDuplicateDismissalRequest) (*identityv1.DuplicateDismissal, error) {
	if err := dismissal.Pattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	return s.get(ctx, req.GetName())
}

// get returns a dismissal, which is not there for who does not see both customers.
func (s server) get(ctx context.Context, name string) (*identityv1.DuplicateDismissal, error) {
	d, err := api.Read(ctx, s.Centres, func(r kv.Reader) (*identityv1.DuplicateDismissal, error) {
		known, err := s.Dismissals.Get(r, name)
		if err != nil {
			return nil, err
		}
		return s.Duplicates.Present(r, known)
	})
	if err != nil {
		return nil, err
	}
	shown, err := s.shown(ctx, []*identityv1.DuplicateDismissal{d})
	if err == nil && len(shown) == 0 {
		err = errs.NotFoundName("DUPLICATE_DISMISSAL_NOT_FOUND", name)
	}
	if err != nil {
		return nil, err
	}
	return shown[0], nil
}

// gone reports whether there is no dismissal of a name, for whomever.
func (s server) gone(ctx context.Context, name string) bool {
	return errs.Is(s.Store.View(ctx, func(r kv.Reader) error {
		_, err := s.Dismissals.Get(r, name)
		return err
	}), errs.NotFound)
}

// shown returns those of which the caller sees both customers, and of these the note
// where it sees notes of both.
func (s server) shown(ctx context.Context, all []*identityv1.DuplicateDismissal) (out []*identityv1.DuplicateDismissal, err error) {
	names := make(map[string]bool)
	for _, d := range all {
		names[d.GetCustomers()[0]], names[d.GetCustomers()[1]] = true, true
	}
	if len(names) == 0 {
		return all, nil
	}
	seen, err := s.Seen(ctx, mayGet, slices.Sorted(maps.Keys(names)), classNote)
	if err != nil {
		return nil, err
	}
	for _, d := range all {
		first, one := seen[d.GetCustomers()[0]]
		second, other := seen[d.GetCustomers()[1]]
		if !one || !other {
			continue
		}
		if first[classNote] || second[classNote] {
			d = proto.CloneOf(d)
			d.Note = ""
		}
		out = append(out, d)
	}
	return out, nil
}

// ListDuplicateDismissals returns a page of dismissals, the newest first.
func (s server) ListDuplicateDismissals(ctx context.Context, req *identityv1.ListDuplicateDismissalsRequest) (*identityv1.ListDuplicateDismissalsResponse, error) {
	if err := organization.Pattern.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	terms, err := dismissal.ParseFilter(req.GetFilter())
	if err != nil {
		return nil, err
	}
	found, next, err := api.PageOf(ctx, s.Centres, req, "ListDuplicateDismissals", func(r kv.Reader, after []byte, limit int) ([]*identityv1.DuplicateDismissal, []byte, error) {
		known, next, err := s.Dismissals.List(r, req.GetParent(), terms, after, limit)
		if err != nil {
			return nil, nil, err
		}
		out := make([]*identityv1.DuplicateDismissal, len(known))
		for i, k := range known {
			if out[i], err = s.Duplicates.Present(r, k); err != nil {
				return nil, nil, err
			}
		}
		return out, next, nil
	}, req.GetFilter())
	if err != nil {
		return nil, err
	}
	found, err = s.shown(ctx, found)
	return &identityv1.ListDuplicateDismissalsResponse{DuplicateDismissals: found, NextPageToken: next}, err
}

// DeleteDuplicateDismissal takes a dismissal back.
func (s server) DeleteDuplicateDismissal(ctx context.Context, req *identityv1.DeleteDuplicateDismissalRequest) (*identityv1.DuplicateDismissal, error) {
	if err := dismissal.Pattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	// One that is gone may have gone by the call that this one repeats.
	if _, err := s.get(ctx, req.GetName()); err != nil && !s.gone(ctx, req.GetName()) {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.DuplicateDismissal, error) {
		was, err := s.Dismissals.Delete(tx, req.GetName(), req.GetEtag())
		if err != nil {
			return nil, err
		}
		return s.Duplicates.Present(tx, was)
	})
}
