package records

import (
	"context"
	"strings"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/api"
	"guildhall.dev/services/identity/internal/organization"
	"guildhall.dev/services/identity/internal/ownership"
)

// ownershipPattern is the form of the name of who looks after a customer.
const ownershipPattern = resource.Pattern("organizations/{organization}/customers/{customer}/ownership")

// ownerships implements OwnershipService.
type ownerships struct{ *api.Centres }

// AssignOwner gives a customer an owner, or none.
func (s ownerships) AssignOwner(ctx context.Context, req *identityv1.AssignOwnerRequest) (*identityv1.Customer, error) {
	if err := account.CustomerPattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	if err := checkOwner("owner", resource.Parent(req.GetName()), req.GetOwner()); err != nil {
		return nil, err
	}
	by, err := byCaller(ctx, req.GetNote())
	if err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.Customer, error) {
		rec, err := s.Handovers.Assign(tx, req.GetName(), req.GetOwner(), req.GetEtag(), by)
		if err != nil {
			return nil, err
		}
		return api.Customer(rec), nil
	})
}

// BatchAssignOwner gives customers an owner, each for itself.
func (s ownerships) BatchAssignOwner(ctx context.Context, req *identityv1.BatchAssignOwnerRequest) (*identityv1.BatchAssignOwnerResponse, error) {
	if err := api.CheckBelow(req.GetParent(), req.GetNames(), account.CustomerPattern); err != nil {
		return nil, err
	}
	if err := checkOwner("owner", req.GetParent(), req.GetOwner()); err != nil {
		return nil, err
	}
	by, err := byCaller(ctx, req.GetNote())
	if err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.BatchAssignOwnerResponse, error) {
		if req.GetOwner() != "" {
			if err := s.Handovers.CheckRecipient(tx, "owner", req.GetOwner()); err != nil {
				return nil, err
			}
		}
		tx.Unchanged() // unless one of them changes
		resp := &identityv1.BatchAssignOwnerResponse{}
		for _, name := range req.GetNames() {
			assigned, err := s.assign(tx, name, req.GetOwner(), by)
			if err != nil {
				return nil, err
			}
			resp.Assignments = append(resp.Assignments, assigned)
		}
		return resp, nil
	})
}

// assign gives one customer of a batch an owner. The error is one that ends the
// transaction.
func (s ownerships) assign(tx *change.Tx, name, owner string, by ownership.By) (*identityv1.OwnerAssignment, error) {
	old, found, err := s.Accounts.Find(tx, name)
	if err != nil {
		return nil, err
	}
	out := &identityv1.OwnerAssignment{Customer: name, Result: identityv1.OwnerAssignment_RESULT_UNCHANGED}
	switch rec, err := s.Handovers.Assign(tx, name, owner, "", by); {
	case errs.Is(err, errs.NotFound), errs.Is(err, errs.Precondition), errs.Is(err, errs.Exhausted):
		out.Result, out.Reason, out.Message = identityv1.OwnerAssignment_RESULT_REFUSED, errs.ReasonOf(err), errs.From(err).Message
	case err != nil:
		return nil, err
	case found && rec.Etag != old.Etag:
		out.Result = identityv1.OwnerAssignment_RESULT_ASSIGNED
	}
	return out, nil
}

// ReassignCustomers gives customers of an owner who has left to others.
func (s ownerships) ReassignCustomers(ctx context.Context, req *identityv1.ReassignCustomersRequest) (*identityv1.ReassignCustomersResponse, error) {
	if err := organization.Pattern.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	if err := checkOwner("owner", req.GetParent(), req.GetOwner()); err != nil {
		return nil, err
	}
	for _, name := range req.GetSuccessors() {
		if err := account.StaffPattern.Check("successors", name); err != nil {
			return nil, err
		}
		if err := checkOwner("successors", req.GetParent(), name); err != nil {
			return nil, err
		}
	}
	by, err := byCaller(ctx, req.GetNote())
	if err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.ReassignCustomersResponse, error) {
		n, more, err := s.Handovers.Inherit(tx, req.GetOwner(), req.GetSuccessors(), by)
		return &identityv1.ReassignCustomersResponse{ReassignedCount: int32(n), More: more}, err
	})
}

