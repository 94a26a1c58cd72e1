package identity_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// TestErasure_leavesNothingOfThePerson: whatever is kept of a customer is gone from
// every table once the request is fulfilled, also what a service did not erase at
// the first time.
//
// long: all that is kept of one customer, and the look for it.
func TestErasure_leavesNothingOfThePerson(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		p.grace(ctx, durationpb.New(0))
		made, err := p.customers().CreateCustomer(ctx, &identityv1.CreateCustomerRequest{
			Parent: org, CustomerId: "ada", RequestId: "kept-answer", Customer: &identityv1.Customer{
				DisplayName: "Ada Lovelace", Email: "ada@example.com", Phone: "+8613800138000", ExternalId: "K-17850",
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		p.add(ctx, "ada2", &identityv1.Customer{DisplayName: "Another", Email: "other@example.com"})
		c := made.GetName()
		owner, _ := p.colleague(ctx, "bob")
		if err := p.assign(ctx, c, owner); err != nil {
			t.Fatal(err)
		}
		p.order(ctx, c, bought("N-4711", 0, 4))
		if _, err := p.dismiss(ctx, "d1", "ada", "ada2"); err != nil {
			t.Fatal(err)
		}
		if _, err := p.prefers(ctx, c, "falconry", 1); err != nil {
			t.Fatal(err)
		}
		asAda := with(p.accept(ctx, c))
		if _, err := p.ask(asAda, c, rectify, "my note is Countess"); err != nil {
			t.Fatal(err)
		}
		p.permission.failErasures(1)
		q, err := p.ask(asAda, c, erasure, "forget the Countess")
		if err != nil {
			t.Fatal(err)
		}
		var done *identityv1.DataSubjectRequest
		p.until(func() bool {
			done = p.asked(ctx, q.GetName())
			return done.GetState() == identityv1.DataSubjectRequest_STATE_FULFILLED
		})
		if got := kindsOf(done); !strings.Contains(got, "identity: ") || !strings.Contains(got, "orders 1") || !strings.Contains(got, "permission: grants 2") || !strings.Contains(got, "groupchat: messages 2") || !strings.Contains(got, "feedback: responses 2") {
			t.Errorf("the receipts are %q", got)
		}
		got, err := p.customers().GetCustomer(ctx, &identityv1.GetCustomerRequest{Name: c})
		if err != nil || got.GetState() != identityv1.AccountState_ACCOUNT_STATE_ERASED || got.GetDisplayName()+got.GetEmail()+got.GetOwner() != "" {
			t.Errorf("the customer is %v, %v", got, err)
		}
		wantError(t, second(p.customers().CreateCustomer(ctx, &identityv1.CreateCustomerRequest{Parent: org, CustomerId: "ada", Customer: &identityv1.Customer{DisplayName: "x"}})), errs.Exists, "CUSTOMER_EXISTS")
		wantError(t, second(p.customers().UndeleteCustomer(ctx, &identityv1.UndeleteCustomerRequest{Name: c})), errs.NotFound, "CUSTOMER_NOT_FOUND")
		wantError(t, second(p.ask(ctx, c, rectify, "")), errs.Precondition, "CUSTOMER_ERASED")
		wantError(t, second(p.rights().WithdrawDataSubjectRequest(ctx, &identityv1.WithdrawDataSubjectRequestRequest{Name: q.GetName()})), errs.Precondition, "DATA_SUBJECT_REQUEST_ENDED")
		if _, err := p.auth().WhoAmI(asAda, &identityv1.WhoAmIRequest{}); err == nil {
			t.Error("an erased customer has a session")
		}
		p.close()
		const other = "other@example.com"
		left := p.holding("Lovelace", "lovelace", "ada@example.com", "13800138000", "K-17850", "N-4711", "Countess", "85123A", "falconry", other)
		if len(left[other]) == 0 {
			t.Error("another customer was erased too, or the test looks at nothing")
		}
		delete(left, other)
		if len(left) > 0 {
			t.Errorf("what is left, and where: %v", left)
		}
	})
}

// kindsOf returns "service: kind count …" of all receipts.
func kindsOf(q *identityv1.DataSubjectRequest) string {
	var out []string
	for _, r := range q.GetErasure().GetReceipts() {
		text := r.GetService() + ":"
		for _, k := range r.GetKinds() {
			text += " " + k.GetKind() + " " + string(rune('0'+k.GetCount()%10))
		}
		out = append(out, text)
	}
	return strings.Join(out, "; ")
}

// TestErasure_goesOnAfterARestart: a process that ends before a service has erased
// leaves it to the next one, which asks only that service.
func TestErasure_goesOnAfterARestart(t *testing.T) {
	for _, engine := range []string{"bolt", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			h := newHost(t, engine)
			p := h.start(config())
			ctx := p.asAdmin()
			p.grace(ctx, durationpb.New(0))
			c, tokens := p.customer(ctx, &identityv1.Customer{DisplayName: "Ada", Email: "ada@example.com"})
			p.permission.failErasures(1000)
			q, err := p.ask(with(tokens), c.GetName(), erasure, "")
			if err != nil {
				t.Fatal(err)
			}
			p.until(func() bool { return len(p.asked(ctx, q.GetName()).GetErasure().GetReceipts()) == 1 })
			before := p.asked(ctx, q.GetName())
			wantError(t, second(p.rights().RefuseDataSubjectRequest(ctx, &identityv1.RefuseDataSubjectRequestRequest{
				Name: q.GetName(), Refusal: identityv1.DataSubjectRequest_REFUSAL_UNFOUNDED,
			})), errs.Precondition, "ERASURE_BEGUN")
			p.close()
			p = h.start(config())
			var after *identityv1.DataSubjectRequest
			p.until(func() bool {
				after = p.asked(ctx, q.GetName())
				return after.GetState() == identityv1.DataSubjectRequest_STATE_FULFILLED
			})
			if got, want := after.GetErasure().GetReceipts()[0].GetDigest(), before.GetErasure().GetReceipts()[0].GetDigest(); got != want || want == "" {
				t.Errorf("the first receipt is %q after the restart, and was %q", got, want)
			}
		})
	}
}

