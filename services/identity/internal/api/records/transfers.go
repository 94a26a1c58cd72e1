package records

import (
	"context"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/api"
	"guildhall.dev/services/identity/internal/handover"
	"guildhall.dev/services/identity/internal/organization"
	"guildhall.dev/services/identity/internal/ownership"
	"guildhall.dev/services/identity/internal/revise"
)

// transfers implements OwnershipTransferService.
type transfers struct{ *api.Centres }

// CreateOwnershipTransfer proposes a transfer.
func (s transfers) CreateOwnershipTransfer(ctx context.Context, req *identityv1.CreateOwnershipTransferRequest) (*identityv1.OwnershipTransfer, error) {
	ids, err := organization.Pattern.Parse("parent", req.GetParent())
	if err != nil {
		return nil, err
	}
	t := req.GetOwnershipTransfer()
	if err := account.CustomerPattern.Check("ownership_transfer.customer", t.GetCustomer()); err != nil {
		return nil, err
	}
	if resource.Parent(t.GetCustomer()) != req.GetParent() {
		return nil, errs.InvalidField("ownership_transfer.customer", "PARENT_MISMATCH", "name a customer below the parent of the request")
	}
	if err := checkOwner("ownership_transfer.to_owner", req.GetParent(), t.GetToOwner()); err != nil {
		return nil, err
	}
	caller, entitled, err := s.entitled(ctx, t.GetCustomer())
	if err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.OwnershipTransfer, error) {
		id, err := tx.IDOr("ownership_transfer_id", req.GetOwnershipTransferId())
		if err != nil {
			return nil, err
		}
		return s.Handovers.Propose(tx, revise.Named(t, ownership.TransferPattern.Format(ids[0], id)), caller.Name, entitled)
	})
}

// entitled returns the caller, and whether it may assign the owner of a customer.
func (s transfers) entitled(ctx context.Context, customer string) (authn.Caller, bool, error) {
	caller, err := api.CallerOf(ctx)
	if err != nil {
		return caller, false, err
	}
	err = s.May(ctx, "identity.customers.assignOwner", customer)
	if errs.Is(err, errs.Denied) {
		return caller, false, nil
	}
	return caller, err == nil, err
}

// place is what a caller is to a transfer.
type place struct {
	transfer *identityv1.OwnershipTransfer
	// recipient is whom it waits for; manages is who may take it back.
	recipient, manages bool
}

// find returns a transfer and what the caller is to it. Whoever is nothing to it
// finds none: NotFound (OWNERSHIP_TRANSFER_NOT_FOUND).
func (s transfers) find(ctx context.Context, name string) (place, error) {
	if err := ownership.TransferPattern.Check("name", name); err != nil {
		return place{}, err
	}
	t, err := api.Read(ctx, s.Centres, func(r kv.Reader) (*identityv1.OwnershipTransfer, error) { return s.Ownerships.Transfer(r, name) })
	if err != nil {
		return place{}, err
	}
	caller, err := api.CallerOf(ctx)
	if err != nil {
		return place{}, err
	}
	p := place{
		transfer: t, recipient: caller.Name == t.GetToOwner(),
		manages: caller.Name == t.GetFromOwner() || caller.Name == t.GetProposer(),
	}
	if p.recipient || p.manages {
		return p, nil
	}
	if _, p.manages, err = s.entitled(ctx, t.GetCustomer()); err != nil || p.manages {
		return p, err
	}
	err = s.May(ctx, "identity.ownershipTransfers.list", resource.Parent(name)) // who sees all of them
	if errs.Is(err, errs.Denied) {
		err = errs.NotFoundName("OWNERSHIP_TRANSFER_NOT_FOUND", name)
	}
	return p, err
}

// GetOwnershipTransfer returns a transfer to those whose business it is.
func (s transfers) GetOwnershipTransfer(ctx context.Context, req *identityv1.GetOwnershipTransferRequest) (*identityv1.OwnershipTransfer, error) {
	p, err := s.find(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	return p.transfer, nil
}

// ListOwnershipTransfers returns a page of transfers, the newest first.
func (s transfers) ListOwnershipTransfers(ctx context.Context, req *identityv1.ListOwnershipTransfersRequest) (*identityv1.ListOwnershipTransfersResponse, error) {
	if err := api.CheckStaffScope("parent", req.GetParent()); err != nil {
		return nil, err
	}
	terms, err := ownership.ParseFilter(req.GetFilter())
	if err != nil {
		return nil, err
	}
	found, next, err := api.PageOf(ctx, s.Centres, req, "ListOwnershipTransfers", func(r kv.Reader, after []byte, limit int) ([]*identityv1.OwnershipTransfer, []byte, error) {
		return s.Ownerships.Transfers(r, ownership.Query{Parent: req.GetParent(), Filter: terms, After: after, Limit: limit})
	}, req.GetFilter())
	return &identityv1.ListOwnershipTransfersResponse{OwnershipTransfers: found, NextPageToken: next}, err
}

// AcceptOwnershipTransfer makes the caller the owner.
func (s transfers) AcceptOwnershipTransfer(ctx context.Context, req *identityv1.AcceptOwnershipTransferRequest) (*identityv1.OwnershipTransfer, error) {
	if err := s.asRecipient(ctx, req.GetName()); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.OwnershipTransfer, error) {
		return s.Handovers.Accept(tx, req.GetName(), req.GetEtag())
	})
}

// DeclineOwnershipTransfer leaves the customer where it is.
func (s transfers) DeclineOwnershipTransfer(ctx context.Context, req *identityv1.DeclineOwnershipTransferRequest) (*identityv1.OwnershipTransfer, error) {
	if err := s.asRecipient(ctx, req.GetName()); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.OwnershipTransfer, error) {
		return s.Handovers.End(tx, req.GetName(), req.GetEtag(), identityv1.OwnershipTransfer_STATE_DECLINED, req.GetNote())
	})
}

// asRecipient refuses a caller for whom a transfer does not wait.
func (s transfers) asRecipient(ctx context.Context, name string) error {
	p, err := s.find(ctx, name)
	if err == nil && !p.recipient {
		err = errs.New(errs.Denied, "TRANSFER_RECIPIENT_ONLY", "only the member of staff whom the transfer is to can answer it")
	}
	return err
}

// CancelOwnershipTransfer takes a proposal back.
func (s transfers) CancelOwnershipTransfer(ctx context.Context, req *identityv1.CancelOwnershipTransferRequest) (*identityv1.OwnershipTransfer, error) {
	p, err := s.find(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	if p.recipient && !p.manages {
		if _, p.manages, err = s.entitled(ctx, p.transfer.GetCustomer()); err != nil {
			return nil, err
		}
	}
	if !p.manages {
		return nil, handover.OwnerOnly()
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.OwnershipTransfer, error) {
		return s.Handovers.End(tx, req.GetName(), req.GetEtag(), identityv1.OwnershipTransfer_STATE_CANCELLED, req.GetNote())
	})
}
