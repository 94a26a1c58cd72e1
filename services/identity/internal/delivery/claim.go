package delivery

import (
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/message"
)

// Lease is how long a claimed message is one replica's to send.
const Lease = 2 * time.Minute

// Claimed is a message that is to be sent now.
type Claimed struct {
	Delivery *identityv1.Delivery
	// Target is where it goes.
	Target string
	Values message.Values
	// Organization is what the organisation is called.
	Organization string

	claim string
}

// Claim takes up to limit messages that are due, oldest first, each for a lease:
// another replica finds them due again when that has ended. The claim is a word
// that no other claim has. Those that are of no use any more, or go where nothing
// is sent to, end here, and those whose target is sent too much wait.
func (b *Book) Claim(tx *change.Tx, claim string, limit int) (out []Claimed, found int, err error) {
	tx.Unchanged()
	page, err := b.deliveries.List(tx, kv.Query{Index: byDue, Until: kv.Key{kv.Time(tx.Time.Add(1))}, Limit: limit})
	if err != nil {
		return nil, 0, err
	}
	for _, rec := range page.Records {
		c, err := b.claim(tx, rec, claim)
		if err != nil {
			return nil, 0, err
		}
		if c != nil {
			out = append(out, *c)
		}
	}
	return out, len(page.Records), nil
}

// claim claims one message, or returns nil when it is not to be sent now.
func (b *Book) claim(tx *change.Tx, rec kv.Record[*storev1.Delivery], word string) (*Claimed, error) {
	now, d := clone(rec)
	parcel, found, err := b.parcels.Find(tx, kv.Key{kv.String(d.GetName())})
	if err != nil {
		return nil, err
	}
	if !found || !tx.Time.Before(d.GetExpireTime().AsTime()) {
		d.Failure = identityv1.Delivery_FAILURE_EXPIRED
		return nil, b.end(tx, now, failed)
	}
	suppressed, err := b.suppressed(tx, now)
	if err != nil {
		return nil, err
	}
	if suppressed {
		return nil, b.end(tx, now, stateSuppressed)
	}
	if d.GetAttemptCount() == 0 {
		// What was tried before was counted then.
		ready, err := b.pour(tx, b.bucketsOf(organizationOf(now), now.GetTargetHash(), d.GetKind()), tx.Time)
		if err != nil {
			return nil, err
		}
		if ready.After(tx.Time) {
			return nil, b.postpone(tx, now, ready)
		}
	}
	o, _, err := b.cfg.Organizations.Find(tx, organizationOf(now))
	if err != nil {
		return nil, err
	}
	now.Claim = word
	d.AttemptCount++
	d.NextAttemptTime = timestamppb.New(tx.Time.Add(Lease))
	if _, err := b.deliveries.Update(tx, now, ""); err != nil {
		return nil, err
	}
	return &Claimed{
		Delivery: d, Target: parcel.Value.GetTarget(), Values: parcel.Value.GetValues(), Organization: o.GetDisplayName(), claim: word,
	}, nil
}

// postpone lets a delivery wait until a time, or until it is of no use any more.
func (b *Book) postpone(tx *change.Tx, d *storev1.Delivery, until time.Time) error {
	if expire := d.GetDelivery().GetExpireTime().AsTime(); expire.Before(until) {
		until = expire
	}
	d.GetDelivery().NextAttemptTime = timestamppb.New(until)
	_, err := b.deliveries.Update(tx, d, "")
	return err
}

// end moves a delivery, which it takes over, to a state in which nothing is sent
// any more. What it says is gone then, unless it can be retried.
func (b *Book) end(tx *change.Tx, d *storev1.Delivery, state identityv1.Delivery_State) error {
	now := d.GetDelivery()
	now.State, now.NextAttemptTime = state, nil
	if state != failed || now.GetFailure() == identityv1.Delivery_FAILURE_EXPIRED {
		if err := b.wipe(tx, now.GetName()); err != nil {
			return err
		}
	}
	if _, err := b.deliveries.Update(tx, d, ""); err != nil {
		return err
	}
	record(tx, now, true)
	return nil
}

// wipe removes what a message says and where it goes.
func (b *Book) wipe(tx kv.Tx, name string) error {
	_, err := b.parcels.Remove(tx, kv.Key{kv.String(name)})
	return err
}

// clone returns a copy of a record's value to change, and the delivery in it.
func clone(rec kv.Record[*storev1.Delivery]) (*storev1.Delivery, *identityv1.Delivery) {
	now := proto.CloneOf(rec.Value)
	return now, now.GetDelivery()
}
