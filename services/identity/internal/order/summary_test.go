package order

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"guildhall.dev/pkg/audit"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/feed"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/page"
	"guildhall.dev/pkg/seal"
	"guildhall.dev/pkg/testkit"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
)

// ledger is a book with a journal.
type ledger struct {
	*Book
	t       testing.TB
	store   kv.Store
	journal *change.Journal
}

func newLedger(t *testing.T, engine string) *ledger {
	t.Helper()
	ring, err := seal.New()
	if err != nil {
		t.Fatal(err)
	}
	b := New(ring)
	store := testkit.Store(t, engine, "identity", append(kv.RawTables(b), change.Tables()...))
	pages, err := page.NewCodec(make([]byte, page.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	events, err := feed.Open(context.Background(), feed.Config{Service: "identity", Store: store})
	if err != nil {
		t.Fatal(err)
	}
	entries, err := audit.New(audit.Config{Store: store, Pages: pages})
	if err != nil {
		t.Fatal(err)
	}
	journal, err := change.NewJournal(change.Config{Service: "identity", Store: store, Feed: events, Audit: entries})
	if err != nil {
		t.Fatal(err)
	}
	return &ledger{Book: b, t: t, store: store, journal: journal}
}

func (l *ledger) do(fn func(*change.Tx) error) error {
	_, err := change.Do(context.Background(), l.journal, &emptypb.Empty{}, func(tx *change.Tx) (*emptypb.Empty, error) {
		tx.Unchanged()
		return &emptypb.Empty{}, fn(tx)
	})
	return err
}

// recount adds up what is there.
func (l *ledger) recount(r kv.Reader, customer string) (*storev1.PurchaseSummary, error) {
	s := &storev1.PurchaseSummary{Customer: customer, Totals: map[string]*storev1.PurchaseTotals{}}
	for rec, err := range l.orders.Scan(r, kv.Query{Prefix: kv.Key{kv.String(customer)}}) {
		if err != nil {
			return nil, err
		}
		o := rec.Value
		back := true
		for _, line := range o.GetLines() {
			t := s.Totals[o.GetCurrency()]
			if t == nil {
				t = &storev1.PurchaseTotals{}
				s.Totals[o.GetCurrency()] = t
			}
			if amount := line.GetQuantity() * line.GetUnitPrice(); line.GetQuantity() > 0 {
				t.Gross, back = t.Gross+amount, false
			} else {
				t.Returned -= amount
			}
		}
		if back {
			s.Returns++
			continue
		}
		s.Purchases++
		if at := o.GetOrderTime(); s.FirstOrderTime == nil || at.AsTime().Before(s.FirstOrderTime.AsTime()) {
			s.FirstOrderTime = at
		}
		if at := o.GetOrderTime(); s.LastOrderTime == nil || at.AsTime().After(s.LastOrderTime.AsTime()) {
			s.LastOrderTime = at
		}
	}
	for code, t := range s.Totals {
		if t.GetGross() == 0 && t.GetReturned() == 0 {
			delete(s.Totals, code)
		}
	}
	return s, nil
}

// TestSummary_isWhatARecountGives holds it after each of any changes.
func TestSummary_isWhatARecountGives(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			l := newLedger(t, engine)
			run := 0
			rapid.Check(t, func(t *rapid.T) {
				run++
				customer := fmt.Sprintf("organizations/acme/customers/c%d", run)
				for range rapid.IntRange(1, 6).Draw(t, "changes") {
					l.change(t, customer)
					l.compare(t, customer)
				}
			})
		})
	}
}

