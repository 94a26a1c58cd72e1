package ownership

import (
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/revise"
)

// TransferPattern is the form of a transfer's name.
const TransferPattern = resource.Pattern("organizations/{organization}/ownershipTransfers/{ownership_transfer}")

const transferNotFound = "OWNERSHIP_TRANSFER_NOT_FOUND"

// maxWaiting is how many transfers may wait for one member of staff: so many one
// transaction cancels when the account is disabled.
const maxWaiting = 100

// The states of a transfer, for short:
//
//	            accept
//	PENDING ───────────▶ ACCEPTED
//	   │ │ │  decline
//	   │ │ └───────────▶ DECLINED
//	   │ │    cancel; another owner, a deleted customer, a departed recipient
//	   │ └─────────────▶ CANCELLED
//	   │      expire time
//	   └───────────────▶ EXPIRED
const (
	pending   = identityv1.OwnershipTransfer_STATE_PENDING
	accepted  = identityv1.OwnershipTransfer_STATE_ACCEPTED
	declined  = identityv1.OwnershipTransfer_STATE_DECLINED
	cancelled = identityv1.OwnershipTransfer_STATE_CANCELLED
	expired   = identityv1.OwnershipTransfer_STATE_EXPIRED
)

// past are the endings of events by the state that a transfer came to.
func past(s identityv1.OwnershipTransfer_State) string {
	return map[identityv1.OwnershipTransfer_State]string{
		accepted: "accepted", declined: "declined", cancelled: "cancelled", expired: "expired",
	}[s]
}

// Transfer returns a transfer. The error is NotFound
// (OWNERSHIP_TRANSFER_NOT_FOUND).
func (b *Book) Transfer(r kv.Reader, name string) (*identityv1.OwnershipTransfer, error) {
	rec, found, err := b.transfers.Find(r, key(name))
	if err == nil && !found {
		err = errs.NotFoundName(transferNotFound, name)
	}
	if err != nil {
		return nil, err
	}
	return revise.View(rec), nil
}

// Propose makes a transfer with the name, the customer, the recipient and the
// note of t, from an owner, "" for none, and records it. Errors are Exists
// (OWNERSHIP_TRANSFER_EXISTS, and OWNERSHIP_TRANSFER_PENDING when another one of
// the customer is) and Exhausted (OWNERSHIP_TRANSFER_LIMIT).
func (b *Book) Propose(tx *change.Tx, t *identityv1.OwnershipTransfer, from, proposer string) (*identityv1.OwnershipTransfer, error) {
	policy, err := b.Policies.Of(tx, resource.Parent(t.GetName()))
	if err != nil {
		return nil, err
	}
	if err := revise.CheckRoom(tx, b.transfers, kv.Query{Index: byWaiting, Prefix: kv.Key{kv.String(t.GetToOwner())}}, maxWaiting,
		"OWNERSHIP_TRANSFER_LIMIT", "%d transfers wait for this member of staff already; they must be answered first"); err != nil {
		return nil, err
	}
	rules := transferRules()
	rules.Follow = func(_, now *identityv1.OwnershipTransfer) error {
		now.FromOwner, now.Proposer, now.State = from, proposer, pending
		now.ExpireTime = timestamppb.New(tx.Time.Add(policy.GetAcceptWithin().AsDuration()))
		return nil
	}
	return revise.Create(tx, b.transfers, t, rules)
}

func transferRules() revise.Rules[*identityv1.OwnershipTransfer] {
	return revise.Rules[*identityv1.OwnershipTransfer]{
		Event: "guildhall.identity.ownership_transfer",
		Data:  func(t *identityv1.OwnershipTransfer) proto.Message { return told(t) },
		Fixed: []string{"customer", "to_owner", "note"},
	}
}

func told(t *identityv1.OwnershipTransfer) *identityv1.OwnershipTransferChanged {
	return &identityv1.OwnershipTransferChanged{Customer: t.GetCustomer(), FromOwner: t.GetFromOwner(), ToOwner: t.GetToOwner()}
}

