package handover

import (
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/ownership"
)

// Propose asks somebody to take a customer over; entitled says that the proposer
// may assign the customer's owner. Errors are Denied (OWNER_ONLY) when the
// proposer is neither that nor the owner, Invalid (OWNER_UNCHANGED), NotFound
// (CUSTOMER_NOT_FOUND, STAFF_MEMBER_NOT_FOUND), Precondition (CUSTOMER_NOT_ACTIVE,
// OWNER_NOT_ACTIVE, OWNERSHIP_COOL_DOWN), and those of ownership.Propose.
func (b *Book) Propose(tx *change.Tx, t *identityv1.OwnershipTransfer, proposer string, entitled bool) (*identityv1.OwnershipTransfer, error) {
	rec, found, err := b.accounts.Find(tx, t.GetCustomer())
	if err != nil {
		return nil, err
	}
	from := rec.Value.GetOwner()
	if !entitled && (!found || from != proposer) {
		return nil, OwnerOnly()
	}
	if rec, err = b.customer(tx, t.GetCustomer(), ""); err != nil {
		return nil, err
	}
	if from == t.GetToOwner() {
		return nil, errs.InvalidField("ownership_transfer.to_owner", "OWNER_UNCHANGED", "name another member of staff than the present owner")
	}
	if err := b.CheckRecipient(tx, "ownership_transfer.to_owner", t.GetToOwner()); err != nil {
		return nil, err
	}
	departed, err := b.departed(tx, from)
	if err != nil {
		return nil, err
	}
	if !departed {
		if !account.MayAct(rec.Value) {
			return nil, notActive("the customer is suspended; enable it first")
		}
		if err := b.checkCoolDown(tx, rec.Value, tx.Time); err != nil {
			return nil, err
		}
	}
	return b.ownerships.Propose(tx, t, from, proposer)
}

// Accept makes the recipient, who has to be the caller, the owner. Errors are those
// of ownership.Open, and Precondition (CUSTOMER_NOT_ACTIVE, OWNER_NOT_ACTIVE,
// OWNERSHIP_COOL_DOWN) and Exhausted (OWNER_DAILY_LIMIT).
func (b *Book) Accept(tx *change.Tx, name, etag string) (*identityv1.OwnershipTransfer, error) {
	t, open, err := b.ownerships.Open(tx, name, etag, identityv1.OwnershipTransfer_STATE_ACCEPTED)
	if err != nil || !open {
		return t, err
	}
	rec, err := b.customer(tx, t.GetCustomer(), "")
	if err != nil {
		return nil, err
	}
	if err := b.CheckRecipient(tx, "name", t.GetToOwner()); err != nil {
		return nil, err
	}
	cause, err := b.cause(tx, rec.Value, t.GetToOwner(), ownership.Transferred)
	if err != nil {
		return nil, err
	}
	done, err := b.ownerships.Close(tx, t, identityv1.OwnershipTransfer_STATE_ACCEPTED, "")
	if err != nil {
		return nil, err
	}
	_, err = b.accounts.SetOwner(tx, rec, ownership.Move{
		To: t.GetToOwner(), Cause: cause, Transfer: name, By: ownership.By{Actor: t.GetToOwner(), Note: t.GetNote()},
	})
	return done, err
}

// End declines or cancels a transfer. Errors are those of ownership.Open.
func (b *Book) End(tx *change.Tx, name, etag string, to identityv1.OwnershipTransfer_State, note string) (*identityv1.OwnershipTransfer, error) {
	t, open, err := b.ownerships.Open(tx, name, etag, to)
	if err != nil || !open {
		return t, err
	}
	return b.ownerships.Close(tx, t, to, note)
}

// OwnerOnly is the refusal of who is neither a customer's owner nor may assign one:
// Denied (OWNER_ONLY), the same whether there is such a customer or not.
func OwnerOnly() error {
	return errs.New(errs.Denied, "OWNER_ONLY", "only the owner of the customer, or who may assign owners, can do this")
}
