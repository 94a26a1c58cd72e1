package delivery

import (
	"time"

	"guildhall.dev/pkg/kv"
)

// Forget removes all deliveries to an account that is gone for good.
func (b *Book) Forget(tx kv.Tx, account string) error {
	for rec, err := range b.deliveries.Scan(tx, kv.Query{Index: byAccount, Prefix: kv.Key{kv.String(account)}}) {
		if err != nil {
			return err
		}
		if err := b.remove(tx, rec.Value.GetDelivery().GetName()); err != nil {
			return err
		}
	}
	return nil
}

func (b *Book) remove(tx kv.Tx, name string) error {
	if err := b.wipe(tx, name); err != nil {
		return err
	}
	_, err := b.deliveries.Delete(tx, key(name), "")
	return err
}

// Sweep removes what is past its time, at most limit of each kind, and returns the
// most that it found of one: what messages say that are of no use any more, counts
// of targets that mean nothing any more, and deliveries that were kept long enough.
func (b *Book) Sweep(tx kv.Tx, now time.Time, limit int) (most int, err error) {
	expired, err := b.parcels.RemoveDue(tx, byExpiry, now, limit)
	if err != nil {
		return 0, err
	}
	empty, err := b.paces.RemoveDue(tx, byExpiry, now, limit)
	if err != nil {
		return 0, err
	}
	old, err := b.deliveries.List(tx, kv.Query{Index: byCreated, Until: kv.Key{kv.Time(now.Add(1 - b.cfg.Keep))}, Limit: limit})
	if err != nil {
		return 0, err
	}
	for _, rec := range old.Records {
		if err := b.remove(tx, rec.Value.GetDelivery().GetName()); err != nil {
			return 0, err
		}
	}
	return max(expired, empty, len(old.Records)), nil
}
