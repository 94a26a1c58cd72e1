package identity_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/errs"
	auditv1 "guildhall.dev/proto/gen/guildhall/audit/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

const ada, bob, cy = org + "/staff/ada", org + "/staff/bob", org + "/staff/cy"

func TestAssignOwner_customersAreFoundByTheirOwner(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		p.policy(ctx, noWait())
		p.colleague(ctx, "ada")
		p.colleague(ctx, "bob")
		tea := p.tagGroup(ctx, "likes", false, "tea")
		for _, id := range []string{"c1", "c2", "c3", "c4"} {
			c := p.add(ctx, id, &identityv1.Customer{DisplayName: id, Tags: tea}).GetName()
			if id != "c4" {
				if err := p.assign(ctx, c, ada); err != nil {
					t.Fatal(err)
				}
			}
		}
		c1 := org + "/customers/c1"
		if err := p.assign(ctx, c1, bob); err != nil {
			t.Fatal(err)
		}
		if err := p.assign(ctx, org+"/customers/c3", ""); err != nil {
			t.Fatal(err)
		}
		for owner, want := range map[string]string{ada: "c2", bob: "c1", "": "c3 c4"} {
			if got := p.owned(ctx, owner); got != want {
				t.Errorf("customers of %q: %s, want %s", owner, got, want)
			}
		}
		if got := p.owned(ctx, `" AND tag = "`+tea[0]); got != "c3 c4" {
			t.Errorf("unowned customers of a tag: %s", got)
		}
		if got := p.history(ctx, c1); got != "bob ASSIGNED, ada ASSIGNED -ASSIGNED" {
			t.Errorf("history: %s", got)
		}
		if got := p.history(ctx, org+"/customers/c3"); got != "ada ASSIGNED -RELEASED" {
			t.Errorf("history: %s", got)
		}
		if got := about(p.events(ctx, "guildhall.identity.ownership"), c1); strings.Join(got, " ") != "ownership.assigned ownership.assigned" {
			t.Errorf("events: %v", got)
		}
		for _, bad := range []string{`owner = "ada"`, `owner = "organizations/other/staff/ada"`, `owner = "` + org + `/customers/c1"`} {
			_, err := p.customers().ListCustomers(ctx, &identityv1.ListCustomersRequest{Parent: org, Filter: bad})
			wantError(t, err, errs.Invalid, "FILTER_INVALID")
		}
	})
}

