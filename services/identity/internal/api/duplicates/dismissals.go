package duplicates

import (
	"context"

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
	return api.Read(ctx, s.Centres, func(r kv.Reader) (*identityv1.DuplicateDismissal, error) {
		known, err := s.Dismissals.Get(r, req.GetName())
		if err != nil {
			return nil, err
		}
		return s.Duplicates.Present(r, known)
	})
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
	return &identityv1.ListDuplicateDismissalsResponse{DuplicateDismissals: found, NextPageToken: next}, err
}

// DeleteDuplicateDismissal takes a dismissal back.
func (s server) DeleteDuplicateDismissal(ctx context.Context, req *identityv1.DeleteDuplicateDismissalRequest) (*identityv1.DuplicateDismissal, error) {
	if err := dismissal.Pattern.Check("name", req.GetName()); err != nil {
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
