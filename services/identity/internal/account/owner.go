package account

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	"guildhall.dev/services/identity/internal/ownership"
)

// releaseChunk is how many customers of an account that is being purged lose their
// owner in one transaction.
const releaseChunk = 100

// MayAct reports whether the account is neither suspended nor deleted.
func MayAct(a *storev1.Account) bool { return mayAct(a) }

// SetOwner gives the customer of a record, which is the present one, the owner m.To,
// "" for none. Whether that may be has been decided; the other fields of m that
// the customer says are set here. Rules of segments do not speak of owners, so
// that no membership follows from it.
func (b *Book) SetOwner(tx *change.Tx, old kv.Record[*storev1.Account], m ownership.Move) (kv.Record[*storev1.Account], error) {
	now := proto.CloneOf(old.Value)
	m.Customer, m.From, m.Uncounted = now.GetName(), now.GetOwner(), deleted(now)
	now.Owner, now.UpdateTime = m.To, timestamppb.New(tx.Time)
	rec, err := b.customers.Update(tx, now, "")
	if err != nil {
		return rec, err
	}
	return rec, b.cfg.Ownerships.Move(tx, m)
}

// Owned returns up to limit customers of an owner that are not deleted, by name.
func (b *Book) Owned(r kv.Reader, owner string, limit int) ([]kv.Record[*storev1.Account], error) {
	page, err := b.customers.List(r, kv.Query{Index: byOwned, Prefix: kv.Key{kv.String(resource.Parent(owner)), kv.String(owner)}, Limit: limit})
	return page.Records, err
}

// followOwners keeps what follows from a change of state: a member of staff is there
// as an owner or is not, and a customer counts for its owner or does not.
func (b *Book) followOwners(tx *change.Tx, old, now *storev1.Account) error {
	name := now.GetName()
	switch {
	case StaffPattern.Matches(name) && mayAct(old) && !mayAct(now):
		if err := b.cfg.Tasks.Depart(tx, name); err != nil {
			return err
		}
		return b.cfg.Ownerships.Depart(tx, name)
	case StaffPattern.Matches(name) && !mayAct(old) && mayAct(now):
		if err := b.cfg.Tasks.Return(tx, name); err != nil {
			return err
		}
		return b.cfg.Ownerships.Return(tx, name)
	case !CustomerPattern.Matches(name) || deleted(old) == deleted(now):
		return nil
	case deleted(now):
		if err := b.cfg.Ownerships.CancelOf(tx, name); err != nil {
			return err
		}
	}
	if now.GetOwner() == "" {
		return nil
	}
	by := int64(1)
	if deleted(now) {
		by = -1
	}
	return b.cfg.Ownerships.Count(tx, now.GetOwner(), by)
}

// release takes some more customers off an account that is to be purged, deleted
// ones too, and reports whether it has any left: whoever gets its name later is
// somebody else.
func (b *Book) release(tx *change.Tx, name string) (more bool, err error) {
	if !StaffPattern.Matches(name) {
		return false, nil
	}
	owned, err := b.customers.List(tx, kv.Query{
		Index: byOwner, Prefix: kv.Key{kv.String(resource.Parent(name)), kv.String(name)}, Limit: releaseChunk,
	})
	if err != nil {
		return false, err
	}
	for _, rec := range owned.Records {
		move := ownership.Move{Cause: ownership.Purged, By: ownership.By{Actor: authn.ServiceName("identity")}}
		if _, err := b.SetOwner(tx, rec, move); err != nil {
			return false, err
		}
	}
	if len(owned.Records) == releaseChunk {
		return true, nil
	}
	if more, err = b.cfg.Ownerships.ForgetStaff(tx, name, releaseChunk); err == nil && !more {
		more, err = b.cfg.Absences.Forget(tx, name, releaseChunk)
	}
	if more {
		tx.Unchanged()
	}
	return more, err
}
