package identity_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

func TestMergeCustomers_theSurvivorHasAllThatTheDuplicateHad(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		first, second := p.two(ctx)
		m := p.merged(ctx, "display_name")
		c, err := p.customers().GetCustomer(ctx, &identityv1.GetCustomerRequest{Name: first})
		if err != nil {
			t.Fatal(err)
		}
		got := []string{c.GetDisplayName(), c.GetEmail(), c.GetPhone(), c.GetExternalId(), c.GetCountry(), shortOf(c.GetOwner()), shortOf(strings.Join(c.GetTags(), " "))}
		want := []string{"Ada Lovelace", "ada@example.com", "+8613800138000", "K-1", "UK", "bob", "gold"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the survivor (-want +got):\n%s", diff)
		}
		if got := p.spoken(ctx, first, ""); got != "oil lamps" {
			t.Errorf("what was spoken: %q", got)
		}
		if got := p.todo(ctx, org, `customer = "`+first+`"`); got != "ring@admin" {
			t.Errorf("tasks: %q", got)
		}
		sum, err := p.orders().GetPurchaseSummary(ctx, &identityv1.GetPurchaseSummaryRequest{Name: first + "/purchaseSummary"})
		if err != nil || sum.GetPurchaseCount() != 2 || sum.GetReturnCount() != 1 {
			t.Errorf("purchases: %v, %v", sum, err)
		}
		if got := p.members(ctx, org+"/segments/vip"); got != "c1" {
			t.Errorf("on the list: %s", got)
		}
		if got := p.history(ctx, first); got != "bob MERGED, bob ASSIGNED -MERGED" {
			t.Errorf("owners: %s", got)
		}
		wantMoved := "data_subject_requests 1, interactions 1, orders 2, ownership_periods 1, stage_transitions 1, tasks 1, timeline_events 7"
		if got := kindsMoved(m); got != wantMoved {
			t.Errorf("moved: %s, want %s", got, wantMoved)
		}
		if got := p.permission.movedBy(); got != "feedback c2 > c1, groupchat c2 > c1, permission c2 > c1" || len(m.GetReceipts()) != 3 {
			t.Errorf("the others moved %s; receipts %v", got, m.GetReceipts())
		}
		if got := strings.Join(m.GetDuplicateFields(), " ") + "; " + strings.Join(m.GetDifferingFields(), " "); got != "display_name phone external_id country; display_name email" {
			t.Errorf("fields: %s", got)
		}
		if m.GetFormerDuplicate().GetEmail() != "countess@example.com" || len(m.GetLeftTags()) != 1 || len(m.GetJoinedSegments()) != 1 {
			t.Errorf("the record: %v", m)
		}
		wantTombstone(t, p, ctx, first, second)
	})
}

