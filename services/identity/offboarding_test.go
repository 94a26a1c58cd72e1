package identity_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// departed returns "owner count" of those who have left and have customers.
func (p *process) departed(ctx context.Context) (all string) {
	p.t.Helper()
	resp, err := p.ownerships().ListDepartedOwners(ctx, &identityv1.ListDepartedOwnersRequest{Parent: org})
	if err != nil {
		p.t.Fatal(err)
	}
	for _, o := range resp.GetDepartedOwners() {
		all += fmt.Sprintln(o.GetStaffMember(), o.GetCustomerCount())
	}
	return all
}

// long: the way of an owner from the first customer to the last.
func TestOffboarding_handsEverythingOver(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		for _, id := range []string{"ada", "bob", "cy"} {
			p.colleague(ctx, id)
		}
		customers := make([]string, 5)
		for i := range customers {
			customers[i] = p.add(ctx, fmt.Sprint("c", i), &identityv1.Customer{}).GetName()
			if err := p.assign(ctx, customers[i], ada); err != nil {
				t.Fatal(err)
			}
		}
		waiting, err := p.propose(ctx, customers[0], bob)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.assign(ctx, p.add(ctx, "x", &identityv1.Customer{}).GetName(), bob); err != nil {
			t.Fatal(err)
		}
		incoming, err := p.propose(ctx, org+"/customers/x", ada)
		if err != nil {
			t.Fatal(err)
		}
		reassign := func(successors ...string) (*identityv1.ReassignCustomersResponse, error) {
			return p.ownerships().ReassignCustomers(ctx, &identityv1.ReassignCustomersRequest{Parent: org, Owner: ada, Successors: successors})
		}
		_, err = reassign(bob)
		wantError(t, err, errs.Precondition, "OWNER_NOT_DEPARTED")
		if _, err := p.customers().DeleteCustomer(ctx, &identityv1.DeleteCustomerRequest{Name: customers[4]}); err != nil {
			t.Fatal(err)
		}
		if _, err := p.customers().DisableCustomer(ctx, &identityv1.DisableCustomerRequest{Name: customers[3]}); err != nil {
			t.Fatal(err)
		}
		if _, err := p.staff().DeleteStaffMember(ctx, &identityv1.DeleteStaffMemberRequest{Name: ada}); err != nil {
			t.Fatal(err)
		}
		// What waits for her is off, what she proposed is not; her customers are found.
		if got := p.inTransit(ctx, org, ""); got != "x CANCELLED, c0 PENDING" {
			t.Errorf("transfers: %s (%s %s)", got, waiting.GetName(), incoming.GetName())
		}
		if got := p.departed(ctx); got != ada+" 4\n" {
			t.Errorf("departed: %s", got)
		}
		if got := p.owned(ctx, ada); got != "c0 c1 c2 c3" {
			t.Errorf("customers of who has left: %s", got)
		}
		_, err = reassign(org + "/staff/nobody")
		wantError(t, err, errs.NotFound, "STAFF_MEMBER_NOT_FOUND")
		_, err = reassign(ada)
		wantError(t, err, errs.Precondition, "OWNER_NOT_ACTIVE")
		resp, err := reassign(bob, cy)
		if err != nil || resp.GetReassignedCount() != 4 || resp.GetMore() {
			t.Fatalf("reassign: %v %v", resp, err)
		}
		if b, c := p.owned(ctx, bob), p.owned(ctx, cy); b != "c0 c2 x" || c != "c1 c3" {
			t.Errorf("successors have %s and %s", b, c)
		}
		if got := p.departed(ctx); got != "" {
			t.Errorf("departed: %s", got)
		}
		if got := p.inTransit(ctx, org, `state = "PENDING"`); got != "" {
			t.Errorf("pending transfers: %s", got)
		}
		// A deleted customer that comes back is still hers.
		if _, err := p.customers().UndeleteCustomer(ctx, &identityv1.UndeleteCustomerRequest{Name: customers[4]}); err != nil {
			t.Fatal(err)
		}
		if got := p.departed(ctx); got != ada+" 1\n" {
			t.Errorf("departed: %s", got)
		}
		if resp, err = reassign(bob); err != nil || resp.GetReassignedCount() != 1 {
			t.Errorf("reassign: %v %v", resp, err)
		}
		if resp, err = reassign(bob); err != nil || resp.GetReassignedCount() != 0 {
			t.Errorf("once more: %v %v", resp, err)
		}
		// Who comes back has nothing, and can have customers again.
		if _, err := p.staff().UndeleteStaffMember(ctx, &identityv1.UndeleteStaffMemberRequest{Name: ada}); err != nil {
			t.Fatal(err)
		}
		if err := p.assign(ctx, p.add(ctx, "y", &identityv1.Customer{}).GetName(), ada); err != nil {
			t.Error(err)
		}
	})
}

// TestPurge_leavesNoOwnerBehind: nobody looks after customers who is gone for good.
func TestPurge_leavesNoOwnerBehind(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		p.colleague(ctx, "ada")
		p.colleague(ctx, "bob")
		for i := range 3 {
			if err := p.assign(ctx, p.add(ctx, fmt.Sprint("c", i), &identityv1.Customer{}).GetName(), ada); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := p.propose(ctx, org+"/customers/c0", bob); err != nil {
			t.Fatal(err)
		}
		if _, err := p.staff().DeleteStaffMember(ctx, &identityv1.DeleteStaffMemberRequest{Name: ada}); err != nil {
			t.Fatal(err)
		}
		if _, err := p.customers().DeleteCustomer(ctx, &identityv1.DeleteCustomerRequest{Name: org + "/customers/c2"}); err != nil {
			t.Fatal(err)
		}
		p.clock.advance(30 * 24 * time.Hour)
		p.close() // a restart sweeps at once
		after := p.host.start(config())
		tokens, err := login(after, admin, goodPassword)
		if err != nil {
			t.Fatal(err)
		}
		ctx = with(tokens)
		after.until(func() bool {
			_, err := after.staff().GetStaffMember(ctx, &identityv1.GetStaffMemberRequest{Name: ada})
			return errs.Is(err, errs.NotFound)
		})
		if got := after.owned(ctx, ""); got != "c0 c1" {
			t.Errorf("customers without an owner: %s", got)
		}
		if got := after.history(ctx, org+"/customers/c0"); got != "ada ASSIGNED -PURGED" {
			t.Errorf("history: %s", got)
		}
		if got := after.inTransit(ctx, org, ""); got != "" {
			t.Errorf("transfers: %s", got)
		}
		after.until(func() bool {
			_, err := after.customers().GetCustomer(ctx, &identityv1.GetCustomerRequest{Name: org + "/customers/c2"})
			return errs.Is(err, errs.NotFound)
		})
		err = after.raw.View(context.Background(), func(r kv.Reader) error {
			n := 0
			for _, err := range r.Scan("ownership_periods", kv.Range{}) {
				if err != nil {
					return err
				}
				n++
			}
			if n != 2 {
				t.Errorf("%d periods are left", n)
			}
			for _, err := range r.Scan("ownership_portfolios", kv.Range{}) {
				t.Error("a portfolio is left", err)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}
