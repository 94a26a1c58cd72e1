package delivery

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	"guildhall.dev/services/identity/internal/contact"
)

// leak is the time in which one message leaks out of a target's bucket.
const leak = 10 * time.Minute

// paceTable is (target) -> DeliveryPace.
func paceTable() *kv.Table[*storev1.DeliveryPace] {
	return kv.NewTable(kv.TableConfig[*storev1.DeliveryPace]{
		Name: "delivery_paces",
		Key:  func(p *storev1.DeliveryPace) kv.Key { return kv.Key{kv.Bytes(p.GetTargetHash())} },
		Indexes: []kv.Index[*storev1.DeliveryPace]{{Name: byExpiry, Keys: func(p *storev1.DeliveryPace) []kv.Key {
			return []kv.Key{{kv.Time(p.GetEmptyTime().AsTime())}}
		}}},
	})
}

// pour counts a message to a target in its leaky bucket, and returns now; or, when
// the bucket is full, counts nothing and returns when there is room. Whoever makes
// the suite write to somebody, by forms that anybody may fill in, can do so only
// at the rate of the leak. The bucket is the target's in all organisations, and
// that of all replicas.
func (b *Book) pour(tx kv.Tx, target []byte, now time.Time) (ready time.Time, err error) {
	empty, ready, err := b.room(tx, target, now)
	if err != nil || ready.After(now) {
		return ready, err
	}
	_, err = b.paces.Put(tx, &storev1.DeliveryPace{TargetHash: target, EmptyTime: timestamppb.New(empty.Add(leak))}, "")
	return now, err
}

// room returns when a target's bucket has leaked empty, and when there is room in
// it for one more, neither before now.
func (b *Book) room(r kv.Reader, target []byte, now time.Time) (empty, ready time.Time, err error) {
	empty = now
	rec, found, err := b.paces.Find(r, kv.Key{kv.Bytes(target)})
	if err == nil && found && rec.Value.GetEmptyTime().AsTime().After(now) {
		empty = rec.Value.GetEmptyTime().AsTime()
	}
	ready = empty.Add(-time.Duration(b.cfg.PerTarget-1) * leak)
	if ready.Before(now) {
		ready = now
	}
	return empty, ready, err
}

// Ready reports whether a message to an account would be sent at once: it has a
// contact to which something is sent, and not too much was. It is for messages that
// strangers can ask for: what does not go out now would wait behind others, and be
// void by the next.
func (b *Book) Ready(r kv.Reader, a *storev1.Account, now time.Time) (bool, error) {
	to := contact.Of(a)
	if to.Target == "" {
		return false, nil
	}
	target := b.hash(to)
	_, suppressed, err := b.suppressions.Find(r, key(suppressionName(resource.Parent(a.GetName()), target)))
	if err != nil || suppressed {
		return false, err
	}
	_, ready, err := b.room(r, target, now)
	return !ready.After(now), err
}