// long: one refusal after the other.
func TestAssignOwner_refuses(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		p.colleague(ctx, "ada")
		p.staffMember(ctx, "new", &identityv1.StaffMember{DisplayName: "not here yet"})
		made := p.add(ctx, "c1", &identityv1.Customer{})
		c := made.GetName()
		wantError(t, p.assign(ctx, c, org+"/staff/nobody"), errs.NotFound, "STAFF_MEMBER_NOT_FOUND")
		wantError(t, p.assign(ctx, c, "organizations/other/staff/ada"), errs.NotFound, "STAFF_MEMBER_NOT_FOUND")
		wantError(t, p.assign(ctx, c, c), errs.Invalid, "RESOURCE_NAME_INVALID")
		wantError(t, p.assign(ctx, c, org+"/staff/new"), errs.Precondition, "OWNER_NOT_ACTIVE")
		wantError(t, p.assign(ctx, org+"/customers/none", ada), errs.NotFound, "CUSTOMER_NOT_FOUND")
		wantError(t, p.assign(ctx, ada, ada), errs.Invalid, "RESOURCE_NAME_INVALID")
		_, err := p.ownerships().AssignOwner(ctx, &identityv1.AssignOwnerRequest{Name: c, Owner: ada, Etag: "other"})
		wantError(t, err, errs.Conflict, "ETAG_MISMATCH")

		req := &identityv1.AssignOwnerRequest{Name: c, Owner: ada, Etag: made.GetEtag(), RequestId: "r1", Note: "she knows them"}
		first, err := p.ownerships().AssignOwner(ctx, req)
		if err != nil || first.GetOwner() != ada {
			t.Fatalf("assign: %v %v", first, err)
		}
		again, err := p.ownerships().AssignOwner(ctx, req)
		if err != nil || again.GetEtag() != first.GetEtag() {
			t.Errorf("the retry: %v %v", again, err)
		}
		req.Note = "other"
		_, err = p.ownerships().AssignOwner(ctx, req)
		wantError(t, err, errs.Invalid, "REQUEST_ID_REUSED")
		same, err := p.ownerships().AssignOwner(ctx, &identityv1.AssignOwnerRequest{Name: c, Owner: ada})
		if err != nil || same.GetEtag() != first.GetEtag() {
			t.Errorf("the same owner: %v %v", same, err)
		}
		kept, err := p.customers().UpdateCustomer(ctx, &identityv1.UpdateCustomerRequest{
			Customer: &identityv1.Customer{Name: c, DisplayName: "Eve", Owner: org + "/staff/admin"},
		})
		if err != nil || kept.GetOwner() != ada {
			t.Errorf("an update of the record: %v %v", kept, err)
		}
		if _, err := p.customers().DisableCustomer(ctx, &identityv1.DisableCustomerRequest{Name: c}); err != nil {
			t.Fatal(err)
		}
		wantError(t, p.assign(ctx, c, admin), errs.Precondition, "CUSTOMER_NOT_ACTIVE")
		if _, err := p.customers().DeleteCustomer(ctx, &identityv1.DeleteCustomerRequest{Name: c}); err != nil {
			t.Fatal(err)
		}
		wantError(t, p.assign(ctx, c, ""), errs.Precondition, "CUSTOMER_NOT_ACTIVE")
		p.checker.forbid("identity.customers.assignOwner")
		wantError(t, p.assign(ctx, c, ada), errs.Denied, "PERMISSION_DENIED")
		log, err := identityv1.NewIdentityAuditServiceClient(p.conn).ListAuditEntries(ctx, &auditv1.ListAuditEntriesRequest{
			Parent: org, Filter: `resource = "` + c + `"`,
		})
		if err != nil {
			t.Fatal(err)
		}
		assigned := 0
		for _, e := range log.GetAuditEntries() {
			if slices.Contains(e.GetChangedFields(), "owner") && e.GetActor() == admin && e.GetOutcome() == auditv1.AuditEntry_OUTCOME_OK {
				assigned++
			}
		}
		if assigned != 1 {
			t.Errorf("%d audit entries say that the owner changed", assigned)
		}
	})
}

func TestBatchAssignOwner_answersEachByItself(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		p.colleague(ctx, "ada")
		p.colleague(ctx, "bob")
		p.colleague(ctx, "cy")
		names := []string{org + "/customers/none"}
		for _, id := range []string{"c1", "c2", "c3"} {
			names = append(names, p.add(ctx, id, &identityv1.Customer{}).GetName())
		}
		for _, owner := range []string{bob, cy} { // the second starts a cool-down
			if err := p.assign(ctx, names[2], owner); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.assign(ctx, names[3], ada); err != nil {
			t.Fatal(err)
		}
		batch := func(owner string) (*identityv1.BatchAssignOwnerResponse, error) {
			return p.ownerships().BatchAssignOwner(ctx, &identityv1.BatchAssignOwnerRequest{Parent: org, Names: names, Owner: owner})
		}
		resp, err := batch(ada)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, a := range resp.GetAssignments() {
			got = append(got, strings.TrimPrefix(a.GetResult().String(), "RESULT_")+a.GetReason())
		}
		want := []string{"REFUSEDCUSTOMER_NOT_FOUND", "ASSIGNED", "REFUSEDOWNERSHIP_COOL_DOWN", "UNCHANGED"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("assignments (-want +got):\n%s", diff)
		}
		if got := p.owned(ctx, ada); got != "c1 c3" {
			t.Errorf("customers: %s", got)
		}
		_, err = batch(org + "/staff/nobody")
		wantError(t, err, errs.NotFound, "STAFF_MEMBER_NOT_FOUND")
		names[0] = "organizations/other/customers/c1"
		_, err = batch(ada)
		wantError(t, err, errs.NotFound, "RESOURCE_NOT_FOUND")
	})
}

