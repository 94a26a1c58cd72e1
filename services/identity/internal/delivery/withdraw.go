package delivery

import (
	"bytes"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	"guildhall.dev/services/identity/internal/contact"
	"guildhall.dev/services/identity/internal/message"
)

// Withdraw is for a contact that is an account's no more: what was to bring codes
// there, and has not, is not sent, nor retried. News of what has happened still
// goes: whoever has lost a contact to somebody else hears of it there alone.
func (b *Book) Withdraw(tx *change.Tx, account string, from contact.Contact) error {
	target := b.hash(from)
	return b.withdraw(tx, account, func(d *storev1.Delivery) (bool, error) {
		return bytes.Equal(d.GetTargetHash(), target) && message.HasCode(d.GetDelivery().GetKind()), nil
	})
}

// replace makes room for a delivery that says something: one of its kind to the same
// target that waits, and that it supersedes, is not sent. So what somebody can have
// asked for again and again waits once, and delays nothing else. One that has failed
// stays, for who looks after those.
func (b *Book) replace(tx *change.Tx, by *storev1.Delivery, says message.Values) error {
	return b.withdraw(tx, by.GetDelivery().GetAccount(), func(d *storev1.Delivery) (bool, error) {
		kind := by.GetDelivery().GetKind()
		if d.GetDelivery().GetState() != queued || d.GetDelivery().GetKind() != kind || !bytes.Equal(d.GetTargetHash(), by.GetTargetHash()) {
			return false, nil
		}
		waits, found, err := b.parcels.Find(tx, kv.Key{kv.String(d.GetDelivery().GetName())})
		return found && message.Supersedes(kind, says, waits.Value.GetValues()), err
	})
}

// withdraw ends the deliveries to an account that could still be sent and that a
// condition selects.
func (b *Book) withdraw(tx *change.Tx, account string, selects func(*storev1.Delivery) (bool, error)) error {
	for rec, err := range b.deliveries.Scan(tx, kv.Query{Index: byOpen, Prefix: kv.Key{kv.String(account)}}) {
		if err != nil {
			return err
		}
		if selected, err := selects(rec.Value); err != nil {
			return err
		} else if !selected {
			continue
		}
		now, _ := clone(rec)
		if err := b.end(tx, now, withdrawn); err != nil {
			return err
		}
	}
	return nil
}
