package account

import (
	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/fieldmask"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	"guildhall.dev/services/identity/internal/contact"
	"guildhall.dev/services/identity/internal/segment"
)

// Imported is what an import did with one customer.
type Imported uint8

// What an import may do.
const (
	Unchanged Imported = iota + 1
	Created
	Updated
)

// Import creates the customer with a's external id in the organisation, with a
// password by its hash if it has one, or sets the named fields of the one there
// is, and returns its name. The password of one there is stays as it is: who
// imports must not take anybody's place. It records
// events only: the audit entry is that of the batch, which is the caller's to
// record. The organisation exists.
//
// A refusal of this one customer is an errs error of kind Exists, Precondition
// or Denied, which is the permit's; then nothing was written, and the transaction
// may go on with the next. Any other error ends it.
func (b *Book) Import(tx *change.Tx, organization string, a *storev1.Account, password string, fields []string, permit segment.Permit) (string, Imported, error) {
	old, found, err := b.customers.FindBy(tx, byExternalID, kv.Key{kv.String(organization), kv.Personal(a.GetExternalId())})
	if err != nil {
		return "", 0, err
	}
	if found && deleted(old.Value) {
		return old.Value.GetName(), 0, illegalState("the customer is deleted; undelete it first")
	}
	if err := b.checkFree(tx, organization, a, old.Value); err != nil {
		return old.Value.GetName(), 0, err
	}
	if !found {
		a.Name = organization + "/customers/" + tx.NewID()
		_, err := b.create(tx, a, manner{covered: true, permit: permit, password: password})
		return a.GetName(), Created, err
	}
	now := proto.CloneOf(old.Value)
	fieldmask.Apply(now, a, fields)
	unprove(old.Value, now)
	rec, err := b.update(tx, old, now, manner{covered: true, permit: permit})
	if err != nil || rec.Etag == old.Etag {
		return old.Value.GetName(), Unchanged, err
	}
	return old.Value.GetName(), Updated, nil
}

// checkFree returns Exists when a value that only one customer may have, and
// that old does not have yet, belongs to another. The table would find out
// too, but half-way through its writes, which is the end of a transaction.
func (b *Book) checkFree(r kv.Reader, organization string, a, old *storev1.Account) error {
	for _, v := range []struct{ index, value, present, reason string }{
		{byEmail, contact.FoldEmail(a.GetEmail()), contact.FoldEmail(old.GetEmail()), "EMAIL_TAKEN"},
		{byPhone, a.GetPhone(), old.GetPhone(), "PHONE_TAKEN"},
	} {
		if v.value == "" || v.value == v.present {
			continue
		}
		_, found, err := b.customers.FindBy(r, v.index, kv.Key{kv.String(organization), kv.Personal(v.value)})
		if err != nil {
			return err
		}
		if found {
			const text = "the value belongs to another customer"
			return errs.New(errs.Exists, v.reason, text, errs.Field(v.index, v.reason, text))
		}
	}
	return nil
}
