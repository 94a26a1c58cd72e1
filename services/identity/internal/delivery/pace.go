package delivery

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
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
	rec, found, err := b.paces.Find(tx, kv.Key{kv.Bytes(target)})
	if err != nil {
		return now, err
	}
	empty := now
	if found && rec.Value.GetEmptyTime().AsTime().After(now) {
		empty = rec.Value.GetEmptyTime().AsTime()
	}
	if ready := empty.Add(-time.Duration(b.cfg.PerTarget-1) * leak); ready.After(now) {
		return ready, nil
	}
	_, err = b.paces.Put(tx, &storev1.DeliveryPace{TargetHash: target, EmptyTime: timestamppb.New(empty.Add(leak))}, "")
	return now, err
}