// wantTombstone fails the test unless a duplicate leads to its survivor and is nobody's
// any more.
func wantTombstone(t *testing.T, p *process, ctx context.Context, first, duplicate string) {
	t.Helper()
	err := p.gone(ctx, duplicate)
	wantError(t, err, errs.NotFound, "CUSTOMER_MERGED")
	if got := errs.From(err).Metadata["survivor"]; got != first {
		t.Errorf("the survivor is %q", got)
	}
	p.permission.hide([]string{first}, nil)
	if err := p.gone(ctx, duplicate); errs.ReasonOf(err) != "CUSTOMER_MERGED" || errs.From(err).Metadata["survivor"] != "" {
		t.Errorf("told to who does not see the survivor: %v", err)
	}
	p.permission.hide(nil, nil)
	list := func(filter string) (out []string) {
		resp, err := p.customers().ListCustomers(ctx, &identityv1.ListCustomersRequest{Parent: org, Filter: filter, ShowDeleted: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range resp.GetCustomers() {
			out = append(out, shortOf(c.GetName())+c.GetEmail())
		}
		return out
	}
	if got := strings.Join(list(""), " ") + ";" + strings.Join(list(`state = "MERGED"`), " ") + ";" + strings.Join(list(`email = "countess@example.com"`), " "); got != "c1ada@example.com;c2;" {
		t.Errorf("lists: %s", got)
	}
	create := func(id string, c *identityv1.Customer) error {
		return second(p.customers().CreateCustomer(ctx, &identityv1.CreateCustomerRequest{Parent: org, CustomerId: id, Customer: c}))
	}
	wantError(t, create("c2", &identityv1.Customer{}), errs.Exists, "CUSTOMER_EXISTS")
	wantError(t, create("c3", &identityv1.Customer{ExternalId: "K-1"}), errs.Exists, "EXTERNAL_ID_TAKEN")
	wantError(t, create("c3", &identityv1.Customer{Email: "countess@example.com"}), errs.Exists, "EMAIL_TAKEN")
	for what, err := range map[string]error{
		"update":   p.rewrite(ctx, &identityv1.Customer{Name: duplicate, DisplayName: "x"}),
		"undelete": second(p.customers().UndeleteCustomer(ctx, &identityv1.UndeleteCustomerRequest{Name: duplicate})),
		"enable":   second(p.customers().EnableCustomer(ctx, &identityv1.EnableCustomerRequest{Name: duplicate})),
		"delete":   second(p.customers().DeleteCustomer(ctx, &identityv1.DeleteCustomerRequest{Name: duplicate})),
		"an order": second(p.orders().CreateOrder(ctx, &identityv1.CreateOrderRequest{Parent: duplicate, Order: bought("N-9", 0, 1)})),
		"a hold": second(p.legalHolds().CreateLegalHold(ctx, &identityv1.CreateLegalHoldRequest{
			Parent: org, LegalHold: &identityv1.LegalHold{Customer: duplicate, Reason: "x"},
		})),
		"a merge": second(p.merges().MergeCustomers(ctx, &identityv1.MergeCustomersRequest{Name: first, Duplicate: duplicate})),
	} {
		if errs.ReasonOf(err) != "CUSTOMER_MERGED" {
			t.Errorf("%s: %v", what, err)
		}
	}
	wantError(t, second(p.duplicates().FindDuplicates(ctx, &identityv1.FindDuplicatesRequest{Name: duplicate})), errs.NotFound, "CUSTOMER_MERGED")
}

// TestMergeCustomers_endsTheDuplicateEverywhere: its sessions and its password are of no
// use, and its proven number is proven of the survivor.
func TestMergeCustomers_endsTheDuplicateEverywhere(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		p.add(ctx, "c1", &identityv1.Customer{DisplayName: "Ada"})
		second := p.add(ctx, "c2", &identityv1.Customer{DisplayName: "Ada", Email: "ada@example.com"}).GetName()
		tokens := p.accept(ctx, second)
		p.merged(ctx)
		if _, err := p.auth().WhoAmI(with(tokens), &identityv1.WhoAmIRequest{}); err == nil {
			t.Error("the duplicate has a session")
		}
		wantError(t, func() error {
			_, err := p.auth().RefreshToken(context.Background(), &identityv1.RefreshTokenRequest{RefreshToken: tokens.GetRefreshToken()})
			return err
		}(), errs.Unauthenticated, "REFRESH_TOKEN_INVALID")
		for _, identifier := range []string{second, "ada@example.com"} {
			_, err := p.auth().Login(context.Background(), &identityv1.LoginRequest{Organization: org, Identifier: identifier, Password: goodPassword})
			wantError(t, err, errs.Unauthenticated, "LOGIN_FAILED")
		}
		if got := about(p.events(ctx, "guildhall.identity.account.state_changed", "guildhall.identity.customer."), second); !strings.HasSuffix(strings.Join(got, ", "), "account.state_changed MERGED, customer.merged") {
			t.Errorf("told of the duplicate: %v", got)
		}
		asFirst := with(p.accept(ctx, org+"/customers/c1"))
		if me, err := p.auth().WhoAmI(asFirst, &identityv1.WhoAmIRequest{}); err != nil {
			t.Errorf("the survivor is %v, %v", me, err)
		}
	})
}

// TestUndoMerge_bringsBackExactlyWhatWas of both customers, with everything that was
// written down of either.
func TestUndoMerge_bringsBackExactlyWhatWas(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		first, second := p.two(ctx)
		p.hold(ctx, second, nil)
		if _, err := p.consents().WithdrawConsent(ctx, &identityv1.WithdrawConsentRequest{Parent: second, Purpose: org + "/consentPurposes/newsletter", Evidence: "letter"}); err != nil {
			t.Fatal(err)
		}
		before := p.portrait(ctx, first) + "\n--\n" + p.portrait(ctx, second)
		m := p.merged(ctx, "email", "display_name")
		if got := p.holds(ctx, first); got != "newsletter-email WITHDRAWN, newsletter-sms WITHDRAWN" {
			t.Errorf("consents of the survivor: %s", got)
		}
		if !m.GetHoldsSurvivor() || len(m.GetConsents()) != 2 {
			t.Errorf("the record: %v", m)
		}
		u := p.undone(ctx, m.GetName())
		if len(u.GetKeptFields()) > 0 || u.GetFormerDuplicate() != nil || kindsMoved(u) != kindsMoved(m) {
			t.Errorf("undone: %v, and moved were %s", u, kindsMoved(m))
		}
		if diff := cmp.Diff(strings.Split(before, "\n"), strings.Split(p.portrait(ctx, first)+"\n--\n"+p.portrait(ctx, second), "\n")); diff != "" {
			t.Errorf("(-before +after):\n%s", diff)
		}
		if got := p.history(ctx, second); got != "bob MERGED, bob ASSIGNED -MERGED" {
			t.Errorf("owners of the duplicate: %s", got)
		}
		if got := p.history(ctx, first); got != "bob MERGED -MERGED" {
			t.Errorf("owners of the survivor: %s", got)
		}
		if got := p.permission.movedBy(); !strings.Contains(got, "groupchat c2 < c1") {
			t.Errorf("the others: %s", got)
		}
		if n := p.rowsOf("merged_rows"); n != 0 {
			t.Errorf("%d rows are in the ledger", n)
		}
		again, err := p.merges().UndoMerge(ctx, &identityv1.UndoMergeRequest{Name: m.GetName()})
		if err != nil || again.GetState() != identityv1.MergeRecord_STATE_UNDONE {
			t.Errorf("undone again: %v, %v", again, err)
		}
		// The two can be merged the other way round.
		if _, err := p.merges().MergeCustomers(ctx, &identityv1.MergeCustomersRequest{Name: second, Duplicate: first}); err != nil {
			t.Error(err)
		}
	})
}
