package delivery

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/contact"
	"guildhall.dev/services/identity/internal/message"
)

const (
	// leak is the time in which one message leaks out of the bucket that an
	// organisation has for a target.
	leak = 10 * time.Minute
	// overall is how many times as much goes to a target from all organisations
	// together.
	overall = 4
)

// paceTable is (bucket) -> DeliveryPace.
func paceTable() *kv.Table[*storev1.DeliveryPace] {
	return kv.NewTable(kv.TableConfig[*storev1.DeliveryPace]{
		Name: "delivery_paces",
		Key:  func(p *storev1.DeliveryPace) kv.Key { return kv.Key{kv.Bytes(p.GetTargetHash())} },
		Indexes: []kv.Index[*storev1.DeliveryPace]{{Name: byExpiry, Keys: func(p *storev1.DeliveryPace) []kv.Key {
			return []kv.Key{{kv.Time(p.GetEmptyTime().AsTime())}}
		}}},
	})
}

// bucket is a leaky one: it holds so many messages, and one leaks out of it every
// leak. It is that of all replicas.
type bucket struct {
	key  []byte
	size int
	leak time.Duration
}

// bucketsOf are those of what an organisation sends to a target. Whoever makes the
// suite write to somebody, by forms that anybody may fill in, can do so only at the
// rate of the leak. An organisation has a bucket of its own, so that another one
// does not make it wait, below one of all organisations together, so that many do
// not do what one must not.
//
// What others can have sent to somebody has buckets of its own, so that it stops
// neither the codes nor the news of who is reached there. And news have theirs: what
// strangers ask for, as resets of passwords, keeps nobody from hearing that the
// account is being taken.
func (b *Book) bucketsOf(organization string, target []byte, kind identityv1.MessageKind) []bucket {
	switch {
	case kind == message.ContactVerification, kind == message.TaskReminder:
		target = b.cfg.Hasher.Hash("identity delivery pace of "+KindName(kind), target)
	case message.IsNews(kind):
		target = b.cfg.Hasher.Hash("identity delivery pace of news", target)
	}
	own := append([]byte(organization+"\x00"), target...)
	return []bucket{
		{key: b.cfg.Hasher.Hash("identity delivery pace", own), size: b.cfg.PerTarget, leak: leak},
		{key: target, size: overall * b.cfg.PerTarget, leak: leak / overall},
	}
}

// pour counts a message in buckets, and returns now; or, when one of them is full,
// counts nothing and returns when there is room.
func (b *Book) pour(tx kv.Tx, into []bucket, now time.Time) (ready time.Time, err error) {
	if ready, err = b.room(tx, into, now); err != nil || ready.After(now) {
		return ready, err
	}
	for _, each := range into {
		empty, err := b.empty(tx, each, now)
		if err != nil {
			return now, err
		}
		if _, err := b.paces.Put(tx, &storev1.DeliveryPace{TargetHash: each.key, EmptyTime: timestamppb.New(empty.Add(each.leak))}, ""); err != nil {
			return now, err
		}
	}
	return now, nil
}

// room returns when there is room in all buckets for one message more, not before
// now.
func (b *Book) room(r kv.Reader, in []bucket, now time.Time) (ready time.Time, err error) {
	ready = now
	for _, each := range in {
		empty, err := b.empty(r, each, now)
		if err != nil {
			return now, err
		}
		if at := empty.Add(-time.Duration(each.size-1) * each.leak); at.After(ready) {
			ready = at
		}
	}
	return ready, nil
}

// empty returns when a bucket has leaked empty, not before now.
func (b *Book) empty(r kv.Reader, of bucket, now time.Time) (time.Time, error) {
	rec, found, err := b.paces.Find(r, kv.Key{kv.Bytes(of.key)})
	if err == nil && found && rec.Value.GetEmptyTime().AsTime().After(now) {
		return rec.Value.GetEmptyTime().AsTime(), nil
	}
	return now, err
}

// Ready reports whether a message to an account's contact would be sent at once:
// something is sent there, and not too much was. It is for messages that strangers
// can ask for: what does not go out now would wait behind others, and be void by
// the next.
func (b *Book) Ready(r kv.Reader, account string, to contact.Contact, now time.Time) (bool, error) {
	target, organization := b.hash(to), resource.Parent(account)
	_, suppressed, err := b.suppressions.Find(r, key(suppressionName(organization, target)))
	if err != nil || suppressed {
		return false, err
	}
	ready, err := b.room(r, b.bucketsOf(organization, target, message.PasswordReset), now)
	return !ready.After(now), err
}

// Spend counts a message that an account has sent to where it says, and returns
// now; or, when it has had too many sent, counts nothing and returns when it may
// again. The pace of targets does not bound who names another one each time.
func (b *Book) Spend(tx kv.Tx, account string, now time.Time) (ready time.Time, err error) {
	by := bucket{key: b.cfg.Hasher.Hash("identity delivery sender", []byte(account)), size: b.cfg.PerTarget, leak: leak}
	return b.pour(tx, []bucket{by}, now)
}