// ListDepartedOwners returns a page of those who have left and still have customers.
func (s ownerships) ListDepartedOwners(ctx context.Context, req *identityv1.ListDepartedOwnersRequest) (*identityv1.ListDepartedOwnersResponse, error) {
	if err := organization.Pattern.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	found, next, err := api.PageOf(ctx, s.Centres, req, "ListDepartedOwners", func(r kv.Reader, after []byte, limit int) ([]*identityv1.DepartedOwner, []byte, error) {
		return s.Ownerships.Departed(r, req.GetParent(), after, limit)
	})
	return &identityv1.ListDepartedOwnersResponse{DepartedOwners: found, NextPageToken: next}, err
}

// GetOwnership returns who looks after a customer.
func (s ownerships) GetOwnership(ctx context.Context, req *identityv1.GetOwnershipRequest) (*identityv1.Ownership, error) {
	if err := ownershipPattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	return api.Read(ctx, s.Centres, func(r kv.Reader) (*identityv1.Ownership, error) {
		return s.OwnershipOf(r, strings.TrimSuffix(req.GetName(), "/ownership"))
	})
}

// DeclineOwnership gives a customer that does not want its new owner back.
func (s ownerships) DeclineOwnership(ctx context.Context, req *identityv1.DeclineOwnershipRequest) (*identityv1.Ownership, error) {
	if err := ownershipPattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	customer := strings.TrimSuffix(req.GetName(), "/ownership")
	by, err := byCaller(ctx, req.GetNote())
	if err != nil {
		return nil, err
	}
	if by.Actor != customer {
		by.OnBehalfOf = customer
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.Ownership, error) {
		if _, err := s.Handovers.Refuse(tx, customer, req.GetEtag(), by); err != nil {
			return nil, err
		}
		return s.OwnershipOf(tx, customer)
	})
}

// ListOwnershipPeriods returns a page of who has looked after a customer.
func (s ownerships) ListOwnershipPeriods(ctx context.Context, req *identityv1.ListOwnershipPeriodsRequest) (*identityv1.ListOwnershipPeriodsResponse, error) {
	if err := account.CustomerPattern.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	found, next, err := api.PageOf(ctx, s.Centres, req, "ListOwnershipPeriods", func(r kv.Reader, after []byte, limit int) ([]*identityv1.OwnershipPeriod, []byte, error) {
		if _, err := s.Accounts.Get(r, req.GetParent()); err != nil {
			return nil, nil, err
		}
		return s.Ownerships.Periods(r, req.GetParent(), after, limit)
	})
	return &identityv1.ListOwnershipPeriodsResponse{OwnershipPeriods: found, NextPageToken: next}, err
}

// GetOwnershipPolicy returns an organisation's.
func (s ownerships) GetOwnershipPolicy(ctx context.Context, req *identityv1.GetOwnershipPolicyRequest) (*identityv1.OwnershipPolicy, error) {
	return api.GetSetting(ctx, s.Centres, s.Ownerships.Policies, ownership.PolicyPattern, req.GetName())
}

// UpdateOwnershipPolicy changes the masked fields.
func (s ownerships) UpdateOwnershipPolicy(ctx context.Context, req *identityv1.UpdateOwnershipPolicyRequest) (*identityv1.OwnershipPolicy, error) {
	return api.UpdateSetting(ctx, s.Centres, s.Ownerships.Policies, ownership.PolicyPattern, "ownership_policy", req.GetOwnershipPolicy(), req)
}

// checkOwner refuses what is no member of staff of the organisation, "" aside:
// Invalid (RESOURCE_NAME_INVALID) on the field, and NotFound
// (STAFF_MEMBER_NOT_FOUND), as for one who does not exist.
func checkOwner(field, organization, owner string) error {
	if owner == "" {
		return nil
	}
	if err := account.StaffPattern.Check(field, owner); err != nil {
		return err
	}
	if resource.Parent(owner) != organization {
		return errs.NotFoundName("STAFF_MEMBER_NOT_FOUND", owner)
	}
	return nil
}

// byCaller returns the caller as who does something.
func byCaller(ctx context.Context, note string) (ownership.By, error) {
	caller, err := api.CallerOf(ctx)
	return ownership.By{Actor: caller.Name, Note: note}, err
}
