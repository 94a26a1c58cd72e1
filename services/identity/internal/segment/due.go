package segment

import (
	"time"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
)

// setDue keeps the moment at which a rule may change its mind about a customer.
func (b *Book) setDue(tx kv.Tx, customer string, v verdict) (err error) {
	switch {
	case proto.Equal(v.due, v.noted):
	case v.due == nil:
		_, err = b.dues.Delete(tx, dueKey(v.segment.GetName(), customer), "")
	default:
		_, err = b.dues.Put(tx, &storev1.SegmentDue{Segment: v.segment.GetName(), Customer: customer, DueTime: v.due}, "")
	}
	return err
}

// Due returns up to limit customers whose memberships a moment that has come may
// have changed. One may be named several times.
func (b *Book) Due(r kv.Reader, now time.Time, limit int) (customers []string, err error) {
	for rec, err := range b.dues.Scan(r, kv.Query{Index: byTime, Until: kv.Key{kv.Time(now.Add(1))}, Limit: limit}) {
		if err != nil {
			return nil, err
		}
		customers = append(customers, rec.Value.GetCustomer())
	}
	return customers, nil
}

// Come makes the memberships of a customer what they are now that a moment has
// come; a is nil for a customer that is gone. Nobody is asked for a permit: who
// wrote the rule was.
func (b *Book) Come(tx *change.Tx, customer string, a *storev1.Account) error {
	tx.Unchanged() // holds unless the customer moves
	err := deleteAll(tx, b.dues, kv.Query{Index: byCustomer, Prefix: kv.Key{kv.String(customer)}})
	if err != nil || a == nil {
		return err
	}
	return b.reassess(tx, a, a, byClock, nil) // it also keeps the moments to come
}