func TestHandOver_limits(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		p.policy(ctx, &identityv1.OwnershipPolicy{DailyLimit: 1, CoolDown: durationpb.New(48 * time.Hour)})
		for _, id := range []string{"ada", "bob", "cy"} {
			p.colleague(ctx, id)
		}
		c1, c2 := p.add(ctx, "c1", &identityv1.Customer{}).GetName(), p.add(ctx, "c2", &identityv1.Customer{}).GetName()
		for _, c := range []string{c1, c2} { // a first owner counts for nothing
			if err := p.assign(ctx, c, ada); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.assign(ctx, c1, bob); err != nil {
			t.Fatal(err)
		}
		err := p.assign(ctx, c1, cy)
		wantError(t, err, errs.Precondition, "OWNERSHIP_COOL_DOWN")
		if at := errs.From(err).Metadata["ready_time"]; at == "" {
			t.Error("the refusal does not say until when")
		}
		wantError(t, p.assign(ctx, c2, bob), errs.Exhausted, "OWNER_DAILY_LIMIT")
		// Who has left keeps nobody waiting.
		if _, err := p.staff().DisableStaffMember(ctx, &identityv1.DisableStaffMemberRequest{Name: bob}); err != nil {
			t.Fatal(err)
		}
		if err := p.assign(ctx, c1, cy); err != nil {
			t.Error(err)
		}
		if got := p.history(ctx, c1); got != "cy INHERITED, bob ASSIGNED -INHERITED, ada ASSIGNED -ASSIGNED" {
			t.Errorf("history: %s", got)
		}
		if err := p.assign(ctx, c2, cy); err != nil { // what was inherited counts for nothing
			t.Error(err)
		}
	})
}

// TestHandOver_lettingGoIsNoWayAroundTheCoolDown: a customer whom nobody owns for a
// moment still was handed over a moment ago.
func TestHandOver_lettingGoIsNoWayAroundTheCoolDown(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	p.policy(ctx, &identityv1.OwnershipPolicy{DailyLimit: 10, CoolDown: durationpb.New(48 * time.Hour)})
	for _, id := range []string{"ada", "bob", "cy"} {
		p.colleague(ctx, id)
	}
	c := p.add(ctx, "c1", &identityv1.Customer{}).GetName()
	for _, owner := range []string{ada, bob, ""} {
		if err := p.assign(ctx, c, owner); err != nil {
			t.Fatalf("to %q: %v", owner, err)
		}
	}
	wantError(t, p.assign(ctx, c, cy), errs.Precondition, "OWNERSHIP_COOL_DOWN")
	p.clock.advance(48*time.Hour + time.Second)
	tokens, err := login(p, admin, goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.assign(with(tokens), c, cy); err != nil {
		t.Errorf("after the cool-down: %v", err)
	}
}

func TestOwnershipPolicy_isChanged(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	name := org + "/ownershipPolicy"
	got, err := p.ownerships().GetOwnershipPolicy(ctx, &identityv1.GetOwnershipPolicyRequest{Name: name})
	if err != nil || got.GetDailyLimit() != 50 || got.GetCoolDown().AsDuration() != 90*24*time.Hour ||
		got.GetAcceptWithin().AsDuration() != 7*24*time.Hour || got.GetDeclineWithin().AsDuration() != 24*time.Hour || got.GetEtag() != "" {
		t.Errorf("the defaults: %v %v", got, err)
	}
	update := func(p2 *identityv1.OwnershipPolicy, paths ...string) (*identityv1.OwnershipPolicy, error) {
		p2.Name = name
		return p.ownerships().UpdateOwnershipPolicy(ctx, &identityv1.UpdateOwnershipPolicyRequest{
			OwnershipPolicy: p2, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths},
		})
	}
	got, err = update(&identityv1.OwnershipPolicy{DailyLimit: 7, CoolDown: &durationpb.Duration{}})
	if err != nil || got.GetDailyLimit() != 7 || got.GetCoolDown().AsDuration() != 0 || got.GetEtag() == "" || got.GetUpdateTime() == nil {
		t.Errorf("set: %v %v", got, err)
	}
	_, err = update(&identityv1.OwnershipPolicy{DailyLimit: 8, Etag: "other"})
	wantError(t, err, errs.Conflict, "ETAG_MISMATCH")
	got, err = update(&identityv1.OwnershipPolicy{}, "cool_down", "daily_limit")
	if err != nil || got.GetCoolDown().AsDuration() != 90*24*time.Hour || got.GetDailyLimit() != 50 {
		t.Errorf("back to the defaults: %v %v", got, err)
	}
	_, err = update(&identityv1.OwnershipPolicy{}, "update_time")
	wantError(t, err, errs.Invalid, "UPDATE_MASK_INVALID")
	_, err = update(&identityv1.OwnershipPolicy{AcceptWithin: durationpb.New(time.Second)})
	wantError(t, err, errs.Invalid, "VALIDATION_FAILED")
	_, err = p.ownerships().UpdateOwnershipPolicy(ctx, &identityv1.UpdateOwnershipPolicyRequest{
		OwnershipPolicy: &identityv1.OwnershipPolicy{Name: org + "/policy", DailyLimit: 1},
	})
	wantError(t, err, errs.Invalid, "RESOURCE_NAME_INVALID")
}

