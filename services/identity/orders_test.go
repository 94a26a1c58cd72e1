package identity_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

func (p *process) orders() identityv1.OrderServiceClient {
	return identityv1.NewOrderServiceClient(p.conn)
}

// pounds are hundredths of a pound.
func pounds(pence int64) *money.Money {
	return &money.Money{CurrencyCode: "GBP", Units: pence / 100, Nanos: int32(pence % 100 * 10_000_000)}
}

var orderDay = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// bought is an order of some of one thing at 2.55.
func bought(number string, day int, quantity int64) *identityv1.Order {
	return &identityv1.Order{
		Source: "shop", ExternalId: number, Currency: "GBP", OrderTime: timestamppb.New(orderDay.AddDate(0, 0, day)),
		Lines: []*identityv1.OrderLine{{Product: "85123A", Description: "lantern", Quantity: quantity, UnitPrice: pounds(255)}},
	}
}

func (p *process) order(ctx context.Context, customer string, o *identityv1.Order) *identityv1.Order {
	p.t.Helper()
	made, err := p.orders().CreateOrder(ctx, &identityv1.CreateOrderRequest{Parent: customer, Order: o})
	if err != nil {
		p.t.Fatal(err)
	}
	return made
}

func TestOrders_areWrittenDownOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c, other := p.add(ctx, "c1", &identityv1.Customer{}).GetName(), p.add(ctx, "c2", &identityv1.Customer{}).GetName()
		asked := bought("1", 0, 4)
		asked.Lines = append(asked.Lines, &identityv1.OrderLine{Product: "M", Quantity: -1, UnitPrice: pounds(20)})
		made := p.order(ctx, c, asked)
		want := proto.CloneOf(asked)
		want.Name, want.Type, want.LineCount, want.Etag = made.GetName(), identityv1.Order_TYPE_PURCHASE, 2, made.GetEtag()
		want.CreateTime, want.UpdateTime = made.GetCreateTime(), made.GetUpdateTime()
		want.Lines[0].Amount, want.Lines[1].Amount = pounds(1020), pounds(-20)
		want.Totals = &identityv1.PurchaseTotals{Gross: pounds(1020), Returned: pounds(20), Net: pounds(1000)}
		if diff := cmp.Diff(want, made, protocmp.Transform()); diff != "" {
			t.Errorf("made (-want +got):\n%s", diff)
		}
		got, err := p.orders().GetOrder(ctx, &identityv1.GetOrderRequest{Name: made.GetName()})
		if diff := cmp.Diff(made, got, protocmp.Transform()); err != nil || diff != "" {
			t.Errorf("get: %v\n%s", err, diff)
		}
		// The same again, in any order of its lines, is the same order.
		again := proto.CloneOf(asked)
		again.Lines[0], again.Lines[1] = again.Lines[1], again.Lines[0]
		if got := p.order(ctx, c, again); got.GetName() != made.GetName() || got.GetEtag() != made.GetEtag() {
			t.Errorf("the same again is %v", got)
		}
		for name, change := range map[string]func(*identityv1.CreateOrderRequest){
			"another quantity": func(r *identityv1.CreateOrderRequest) { r.Order.Lines[0].Quantity++ },
			"another time":     func(r *identityv1.CreateOrderRequest) { r.Order.OrderTime.Seconds++ },
			"another customer": func(r *identityv1.CreateOrderRequest) { r.Parent = other },
			"a line twice":     func(r *identityv1.CreateOrderRequest) { r.Order.Lines = append(r.Order.Lines, r.Order.Lines[0]) },
		} {
			r := &identityv1.CreateOrderRequest{Parent: c, Order: proto.CloneOf(asked)}
			change(r)
			if err := second(p.orders().CreateOrder(ctx, r)); errs.ReasonOf(err) != "ORDER_EXISTS" {
				t.Errorf("%s: %v", name, err)
			}
		}
		if got := about(p.events(ctx, "guildhall.identity.order."), made.GetName()); strings.Join(got, " ") != "order.created" {
			t.Errorf("events are %v", got)
		}
	})
}

