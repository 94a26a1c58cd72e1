package order

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	"guildhall.dev/services/identity/internal/shift"
)

// Kind is how orders become another customer's, with their part of what these come to.
func (b *Book) Kind() shift.Kind {
	return shift.Rows[*storev1.Order]{
		Name: "orders", Table: b.orders,
		Of:     func(customer string) kv.Query { return kv.Query{Prefix: kv.Key{kv.String(customer)}} },
		Stub:   func(name string, _ *timestamppb.Timestamp) *storev1.Order { return &storev1.Order{Name: name} },
		Rename: func(o *storev1.Order, name string) { o.Name = name },
		Give:   func(o *storev1.Order, from, to string) { o.ReturnedOrder = shift.Below(o.GetReturnedOrder(), from, to) },
		Follow: func(tx *change.Tx, was, is *storev1.Order) error {
			for _, step := range [][2]*storev1.Order{{was, nil}, {nil, is}} {
				sum, err := b.summed(tx, step[0], step[1])
				if err != nil {
					return err
				}
				if err := b.keep(tx, sum); err != nil {
					return err
				}
			}
			return nil
		},
	}.Kind()
}

// CheckUnited refuses to add up what two customers bought when that is too much. The
// error is Invalid (AMOUNT_OVERFLOW).
func (b *Book) CheckUnited(r kv.Reader, one, other string) error {
	first, err := b.summary(r, one)
	if err != nil {
		return err
	}
	second, err := b.summary(r, other)
	if err != nil {
		return err
	}
	for code, t := range second.GetTotals() {
		_, gross := plus(Micros(first.GetTotals()[code].GetGross()), Micros(t.GetGross()))
		_, back := plus(Micros(first.GetTotals()[code].GetReturned()), Micros(t.GetReturned()))
		if !gross || !back {
			return overflow("duplicate")
		}
	}
	return nil
}
