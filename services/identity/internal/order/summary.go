package order

import (
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// Summary returns what a customer's orders come to; zero without any.
func (b *Book) Summary(r kv.Reader, customer string) (*identityv1.PurchaseSummary, error) {
	s, err := b.summary(r, customer)
	if err != nil {
		return nil, err
	}
	out := &identityv1.PurchaseSummary{
		Name: customer + "/purchaseSummary", FirstOrderTime: s.GetFirstOrderTime(), LastOrderTime: s.GetLastOrderTime(),
		PurchaseCount: s.GetPurchases(), ReturnCount: s.GetReturns(),
	}
	for _, code := range slices.Sorted(maps.Keys(s.GetTotals())) {
		out.Totals = append(out.Totals, totals(code, s.GetTotals()[code]))
	}
	return out, nil
}

func (b *Book) summary(r kv.Reader, customer string) (*storev1.PurchaseSummary, error) {
	rec, found, err := b.summaries.Find(r, kv.Key{kv.String(customer)})
	if err != nil || found {
		return rec.Value, err
	}
	return &storev1.PurchaseSummary{Customer: customer}, nil
}

// summed returns the summary of a customer when old has become now; either may be
// nil. It is for before the order is stored, but for its times, which keep reads
// behind it. The error is Invalid (AMOUNT_OVERFLOW).
func (b *Book) summed(r kv.Reader, old, now *storev1.Order) (*storev1.PurchaseSummary, error) {
	of := now
	if now == nil {
		of = old
	}
	before, err := b.summary(r, customerOf(of))
	if err != nil {
		return nil, err
	}
	s := proto.CloneOf(before)
	if s.Totals == nil {
		s.Totals = make(map[string]*storev1.PurchaseTotals)
	}
	if err := count(s, old, -1); err != nil {
		return nil, err
	}
	return s, count(s, now, +1)
}

// count adds an order to a summary, or takes it away.
func count(s *storev1.PurchaseSummary, o *storev1.Order, sign int64) error {
	if o == nil {
		return nil
	}
	if typeOf(o) == purchase {
		s.Purchases += sign
	} else {
		s.Returns += sign
	}
	sum, ok := sumOf(o)
	if !ok {
		return overflow("order.lines")
	}
	t := s.GetTotals()[o.GetCurrency()]
	if t == nil {
		t = &storev1.PurchaseTotals{}
		s.Totals[o.GetCurrency()] = t
	}
	gross, ok := plus(Micros(t.GetGross()), Micros(sign*sum.GetGross()))
	back, fits := plus(Micros(t.GetReturned()), Micros(sign*sum.GetReturned()))
	if !ok || !fits {
		return overflow("order.lines")
	}
	t.Gross, t.Returned = int64(gross), int64(back)
	return nil
}

// keep stores a summary when the order is stored that it counts. A currency stays,
// at zero, only while it has orders, which nothing but zeros tells: orders that cost
// nothing have no totals.
func (b *Book) keep(tx kv.Tx, s *storev1.PurchaseSummary) error {
	maps.DeleteFunc(s.Totals, func(_ string, t *storev1.PurchaseTotals) bool { return t.GetGross() == 0 && t.GetReturned() == 0 })
	var err error
	if s.FirstOrderTime, err = b.edge(tx, s.GetCustomer(), false); err != nil {
		return err
	}
	if s.LastOrderTime, err = b.edge(tx, s.GetCustomer(), true); err != nil {
		return err
	}
	_, err = b.summaries.Put(tx, s, "")
	return err
}

// edge returns when the first or the last purchase was; nil without one.
func (b *Book) edge(r kv.Reader, customer string, last bool) (*timestamppb.Timestamp, error) {
	page, err := b.orders.List(r, kv.Query{
		Index: byType, Prefix: kv.Key{kv.String(customer), kv.String(typeName(purchase))}, Reverse: last, Limit: 1,
	})
	if err != nil || len(page.Records) == 0 {
		return nil, err
	}
	return page.Records[0].Value.GetOrderTime(), nil
}

// sumOf adds an order's lines up; not ok when that is too much.
func sumOf(o *storev1.Order) (*storev1.PurchaseTotals, bool) {
	var gross, back Micros
	for _, l := range o.GetLines() {
		amount, ok := times(l.GetQuantity(), Micros(l.GetUnitPrice()))
		if !ok {
			return nil, false
		}
		if amount >= 0 {
			gross, ok = plus(gross, amount)
		} else {
			back, ok = plus(back, -amount)
		}
		if !ok {
			return nil, false
		}
	}
	return &storev1.PurchaseTotals{Gross: int64(gross), Returned: int64(back)}, true
}

func totals(code string, t *storev1.PurchaseTotals) *identityv1.PurchaseTotals {
	gross, back := Micros(t.GetGross()), Micros(t.GetReturned())
	return &identityv1.PurchaseTotals{Gross: toMoney(code, gross), Returned: toMoney(code, back), Net: toMoney(code, gross-back)}
}
