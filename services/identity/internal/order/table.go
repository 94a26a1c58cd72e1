package order

import (
	"strings"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

const notFound = "ORDER_NOT_FOUND"

// The types of an order, for short.
const (
	purchase = identityv1.Order_TYPE_PURCHASE
	returned = identityv1.Order_TYPE_RETURN
)

// The indexes of orders. What is personal in them is hashed.
const (
	byExternalID = "external_id" // unique in the organisation, with the source
	byTime       = "time"
	byType       = "type" // and time
)

// tables are what a book keeps:
//
//	orders              (customer, name) -> Order
//	purchase_summaries  (customer)       -> PurchaseSummary
type tables struct {
	orders    *kv.Table[*storev1.Order]
	summaries *kv.Table[*storev1.PurchaseSummary]
}

func newTables(h kv.Hasher) tables {
	return tables{
		orders: kv.NewTable(kv.TableConfig[*storev1.Order]{
			Name: "orders", NotFound: notFound, Exists: "ORDER_EXISTS", Hasher: h,
			Key: func(o *storev1.Order) kv.Key { return key(o.GetName()) },
			Indexes: []kv.Index[*storev1.Order]{
				{Name: byExternalID, Unique: true, Keys: func(o *storev1.Order) []kv.Key { return []kv.Key{externalKey(o)} }},
				{Name: byTime, Keys: func(o *storev1.Order) []kv.Key {
					return []kv.Key{{kv.String(customerOf(o)), kv.Time(o.GetOrderTime().AsTime())}}
				}},
				{Name: byType, Keys: func(o *storev1.Order) []kv.Key {
					return []kv.Key{{kv.String(customerOf(o)), kv.String(typeName(typeOf(o))), kv.Time(o.GetOrderTime().AsTime())}}
				}},
			},
		}),
		summaries: kv.NewTable(kv.TableConfig[*storev1.PurchaseSummary]{
			Name: "purchase_summaries",
			Key:  func(s *storev1.PurchaseSummary) kv.Key { return kv.Key{kv.String(s.GetCustomer())} },
		}),
	}
}

func key(name string) kv.Key { return kv.Key{kv.String(resource.Parent(name)), kv.String(name)} }

func customerOf(o *storev1.Order) string { return resource.Parent(o.GetName()) }

func externalKey(o *storev1.Order) kv.Key {
	return kv.Key{kv.String(resource.Parent(customerOf(o))), kv.String(o.GetSource()), kv.Personal(o.GetExternalId())}
}

// typeOf says which way the goods go: back, when nothing goes to the customer.
func typeOf(o *storev1.Order) identityv1.Order_Type {
	for _, l := range o.GetLines() {
		if l.GetQuantity() > 0 {
			return purchase
		}
	}
	return returned
}

// typeName returns a type as filters spell it: "RETURN".
func typeName(t identityv1.Order_Type) string { return strings.TrimPrefix(t.String(), "TYPE_") }

// view returns the API's view of an order, with or without its lines.
func view(rec kv.Record[*storev1.Order], lines bool) *identityv1.Order {
	o := rec.Value
	sum, _ := sumOf(o) // it was checked when it was written
	out := &identityv1.Order{
		Name: o.GetName(), Source: o.GetSource(), ExternalId: o.GetExternalId(), OrderTime: o.GetOrderTime(), Currency: o.GetCurrency(),
		Type: typeOf(o), ReturnedOrder: o.GetReturnedOrder(), LineCount: int32(len(o.GetLines())), Totals: totals(o.GetCurrency(), sum),
		CreateTime: o.GetCreateTime(), UpdateTime: o.GetUpdateTime(), Etag: rec.Etag,
	}
	if !lines {
		return out
	}
	for _, l := range o.GetLines() {
		amount, _ := times(l.GetQuantity(), Micros(l.GetUnitPrice()))
		out.Lines = append(out.Lines, &identityv1.OrderLine{
			Product: l.GetProduct(), Description: l.GetDescription(), Quantity: l.GetQuantity(),
			UnitPrice: toMoney(o.GetCurrency(), Micros(l.GetUnitPrice())), Amount: toMoney(o.GetCurrency(), amount),
		})
	}
	return out
}

// line is a line as a value, to be compared with others.
type line struct {
	product, description string
	quantity, unitPrice  int64
}

func lineOf(l *storev1.OrderLine) line {
	return line{l.GetProduct(), l.GetDescription(), l.GetQuantity(), l.GetUnitPrice()}
}

// missing says of each of some lines whether it is missing among those there are.
// Each of those stands for one: of two equal lines, one may be there.
func missing(there, lines []*storev1.OrderLine) []bool {
	left := make(map[line]int, len(there))
	for _, l := range there {
		left[lineOf(l)]++
	}
	out := make([]bool, len(lines))
	for i, l := range lines {
		k := lineOf(l)
		out[i] = left[k] == 0
		left[k] = max(left[k]-1, 0)
	}
	return out
}

// with returns a copy of an order that has some more lines.
func with(o *storev1.Order, lines []*storev1.OrderLine) *storev1.Order {
	out := proto.CloneOf(o)
	out.Lines = append(out.Lines, lines...)
	return out
}