// TestDeclineOwnership_byTheCustomer goes back to the owner before, once.
func TestDeclineOwnership_byTheCustomer(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		p.policy(ctx, noWait())
		p.colleague(ctx, "ada")
		p.colleague(ctx, "bob")
		c, tokens := p.customer(ctx, &identityv1.Customer{DisplayName: "Eve"})
		name := c.GetName() + "/ownership"
		decline := func(as context.Context, etag string) (*identityv1.Ownership, error) {
			return p.ownerships().DeclineOwnership(as, &identityv1.DeclineOwnershipRequest{Name: name, Etag: etag})
		}
		_, err := decline(with(tokens), "")
		wantError(t, err, errs.Precondition, "DECLINE_WINDOW_OVER")
		for _, owner := range []string{ada, bob} {
			if err := p.assign(ctx, c.GetName(), owner); err != nil {
				t.Fatal(err)
			}
		}
		seen, err := p.ownerships().GetOwnership(with(tokens), &identityv1.GetOwnershipRequest{Name: name})
		if err != nil || seen.GetOwner() != bob || seen.GetPreviousOwner() != ada ||
			seen.GetDeclineDeadline().AsTime().Sub(seen.GetBeginTime().AsTime()) != 24*time.Hour {
			t.Fatalf("what the customer sees: %v %v", seen, err)
		}
		_, err = decline(with(tokens), "other")
		wantError(t, err, errs.Conflict, "ETAG_MISMATCH")
		back, err := decline(with(tokens), seen.GetEtag())
		if err != nil || back.GetOwner() != ada || back.GetDeclineDeadline() != nil {
			t.Errorf("declined: %v %v", back, err)
		}
		_, err = decline(with(tokens), "")
		wantError(t, err, errs.Precondition, "DECLINE_WINDOW_OVER")
		if got := p.history(ctx, c.GetName()); got != "ada DECLINED, bob ASSIGNED -DECLINED, ada ASSIGNED -ASSIGNED" {
			t.Errorf("history: %s", got)
		}
		if got := about(p.events(ctx, "guildhall.identity.ownership.declined"), c.GetName()); len(got) != 1 {
			t.Errorf("events: %v", got)
		}
		// Not to somebody who has left, and not too late.
		if err := p.assign(ctx, c.GetName(), bob); err != nil {
			t.Fatal(err)
		}
		if _, err := p.staff().DeleteStaffMember(ctx, &identityv1.DeleteStaffMemberRequest{Name: ada}); err != nil {
			t.Fatal(err)
		}
		if back, err = decline(ctx, ""); err != nil || back.GetOwner() != "" || back.GetPreviousOwner() != bob {
			t.Errorf("declined for the customer: %v %v", back, err)
		}
		if err := p.assign(ctx, c.GetName(), bob); err != nil {
			t.Fatal(err)
		}
		p.clock.advance(24*time.Hour + time.Second)
		login, err := login(p, admin, goodPassword)
		if err != nil {
			t.Fatal(err)
		}
		_, err = decline(with(login), "")
		wantError(t, err, errs.Precondition, "DECLINE_WINDOW_OVER")
	})
}