// TestLegalHold_winsOverErasureAndPurge: what waits goes on when the last hold has
// ended.
func TestLegalHold_winsOverErasureAndPurge(t *testing.T) {
	for _, engine := range []string{"bolt", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			h := newHost(t, engine)
			p := h.start(config())
			ctx := p.asAdmin()
			p.grace(ctx, durationpb.New(0))
			c, tokens := p.customer(ctx, &identityv1.Customer{DisplayName: "Ada", Email: "ada@example.com"})
			o := p.order(ctx, c.GetName(), bought("1", 0, 4))
			first := p.hold(ctx, c.GetName(), nil)
			p.hold(ctx, c.GetName(), timestamppb.New(p.clock.now().Add(40*24*time.Hour)))
			q, err := p.ask(with(tokens), c.GetName(), erasure, "")
			if err != nil || !q.GetErasure().GetHeld() {
				t.Fatalf("the request is %v, %v; want one that is held", q, err)
			}
			wantError(t, second(p.orders().DeleteOrder(ctx, &identityv1.DeleteOrderRequest{Name: o.GetName()})), errs.Precondition, "LEGAL_HOLD")
			free := p.add(ctx, "free", &identityv1.Customer{DisplayName: "Free"}).GetName()
			for _, name := range []string{c.GetName(), free} {
				if _, err := p.customers().DeleteCustomer(ctx, &identityv1.DeleteCustomerRequest{Name: name}); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := p.legalHolds().LiftLegalHold(ctx, &identityv1.LiftLegalHoldRequest{Name: first.GetName()}); err != nil {
				t.Fatal(err)
			}
			p.close()
			h.clock.advance(31 * 24 * time.Hour) // past the purge time
			p = h.start(config())
			ctx = p.relogin()
			p.until(func() bool { return errs.Is(p.gone(ctx, free), errs.NotFound) })
			if err := p.gone(ctx, c.GetName()); err != nil {
				t.Fatalf("the customer under a hold: %v", err)
			}
			p.close()
			h.clock.advance(10 * 24 * time.Hour) // the other hold expires
			p = h.start(config())
			ctx = p.relogin()
			p.until(func() bool {
				return p.asked(ctx, q.GetName()).GetState() == identityv1.DataSubjectRequest_STATE_FULFILLED
			})
			if !p.erased(ctx, c.GetName()) {
				t.Error("the customer was purged, so that its name is free, and not erased")
			}
		})
	}
}
