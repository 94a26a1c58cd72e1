package account

import (
	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

const erased = identityv1.AccountState_ACCOUNT_STATE_ERASED

// CheckNotErased refuses what makes no sense of a customer of whom nothing is left
// but the name: NotFound (CUSTOMER_NOT_FOUND) and Precondition (CUSTOMER_ERASED).
func (b *Book) CheckNotErased(r kv.Reader, name string) error {
	rec, err := b.Get(r, name)
	if err == nil && rec.Value.GetState() == erased {
		err = errs.New(errs.Precondition, "CUSTOMER_ERASED", "the customer is erased; nothing is left but the name")
	}
	return err
}

// CheckHold refuses to remove what belongs to a customer under a legal hold:
// Precondition (LEGAL_HOLD). Of a customer that is not there, nothing is held.
func (b *Book) CheckHold(r kv.Reader, name string) error {
	rec, found, err := b.Find(r, name)
	if err == nil && found && rec.Value.GetLegalHold() {
		err = errs.New(errs.Precondition, "LEGAL_HOLD", "a legal hold keeps what there is of the customer; it has to be lifted first")
	}
	return err
}

// SetHold keeps whether a legal hold is in force on a customer. Errors are those of
// CheckNotErased when it is to be.
func (b *Book) SetHold(tx *change.Tx, name string, held bool) error {
	if held {
		if err := b.CheckNotErased(tx, name); err != nil {
			return err
		}
	}
	return b.Held(tx, name, held)
}

// Held is SetHold for whom it makes no sense to hold too: it does nothing where there
// is nobody.
func (b *Book) Held(tx *change.Tx, name string, held bool) error {
	rec, found, err := b.Find(tx, name)
	if err != nil || !found || rec.Value.GetLegalHold() == held {
		return err
	}
	now := proto.CloneOf(rec.Value)
	now.LegalHold = held
	_, err = b.customers.Update(tx, now, "")
	return err
}

// Erase makes a customer's account a tombstone: it ends as a deletion does, then
// nothing is left of it but its name, its times and its state, so that nobody gets
// the name again. What hangs on it EraseRest removes. Erasing an erased one changes
// nothing. Errors are NotFound (CUSTOMER_NOT_FOUND) and Precondition (LEGAL_HOLD).
func (b *Book) Erase(tx *change.Tx, name string) error {
	if err := b.CheckHold(tx, name); err != nil {
		return err
	}
	rec, err := b.Get(tx, name)
	if err != nil || rec.Value.GetState() == erased {
		return err
	}
	if rec, err = b.Delete(tx, name, ""); err != nil {
		return err
	}
	return b.leaveName(tx, rec.Value)
}

// EraseRest removes a part of what hangs on an erased customer, and reports whether
// there is more.
func (b *Book) EraseRest(tx *change.Tx, name string) (more bool, err error) {
	if more, err := b.forget(tx, name); more || err != nil {
		return more, err
	}
	return false, b.removeOwn(tx, name)
}
