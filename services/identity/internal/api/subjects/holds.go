package subjects

import (
	"context"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/api"
	"guildhall.dev/services/identity/internal/hold"
	"guildhall.dev/services/identity/internal/organization"
	"guildhall.dev/services/identity/internal/revise"
)

// holds implements LegalHoldService.
type holds struct{ *api.Centres }

// CreateLegalHold puts a hold on a customer.
func (s holds) CreateLegalHold(ctx context.Context, req *identityv1.CreateLegalHoldRequest) (*identityv1.LegalHold, error) {
	ids, err := organization.Pattern.Parse("parent", req.GetParent())
	if err != nil {
		return nil, err
	}
	h := req.GetLegalHold()
	if err := account.CustomerPattern.Check("legal_hold.customer", h.GetCustomer()); err != nil {
		return nil, err
	}
	if resource.Parent(h.GetCustomer()) != req.GetParent() {
		return nil, errs.InvalidField("legal_hold.customer", "PARENT_MISMATCH", "name a customer below the parent of the request")
	}
	caller, err := api.CallerOf(ctx)
	if err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.LegalHold, error) {
		id, err := tx.IDOr("legal_hold_id", req.GetLegalHoldId())
		if err != nil {
			return nil, err
		}
		return s.Holds.Create(tx, revise.Named(h, hold.Pattern.Format(ids[0], id)), caller.Name)
	})
}

// GetLegalHold returns a hold.
func (s holds) GetLegalHold(ctx context.Context, req *identityv1.GetLegalHoldRequest) (*identityv1.LegalHold, error) {
	if err := hold.Pattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	return api.Read(ctx, s.Centres, func(r kv.Reader) (*identityv1.LegalHold, error) { return s.Holds.Get(r, req.GetName()) })
}

// ListLegalHolds returns a page of holds, the newest first.
func (s holds) ListLegalHolds(ctx context.Context, req *identityv1.ListLegalHoldsRequest) (*identityv1.ListLegalHoldsResponse, error) {
	if err := organization.Pattern.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	terms, err := hold.ParseFilter(req.GetFilter())
	if err != nil {
		return nil, err
	}
	found, next, err := api.PageOf(ctx, s.Centres, req, "ListLegalHolds", func(r kv.Reader, after []byte, limit int) ([]*identityv1.LegalHold, []byte, error) {
		return s.Holds.List(r, req.GetParent(), terms, after, limit)
	}, req.GetFilter())
	return &identityv1.ListLegalHoldsResponse{LegalHolds: found, NextPageToken: next}, err
}

// LiftLegalHold ends a hold.
func (s holds) LiftLegalHold(ctx context.Context, req *identityv1.LiftLegalHoldRequest) (*identityv1.LegalHold, error) {
	if err := hold.Pattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	caller, err := api.CallerOf(ctx)
	if err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.LegalHold, error) {
		return s.Holds.Lift(tx, req.GetName(), req.GetEtag(), caller.Name)
	})
}