func (l *ledger) compare(t *rapid.T, customer string) {
	err := l.store.View(context.Background(), func(r kv.Reader) error {
		want, err := l.recount(r, customer)
		if err != nil {
			return err
		}
		got, err := l.summary(r, customer)
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
			t.Fatalf("the summary is not the recount (-want +got):\n%s", diff)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// change imports some lines of an order, new or not, or deletes one.
func (l *ledger) change(t *rapid.T, customer string) {
	base := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	o := &storev1.Order{
		Source: "shop", ExternalId: customer + rapid.SampledFrom([]string{"1", "2", "3"}).Draw(t, "order"),
		Currency: rapid.SampledFrom([]string{"GBP", "CNY"}).Draw(t, "currency"), OrderTime: timestamppb.New(base.AddDate(0, 0, rapid.IntRange(0, 9).Draw(t, "day"))),
	}
	for range rapid.IntRange(1, 3).Draw(t, "lines") {
		o.Lines = append(o.Lines, &storev1.OrderLine{
			Product: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "product"), UnitPrice: rapid.Int64Range(0, 2).Draw(t, "price") * 1_250_000,
			Quantity: rapid.SampledFrom([]int64{-2, -1, 1, 3}).Draw(t, "quantity"),
		})
	}
	remove := rapid.IntRange(0, 3).Draw(t, "remove") == 0
	err := l.do(func(tx *change.Tx) error {
		named := with(o, nil)
		named.Name = customer + "/orders/-"
		old, found, err := l.find(tx, named)
		if err != nil || remove && !found {
			return err
		}
		if remove {
			_, err = l.Delete(tx, old.Value.GetName(), "")
			return err
		}
		_, err = l.Import(tx, customer, o)
		return err
	})
	if err != nil && errs.ReasonOf(err) != "ORDER_MISMATCH" {
		t.Fatal(err)
	}
}

func TestImport_equalLinesAreCounted(t *testing.T) {
	l := newLedger(t, "bolt")
	const customer = "organizations/acme/customers/c1"
	a, b := &storev1.OrderLine{Product: "a", Quantity: 1}, &storev1.OrderLine{Product: "b", Quantity: 1}
	for _, step := range []struct {
		lines []*storev1.OrderLine
		added string
		have  int
	}{
		{[]*storev1.OrderLine{a}, "[true]", 1},
		{[]*storev1.OrderLine{a, a, b}, "[false true true]", 3},
		{[]*storev1.OrderLine{b, a, a}, "[false false false]", 3},
	} {
		var done Imported
		err := l.do(func(tx *change.Tx) (err error) {
			done, err = l.Import(tx, customer, &storev1.Order{
				Source: "shop", ExternalId: "1", Currency: "GBP", OrderTime: timestamppb.Now(), Lines: step.lines,
			})
			return err
		})
		if err != nil || fmt.Sprint(done.Added) != step.added {
			t.Fatalf("added %v, %v; want %s", done.Added, err, step.added)
		}
		_ = l.store.View(t.Context(), func(r kv.Reader) error {
			if o, err := l.Get(r, done.Name); err != nil || len(o.GetLines()) != step.have {
				t.Errorf("the order has %d lines, %v; want %d", len(o.GetLines()), err, step.have)
			}
			return nil
		})
	}
}

func TestForget_someOrdersAtATime(t *testing.T) {
	l := newLedger(t, "bolt")
	const customer, other = "organizations/acme/customers/c1", "organizations/acme/customers/c2"
	err := l.do(func(tx *change.Tx) error {
		for i := range forgetChunk + 1 {
			for _, c := range []string{customer, other} {
				if _, err := l.Import(tx, c, &storev1.Order{
					Source: "shop", ExternalId: fmt.Sprint(c, i), Currency: "GBP", OrderTime: timestamppb.Now(), Lines: []*storev1.OrderLine{{Quantity: 1}},
				}); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []bool{true, false, false} {
		if err := l.do(func(tx *change.Tx) error {
			more, err := l.Forget(tx, customer)
			if more != want {
				t.Errorf("more is %t, want %t", more, want)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	_ = l.store.View(t.Context(), func(r kv.Reader) error {
		gone, _ := l.summary(r, customer)
		kept, _ := l.summary(r, other)
		left, _ := l.orders.Count(r, kv.Query{})
		if gone.GetPurchases() != 0 || kept.GetPurchases() != forgetChunk+1 || left != forgetChunk+1 {
			t.Errorf("of the customer %v is left, of another %v, and %d orders", gone, kept, left)
		}
		return nil
	})
}
