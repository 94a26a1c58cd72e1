package delivery

import (
	"time"

	"google.golang.org/protobuf/proto"

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
	expired, err := due(tx, b.parcels, byExpiry, now, limit)
	if err != nil {
		return 0, err
	}
	for _, p := range expired {
		if err := b.wipe(tx, p.GetDelivery()); err != nil {
			return 0, err
		}
	}
	empty, err := due(tx, b.paces, byExpiry, now, limit)
	if err != nil {
		return 0, err
	}
	for _, p := range empty {
		if _, err := b.paces.Delete(tx, kv.Key{kv.Bytes(p.GetTargetHash())}, ""); err != nil {
			return 0, err
		}
	}
	old, err := due(tx, b.deliveries, byCreated, now.Add(-b.cfg.Keep), limit)
	if err != nil {
		return 0, err
	}
	for _, rec := range old {
		if err := b.remove(tx, rec.GetDelivery().GetName()); err != nil {
			return 0, err
		}
	}
	return max(len(expired), len(empty), len(old)), nil
}

// due returns what an index by time has up to a time, at most limit of it.
func due[T proto.Message](r kv.Reader, t *kv.Table[T], index string, until time.Time, limit int) (out []T, err error) {
	page, err := t.List(r, kv.Query{Index: index, Until: kv.Key{kv.Time(until.Add(1))}, Limit: limit})
	for _, rec := range page.Records {
		out = append(out, rec.Value)
	}
	return out, err
}