// Open returns a transfer that is to come to a state, and whether it is open: one
// that is in the state already is not, and needs nothing done. Errors are NotFound
// (OWNERSHIP_TRANSFER_NOT_FOUND), Conflict (ETAG_MISMATCH) and Precondition
// (OWNERSHIP_TRANSFER_ENDED), also when its time is over and nobody has come by
// to say so.
func (b *Book) Open(tx *change.Tx, name, etag string, to identityv1.OwnershipTransfer_State) (*identityv1.OwnershipTransfer, bool, error) {
	rec, err := b.transfers.Get(tx, key(name))
	if err != nil {
		return nil, false, err
	}
	t := revise.View(rec)
	if t.GetState() == to {
		tx.Unchanged()
		return t, false, nil
	}
	if err := rec.CheckEtag(etag); err != nil {
		return nil, false, err
	}
	if t.GetState() != pending || !tx.Time.Before(t.GetExpireTime().AsTime()) {
		return nil, false, errs.New(errs.Precondition, "OWNERSHIP_TRANSFER_ENDED", "the transfer has ended; propose another")
	}
	return t, true, nil
}

// Close brings a pending transfer to its end, and records it.
func (b *Book) Close(tx *change.Tx, t *identityv1.OwnershipTransfer, to identityv1.OwnershipTransfer_State, note string) (*identityv1.OwnershipTransfer, error) {
	return b.close(tx, t, to, note, false)
}

// close is Close; covered says that the audit entry of what ends the transfer
// speaks for it.
func (b *Book) close(tx *change.Tx, t *identityv1.OwnershipTransfer, to identityv1.OwnershipTransfer_State, note string, covered bool) (*identityv1.OwnershipTransfer, error) {
	now := proto.CloneOf(t)
	now.State, now.EndNote, now.Etag = to, note, ""
	now.UpdateTime, now.EndTime = timestamppb.New(tx.Time), timestamppb.New(tx.Time)
	rec, err := b.transfers.Update(tx, now, "")
	if err != nil {
		return nil, err
	}
	tx.Record(change.Change{
		Resource: now.GetName(), Type: transferRules().Event + "." + past(to) + ".v1", ChangedFields: []string{"state"},
		Data: told(now), Covered: covered,
	})
	return revise.View(rec), nil
}

// CancelOf cancels the transfer of a customer that is deleted, if one is pending.
func (b *Book) CancelOf(tx *change.Tx, customer string) error { return b.cancelOf(tx, customer, "") }

// cancelOf is CancelOf but for one transfer.
func (b *Book) cancelOf(tx *change.Tx, customer, except string) error {
	rec, found, err := b.transfers.FindBy(tx, byPending, kv.Key{kv.String(customer)})
	if err != nil || !found || rec.Value.GetName() == except {
		return err
	}
	_, err = b.close(tx, rec.Value, cancelled, "", true)
	return err
}

// Expirable returns the names of at most limit transfers that wait past their
// time.
func (b *Book) Expirable(r kv.Reader, now time.Time, limit int) ([]string, error) {
	due, err := b.transfers.Due(r, byExpiry, now, limit)
	return revise.Names(due), err
}

// Expire ends a transfer that waits past its time; one that was answered meanwhile
// it leaves alone.
func (b *Book) Expire(tx *change.Tx, name string) error {
	rec, found, err := b.transfers.Find(tx, key(name))
	if err != nil {
		return err
	}
	if !found || rec.Value.GetState() != pending || tx.Time.Before(rec.Value.GetExpireTime().AsTime()) {
		tx.Unchanged()
		return nil
	}
	_, err = b.close(tx, rec.Value, expired, "", true)
	return err
}

// removeTransfers removes the transfers that q selects, and returns how many.
func (b *Book) removeTransfers(tx kv.Tx, q kv.Query) (n int, err error) {
	for rec, err := range b.transfers.Scan(tx, q) {
		if err != nil {
			return n, err
		}
		if _, err := b.transfers.Delete(tx, key(rec.Value.GetName()), ""); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
