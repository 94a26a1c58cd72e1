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
	return b.withdraw(tx, account, func(d *storev1.Delivery) bool {
		return bytes.Equal(d.GetTargetHash(), target) && message.HasCode(d.GetDelivery().GetKind())
	})
}

// replace makes room for a delivery: one of its kind to the same target that waits
// says less, or has a code that is void. So what somebody can have asked for again
// and again waits once, and delays nothing else. One that has failed stays, for who
// looks after those.
//
// News of one factor say nothing of another: they replace none.
func (b *Book) replace(tx *change.Tx, by *storev1.Delivery) error {
	if k := by.GetDelivery().GetKind(); k == message.FactorAdded || k == message.FactorRemoved {
		return nil
	}
	return b.withdraw(tx, by.GetDelivery().GetAccount(), func(d *storev1.Delivery) bool {
		return d.GetDelivery().GetState() == queued && d.GetDelivery().GetKind() == by.GetDelivery().GetKind() && bytes.Equal(d.GetTargetHash(), by.GetTargetHash())
	})
}

// withdraw ends the deliveries to an account that could still be sent and that a
// condition selects.
func (b *Book) withdraw(tx *change.Tx, account string, selects func(*storev1.Delivery) bool) error {
	for rec, err := range b.deliveries.Scan(tx, kv.Query{Index: byOpen, Prefix: kv.Key{kv.String(account)}}) {
		if err != nil {
			return err
		}
		if !selects(rec.Value) {
			continue
		}
		now, _ := clone(rec)
		if err := b.end(tx, now, withdrawn); err != nil {
			return err
		}
	}
	return nil
}