func TestOrders_requestIDs(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	c := p.add(ctx, "c1", &identityv1.Customer{}).GetName()
	r := &identityv1.CreateOrderRequest{Parent: c, Order: bought("1", 0, 1), RequestId: "r1"}
	made, err := p.orders().CreateOrder(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.orders().DeleteOrder(ctx, &identityv1.DeleteOrderRequest{Name: made.GetName()}); err != nil {
		t.Fatal(err)
	}
	if again, err := p.orders().CreateOrder(ctx, r); err != nil || again.GetName() != made.GetName() {
		t.Errorf("the retry answers %v, %v", again, err)
	}
	r.Order.Lines[0].Quantity = 2
	wantError(t, second(p.orders().CreateOrder(ctx, r)), errs.Invalid, "REQUEST_ID_REUSED")
}

// long: one table of bad input.
func TestOrders_badInput(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	c := p.add(ctx, "c1", &identityv1.Customer{}).GetName()
	first := p.order(ctx, c, bought("first", 0, 2))
	back := p.order(ctx, c, bought("back", 1, -1))
	elsewhere := p.order(ctx, p.add(ctx, "c2", &identityv1.Customer{}).GetName(), bought("elsewhere", 0, 1))
	for reason, changes := range map[string][]func(*identityv1.Order){
		"CURRENCY_INVALID":  {func(o *identityv1.Order) { o.Currency = "ABC" }},
		"CURRENCY_MISMATCH": {func(o *identityv1.Order) { o.Currency = "EUR" }},
		"MONEY_INVALID": {
			func(o *identityv1.Order) { o.Lines[0].UnitPrice.Nanos = 1 },
			func(o *identityv1.Order) { o.Lines[0].UnitPrice = pounds(-1) },
		},
		"AMOUNT_OVERFLOW": {
			func(o *identityv1.Order) { o.Lines[0].UnitPrice.Units = 1 << 60 },
			func(o *identityv1.Order) { o.Lines[0].UnitPrice.Units, o.Lines[0].Quantity = 1_000_000, 1_000_000_000 },
			// Alone it fits, but not with another.
			func(o *identityv1.Order) {
				o.Lines[0].UnitPrice.Units, o.Lines[0].Quantity = 9_000, 1_000_000_000
				o.Lines = append(o.Lines, o.Lines[0])
			},
		},
		"ORDER_TIME_INVALID": {
			func(o *identityv1.Order) { o.OrderTime = timestamppb.New(p.clock.now().AddDate(0, 0, 2)) },
			func(o *identityv1.Order) { o.OrderTime = &timestamppb.Timestamp{Seconds: -3e9} },
		},
		"RETURNED_ORDER_INVALID": {
			func(o *identityv1.Order) { o.ReturnedOrder = first.GetName() },
			func(o *identityv1.Order) { o.ReturnedOrder, o.Lines[0].Quantity = back.GetName(), -1 },
			func(o *identityv1.Order) { o.ReturnedOrder, o.Lines[0].Quantity = elsewhere.GetName(), -1 },
			func(o *identityv1.Order) { o.ReturnedOrder, o.Lines[0].Quantity = "nonsense", -1 },
			func(o *identityv1.Order) { o.ReturnedOrder, o.Lines[0].Quantity = first.GetName()+"x", -1 },
		},
		"INVALID_ARGUMENT": {
			func(o *identityv1.Order) { o.Lines = nil },
			func(o *identityv1.Order) { o.Lines[0].Quantity = 0 },
			func(o *identityv1.Order) { o.Source = "The Shop" },
			func(o *identityv1.Order) { o.ExternalId = "" },
			func(o *identityv1.Order) { o.Lines[0].Product = strings.Repeat("x", 65) },
			func(o *identityv1.Order) {
				for range 5000 {
					o.Lines = append(o.Lines, o.Lines[0])
				}
			},
		},
	} {
		for i, change := range changes {
			o := bought(fmt.Sprint(reason, i), 0, 1)
			change(o)
			err := second(p.orders().CreateOrder(ctx, &identityv1.CreateOrderRequest{Parent: c, Order: o}))
			if !errs.Is(err, errs.Invalid) || reason != "INVALID_ARGUMENT" && errs.ReasonOf(err) != reason || len(errs.From(err).Violations) == 0 {
				t.Errorf("%s %d: %v", reason, i, err)
			}
		}
	}
	o := bought("good", 2, -1)
	o.ReturnedOrder = first.GetName()
	if got := p.order(ctx, c, o); got.GetReturnedOrder() != first.GetName() || got.GetType() != identityv1.Order_TYPE_RETURN {
		t.Errorf("a return is %v", got)
	}
}

func TestListOrders_newestFirst(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c := p.add(ctx, "c1", &identityv1.Customer{}).GetName()
		for i, day := range []int{3, 1, 2, 1, 5} {
			o := bought(fmt.Sprintf("%d%d", day, i), day, int64(1-2*(i%2)))
			if i == 4 {
				o.Source = "fair"
			}
			p.order(ctx, c, o)
		}
		list := func(filter string) (out []string) {
			for r := (&identityv1.ListOrdersRequest{Parent: c, PageSize: 2, Filter: filter}); ; {
				page, err := p.orders().ListOrders(ctx, r)
				if err != nil {
					t.Fatal(err)
				}
				for _, o := range page.GetOrders() {
					out = append(out, o.GetExternalId())
					if len(o.GetLines()) != 0 || o.GetLineCount() != 1 || o.GetTotals() == nil {
						t.Errorf("listed %v", o)
					}
				}
				if r.PageToken = page.GetNextPageToken(); r.PageToken == "" {
					return out
				}
			}
		}
		for filter, want := range map[string]string{
			"":                                      "54 30 22 13 11",
			`type = "RETURN"`:                       "13 11",
			`type = "PURCHASE" AND source = "shop"`: "30 22",
			`order_time >= "2026-03-03T00:00:00Z" AND order_time < "2026-03-05T00:00:00Z"`: "30 22",
			`source = "none"`: "",
		} {
			if got := strings.Join(list(filter), " "); got != want {
				t.Errorf("%s: %s, want %s", filter, got, want)
			}
		}
		wantError(t, second(p.orders().ListOrders(ctx, &identityv1.ListOrdersRequest{Parent: c, Filter: `product = "x"`})), errs.Invalid, "FILTER_INVALID")
		wantError(t, second(p.orders().ListOrders(ctx, &identityv1.ListOrdersRequest{Parent: c + "x"})), errs.NotFound, "CUSTOMER_NOT_FOUND")
	})
}

