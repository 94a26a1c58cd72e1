// Package order keeps what customers bought and what they sent back, and what that
// comes to.
//
// An order is a fact of another system, written down once: it has no states here.
// It can only grow, when its system tells of it again with lines that it did not
// tell of before, and be removed by somebody who says that it never was. What is
// given back is an order of its own, as it is in the systems that orders come from.
//
// How often, how recently and for how much a customer bought is kept with each
// order, in its transaction, so that it is read without reading thousands of orders;
// it is what adding all of them up again would give.
//
// The package does not know customers: who calls it has seen that they are there,
// and calls Forget when they are not any more.
package order

import (
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// Pattern is the form of an order's name, SummaryPattern of a summary's.
const (
	Pattern        = resource.Pattern("organizations/{organization}/customers/{customer}/orders/{order}")
	SummaryPattern = resource.Pattern("organizations/{organization}/customers/{customer}/purchaseSummary")
)

// Types of events about orders. That of a deletion carries nothing.
const (
	CreatedType = "guildhall.identity.order.created.v1"
	UpdatedType = "guildhall.identity.order.updated.v1"
	DeletedType = "guildhall.identity.order.deleted.v1"
)

// MaxLines is the most lines of an order: one record of about a megabyte.
const MaxLines = 5000

// TooLong is what to say of an order with more lines.
func TooLong() string { return fmt.Sprintf("an order has at most %d lines", MaxLines) }

// Book keeps the orders. It is safe for concurrent use.
type Book struct{ tables }

// New returns a book. The hasher hides the external ids of orders in indexes.
func New(hasher kv.Hasher) *Book { return &Book{newTables(hasher)} }

// Tables returns the raw tables of a book.
func (b *Book) Tables() []string { return slices.Concat(b.orders.Tables(), b.summaries.Tables()) }

// Get returns an order with its lines. The error is NotFound (ORDER_NOT_FOUND).
func (b *Book) Get(r kv.Reader, name string) (*identityv1.Order, error) {
	rec, found, err := b.orders.Find(r, key(name))
	if err == nil && !found {
		err = errs.NotFoundName(notFound, name)
	}
	if err != nil {
		return nil, err
	}
	return view(rec, true), nil
}

// Create writes down an order of a customer, who exists, and records it. An order
// that is there with the same content is returned, not made, and nothing changes. Errors are
// Exists (ORDER_EXISTS) for another content, and Invalid: CURRENCY_INVALID,
// CURRENCY_MISMATCH, MONEY_INVALID, AMOUNT_OVERFLOW, ORDER_TIME_INVALID and
// RETURNED_ORDER_INVALID.
func (b *Book) Create(tx *change.Tx, customer string, asked *identityv1.Order) (o *identityv1.Order, made bool, err error) {
	now, err := stored(asked)
	if err != nil {
		return nil, false, err
	}
	if err := CheckTime("order.order_time", now.GetOrderTime().AsTime(), tx.Time); err != nil {
		return nil, false, err
	}
	now.Name = customer + "/orders/" + tx.NewID()
	old, found, err := b.find(tx, now)
	switch {
	case err != nil:
		return nil, false, err
	case found && same(old.Value, now):
		tx.Unchanged()
		return view(old, true), false, nil
	case found:
		return nil, false, taken()
	}
	if err := b.checkReturned(tx, now); err != nil {
		return nil, false, err
	}
	rec, err := b.write(tx, kv.Record[*storev1.Order]{}, now)
	if err != nil {
		return nil, false, err
	}
	tx.Record(change.Change{Resource: now.GetName(), Type: CreatedType, ChangedFields: change.ChangedFields(nil, now), Data: told(now)})
	return view(rec, true), true, nil
}

// stored returns an order as it is kept. Errors are those of its money.
func stored(asked *identityv1.Order) (*storev1.Order, error) {
	if err := CheckCurrency("order.currency", asked.GetCurrency()); err != nil {
		return nil, err
	}
	out := &storev1.Order{
		Source: asked.GetSource(), ExternalId: asked.GetExternalId(), OrderTime: asked.GetOrderTime(),
		Currency: asked.GetCurrency(), ReturnedOrder: asked.GetReturnedOrder(),
	}
	for _, l := range asked.GetLines() {
		price, err := fromMoney("order.lines.unit_price", l.GetUnitPrice(), asked.GetCurrency())
		if err != nil {
			return nil, err
		}
		if price < 0 {
			return nil, errs.InvalidField("order.lines.unit_price", "MONEY_INVALID", "a price is not negative; what is given back has a negative quantity")
		}
		out.Lines = append(out.Lines, &storev1.OrderLine{
			Product: l.GetProduct(), Description: l.GetDescription(), Quantity: l.GetQuantity(), UnitPrice: int64(price),
		})
	}
	return out, nil
}

// CheckTime refuses a time that no order has: before 1900, or later than a day from
// now. The error is Invalid (ORDER_TIME_INVALID) on the field.
func CheckTime(field string, at, now time.Time) error {
	if at.Year() < 1900 || at.After(now.AddDate(0, 0, 1)) {
		return errs.InvalidField(field, "ORDER_TIME_INVALID", "send when the order was made, after 1900 and not after tomorrow")
	}
	return nil
}

// checkReturned refuses an order to return that is none.
func (b *Book) checkReturned(r kv.Reader, o *storev1.Order) error {
	name := o.GetReturnedOrder()
	if name == "" {
		return nil
	}
	const text = "name a purchase of the same customer, and only in an order that gives back all its lines"
	invalid := errs.InvalidField("order.returned_order", "RETURNED_ORDER_INVALID", text)
	if typeOf(o) != returned || !Pattern.Matches(name) || resource.Parent(name) != customerOf(o) {
		return invalid
	}
	rec, found, err := b.orders.Find(r, key(name))
	if err == nil && (!found || typeOf(rec.Value) != purchase) {
		return invalid
	}
	return err
}

// find returns the order with the source and external id of o.
func (b *Book) find(r kv.Reader, o *storev1.Order) (kv.Record[*storev1.Order], bool, error) {
	return b.orders.FindBy(r, byExternalID, externalKey(o))
}

// same reports whether two orders of one source and external id say the same.
func same(a, b *storev1.Order) bool {
	return customerOf(a) == customerOf(b) && a.GetCurrency() == b.GetCurrency() && a.GetReturnedOrder() == b.GetReturnedOrder() &&
		proto.Equal(a.GetOrderTime(), b.GetOrderTime()) && len(a.GetLines()) == len(b.GetLines()) &&
		!slices.Contains(missing(a.GetLines(), b.GetLines()), true)
}

// write stores now in place of old, which may be none, with its part of the
// summary. The error is Invalid (AMOUNT_OVERFLOW), and then nothing was written.
func (b *Book) write(tx *change.Tx, old kv.Record[*storev1.Order], now *storev1.Order) (kv.Record[*storev1.Order], error) {
	sum, err := b.summed(tx, old.Value, now)
	if err != nil {
		return old, err
	}
	now.UpdateTime = timestamppb.New(tx.Time)
	if !old.Found() {
		now.CreateTime = now.UpdateTime
	}
	rec, err := b.orders.Put(tx, now, "")
	if err != nil {
		return rec, err
	}
	return rec, b.keep(tx, sum)
}

// Delete removes an order, and records it. Errors are NotFound (ORDER_NOT_FOUND)
// and Conflict (ETAG_MISMATCH).
func (b *Book) Delete(tx *change.Tx, name, etag string) (*identityv1.Order, error) {
	rec, err := b.orders.Delete(tx, key(name), etag)
	if err != nil {
		return nil, err
	}
	sum, err := b.summed(tx, rec.Value, nil)
	if err != nil {
		return nil, err
	}
	if err := b.keep(tx, sum); err != nil {
		return nil, err
	}
	tx.Record(change.Change{Resource: name, Type: DeletedType})
	return view(rec, true), nil
}

// forgetChunk is how many orders one transaction removes.
const forgetChunk = 200

// Forget removes orders of a customer who is gone for good, and reports whether
// there are more, for another transaction.
func (b *Book) Forget(tx kv.Tx, customer string) (more bool, err error) {
	more, err = b.orders.RemoveAll(tx, kv.Query{Prefix: kv.Key{kv.String(customer)}, Limit: forgetChunk})
	if more || err != nil {
		return more, err
	}
	_, err = b.summaries.Remove(tx, kv.Key{kv.String(customer)})
	return false, err
}

func told(o *storev1.Order) *identityv1.OrderChanged {
	return &identityv1.OrderChanged{OrderTime: o.GetOrderTime()}
}

func taken() error {
	return errs.New(errs.Exists, "ORDER_EXISTS", "there is an order with this source and external_id, and other content; delete it first to correct it",
		errs.Field("order.external_id", "ORDER_EXISTS", "there is an order with this source and external_id, and other content"))
}
