package order

import (
	"guildhall.dev/pkg/filter"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// maxExamined is how many orders are looked at in vain for a page, so that a filter
// that selects few of many ends too.
const maxExamined = 500

// The fields of a filter.
const (
	fieldType   = "type"
	fieldSource = "source"
	fieldTime   = "order_time"
)

// ParseFilter reads the filter of ListOrders. The error is Invalid
// (FILTER_INVALID).
func ParseFilter(text string) (filter.Terms, error) {
	return filter.Parse(text,
		filter.Field{Name: fieldType, Type: filter.Enum, Values: []string{typeName(purchase), typeName(returned)}},
		filter.Field{Name: fieldSource, Type: filter.String},
		filter.Field{Name: fieldTime, Type: filter.Time})
}

// List returns a page of a customer's orders, newest first and without lines, and
// where to go on behind it, nil at the end. A page may have less than the limit and
// more behind it.
func (b *Book) List(r kv.Reader, customer string, terms filter.Terms, after []byte, limit int) (out []*identityv1.Order, next []byte, err error) {
	page, err := b.orders.Select(r, query(customer, terms, after, limit), maxExamined, func(o *storev1.Order) bool { return selects(terms, o) })
	for _, rec := range page.Records {
		out = append(out, view(rec, false))
	}
	return out, page.Next, err
}

// query serves the type and the time by an index.
func query(customer string, terms filter.Terms, after []byte, limit int) kv.Query {
	q := kv.Query{Index: byTime, Prefix: kv.Key{kv.String(customer)}, Reverse: true, After: after, Limit: limit}
	if t, ok := terms.Lookup(fieldType); ok {
		q.Index, q.Prefix = byType, q.Prefix.With(kv.String(t.Text))
	}
	from, until := terms.TimeRange(fieldTime)
	if !from.IsZero() {
		q.From = kv.Key{kv.Time(from)}
	}
	if !until.IsZero() {
		q.Until = kv.Key{kv.Time(until)}
	}
	return q
}

// selects reports whether the terms are true of an order that no index serves.
func selects(terms filter.Terms, o *storev1.Order) bool {
	t, ok := terms.Lookup(fieldSource)
	return !ok || o.GetSource() == t.Text
}