func TestPurchaseSummary_followsOrders(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c := p.add(ctx, "c1", &identityv1.Customer{}).GetName()
		want := func(purchases, returns int64, first, last int, gross, returned int64) {
			t.Helper()
			got, err := p.orders().GetPurchaseSummary(ctx, &identityv1.GetPurchaseSummaryRequest{Name: c + "/purchaseSummary"})
			if err != nil {
				t.Fatal(err)
			}
			s := &identityv1.PurchaseSummary{Name: c + "/purchaseSummary", PurchaseCount: purchases, ReturnCount: returns}
			if purchases > 0 {
				s.FirstOrderTime, s.LastOrderTime = timestamppb.New(orderDay.AddDate(0, 0, first)), timestamppb.New(orderDay.AddDate(0, 0, last))
			}
			if gross+returned > 0 {
				s.Totals = []*identityv1.PurchaseTotals{{Gross: pounds(gross), Returned: pounds(returned), Net: pounds(gross - returned)}}
			}
			if diff := cmp.Diff(s, got, protocmp.Transform()); diff != "" {
				t.Errorf("the summary (-want +got):\n%s", diff)
			}
		}
		want(0, 0, 0, 0, 0, 0)
		p.order(ctx, c, bought("1", 4, 2))
		late := p.order(ctx, c, bought("2", 9, 1))
		p.order(ctx, c, bought("3", 10, -1))
		want(2, 1, 4, 9, 765, 255)
		wantError(t, second(p.orders().DeleteOrder(ctx, &identityv1.DeleteOrderRequest{Name: late.GetName(), Etag: "AAAAAAAAAAAAAAAA"})), errs.Conflict, "ETAG_MISMATCH")
		if _, err := p.orders().DeleteOrder(ctx, &identityv1.DeleteOrderRequest{Name: late.GetName(), Etag: late.GetEtag()}); err != nil {
			t.Fatal(err)
		}
		want(1, 1, 4, 4, 510, 255)
		wantError(t, second(p.orders().DeleteOrder(ctx, &identityv1.DeleteOrderRequest{Name: late.GetName()})), errs.NotFound, "ORDER_NOT_FOUND")
		wantError(t, second(p.orders().GetOrder(ctx, &identityv1.GetOrderRequest{Name: late.GetName()})), errs.NotFound, "ORDER_NOT_FOUND")
	})
}

func TestOrders_ofOtherTenantsAndWithoutPermission(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	c := p.add(ctx, "c1", &identityv1.Customer{}).GetName()
	name := p.order(ctx, c, bought("1", 0, 1)).GetName()
	chief, _ := other(t, p, ctx)
	calls := func(ctx context.Context) map[string]error {
		return map[string]error{
			"create":  second(p.orders().CreateOrder(ctx, &identityv1.CreateOrderRequest{Parent: c, Order: bought("2", 0, 1)})),
			"get":     second(p.orders().GetOrder(ctx, &identityv1.GetOrderRequest{Name: name})),
			"list":    second(p.orders().ListOrders(ctx, &identityv1.ListOrdersRequest{Parent: c})),
			"delete":  second(p.orders().DeleteOrder(ctx, &identityv1.DeleteOrderRequest{Name: name})),
			"summary": second(p.orders().GetPurchaseSummary(ctx, &identityv1.GetPurchaseSummaryRequest{Name: c + "/purchaseSummary"})),
			"import":  importOrders(ctx, p, &identityv1.ImportOrdersOptions{Parent: org, Source: "shop"}, nil, nil),
		}
	}
	for call, err := range calls(chief) {
		if !errs.Is(err, errs.NotFound) {
			t.Errorf("%s from elsewhere: %v, want not found", call, err)
		}
	}
	for _, permission := range []string{"orders.create", "orders.get", "orders.list", "orders.delete", "purchaseSummaries.get", "orders.import"} {
		p.checker.forbid("identity." + permission)
	}
	for call, err := range calls(ctx) {
		if errs.ReasonOf(err) != "PERMISSION_DENIED" {
			t.Errorf("%s without permission: %v", call, err)
		}
	}
}
