package order

import (
	"time"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
)

// Imported is what an import did with an order.
type Imported struct {
	// Name is the order's; empty when there is none.
	Name string
	// Created says that it was not there before, Changed that it is not as it was.
	Created, Changed bool
	// Added says of each line whether it is new in the order.
	Added []bool
	// Bought is when it was made, if it has changed and is a purchase now.
	Bought time.Time
}

// Import writes down an order of a customer, who exists, or adds those lines to the
// one with its source and external id that it does not have yet. Of two times the
// earlier one stays. It records events only: the audit entry is that of the batch,
// which is the caller's to record.
//
// A refusal of this order is an errs error of kind Exists (ORDER_MISMATCH), Exhausted
// (ORDER_LINE_LIMIT) or Invalid (AMOUNT_OVERFLOW); then nothing was written, and the
// transaction may go on with the next. Any other error ends it.
func (b *Book) Import(tx *change.Tx, customer string, o *storev1.Order) (Imported, error) {
	now := proto.CloneOf(o)
	now.Name = customer + "/orders/-" // for its organisation; see find
	old, found, err := b.find(tx, now)
	if err != nil {
		return Imported{}, err
	}
	if !found {
		now.Name = customer + "/orders/" + tx.NewID()
		return b.put(tx, old, now, CreatedType, Imported{Name: now.GetName(), Created: true, Added: missing(nil, now.GetLines())})
	}
	done := Imported{Name: old.Value.GetName(), Added: missing(old.Value.GetLines(), o.GetLines())}
	if customerOf(old.Value) != customer || old.Value.GetCurrency() != o.GetCurrency() {
		return Imported{}, Mismatch()
	}
	var added []*storev1.OrderLine
	for i, l := range o.GetLines() {
		if done.Added[i] {
			added = append(added, l)
		}
	}
	now = with(old.Value, added)
	if o.GetOrderTime().AsTime().Before(now.GetOrderTime().AsTime()) {
		now.OrderTime = o.GetOrderTime()
	}
	if proto.Equal(old.Value, now) {
		return done, nil
	}
	return b.put(tx, old, now, UpdatedType, done)
}

func (b *Book) put(tx *change.Tx, old kv.Record[*storev1.Order], now *storev1.Order, event string, done Imported) (Imported, error) {
	if len(now.GetLines()) > MaxLines {
		return Imported{}, errs.New(errs.Exhausted, "ORDER_LINE_LIMIT", TooLong())
	}
	changed := change.ChangedFields(old.Value, now)
	if _, err := b.write(tx, old, now); err != nil {
		return Imported{}, err
	}
	tx.Record(change.Change{Resource: now.GetName(), Type: event, ChangedFields: changed, Covered: true, Data: told(now)})
	done.Changed = true
	if typeOf(now) == purchase {
		done.Bought = now.GetOrderTime().AsTime()
	}
	return done, nil
}

// Mismatch refuses a line that says something of its order that is not so.
func Mismatch() error {
	return errs.New(errs.Exists, "ORDER_MISMATCH", "the order is another customer's, or in another currency; check its number")
}
