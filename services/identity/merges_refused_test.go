package identity_test

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

func TestMergeCustomers_refusesWhatCannotBeOne(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		chief, _ := other(t, p, ctx)
		if _, err := p.customers().CreateCustomer(chief, &identityv1.CreateCustomerRequest{Parent: "organizations/other", CustomerId: "c1", Customer: &identityv1.Customer{}}); err != nil {
			t.Fatal(err)
		}
		p.grace(ctx, durationpb.New(0))
		p.add(ctx, "c1", &identityv1.Customer{DisplayName: "Ada", Email: "a@example.com"})
		p.add(ctx, "c2", &identityv1.Customer{DisplayName: "Ada L."})
		p.add(ctx, "k1", &identityv1.Customer{ExternalId: "K-1"})
		p.add(ctx, "k2", &identityv1.Customer{ExternalId: "K-2"})
		for _, id := range []string{"off", "gone", "asked"} {
			p.add(ctx, id, &identityv1.Customer{})
		}
		name := func(id string) string { return org + "/customers/" + id }
		if _, err := p.customers().DisableCustomer(ctx, &identityv1.DisableCustomerRequest{Name: name("off")}); err != nil {
			t.Fatal(err)
		}
		if _, err := p.customers().DeleteCustomer(ctx, &identityv1.DeleteCustomerRequest{Name: name("gone")}); err != nil {
			t.Fatal(err)
		}
		if _, err := p.ask(ctx, name("asked"), erasure, ""); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			survivor, duplicate, fields string
			kind                        errs.Kind
			reason                      string
		}{
			{"c1", "c1", "", errs.Invalid, "MERGE_SAME_CUSTOMER"},
			{"c1", "none", "", errs.NotFound, "CUSTOMER_NOT_FOUND"},
			{"none", "c1", "", errs.NotFound, "CUSTOMER_NOT_FOUND"},
			{"k1", "k2", "", errs.Precondition, "MERGE_EXTERNAL_IDS_DIFFER"},
			{"off", "c1", "", errs.Precondition, "MERGE_SURVIVOR_NOT_ACTIVE"},
			{"gone", "c1", "", errs.Precondition, "MERGE_SURVIVOR_NOT_ACTIVE"},
			{"c1", "gone", "", errs.Precondition, "ILLEGAL_STATE"},
			{"c1", "asked", "", errs.Precondition, "MERGE_ERASURE_OPEN"},
			{"asked", "c1", "", errs.Precondition, "MERGE_ERASURE_OPEN"},
			{"c1", "c2", "email", errs.Invalid, "MERGE_FIELD_INVALID"},
			{"c1", "c2", "owner", errs.Invalid, "MERGE_FIELD_INVALID"},
			{"c1", "k1", "external_id", errs.Invalid, "MERGE_FIELD_INVALID"},
			{"c1", "c2", "attributes.points", errs.Invalid, "MERGE_FIELD_INVALID"},
		} {
			for _, rehearse := range []bool{false, true} {
				req := &identityv1.MergeCustomersRequest{Name: name(c.survivor), Duplicate: name(c.duplicate), DuplicateFields: strings.Fields(c.fields), ValidateOnly: rehearse}
				_, err := p.merges().MergeCustomers(ctx, req)
				if !errs.Is(err, c.kind) || errs.ReasonOf(err) != c.reason {
					t.Errorf("%v: %v, want %s", req, err, c.reason)
				}
			}
		}
		merge := func(change func(*identityv1.MergeCustomersRequest)) error {
			req := asksMerge()
			change(req)
			return second(p.merges().MergeCustomers(ctx, req))
		}
		wantError(t, merge(func(r *identityv1.MergeCustomersRequest) { r.Duplicate = "organizations/other/customers/c1" }), errs.NotFound, "CUSTOMER_NOT_FOUND")
		wantError(t, merge(func(r *identityv1.MergeCustomersRequest) { r.Duplicate = admin }), errs.Invalid, "RESOURCE_NAME_INVALID")
		wantError(t, merge(func(r *identityv1.MergeCustomersRequest) { r.Name = "organizations/other/customers/c1" }), errs.NotFound, "RESOURCE_NOT_FOUND")
		wantError(t, merge(func(r *identityv1.MergeCustomersRequest) { r.Etag = "AAAA" }), errs.Conflict, "ETAG_MISMATCH")
		wantError(t, merge(func(r *identityv1.MergeCustomersRequest) { r.DuplicateEtag = "AAAA" }), errs.Conflict, "ETAG_MISMATCH")
		wantError(t, merge(func(r *identityv1.MergeCustomersRequest) { r.MergeRecordId = "No Id" }), errs.Invalid, "RESOURCE_NAME_INVALID")
		p.permission.set(false, lacking("identity.customers.merge"))
		wantError(t, merge(func(*identityv1.MergeCustomersRequest) {}), errs.Denied, "PERMISSION_DENIED")
		p.permission.set(false)
		p.permission.hide([]string{name("c2")}, nil)
		wantError(t, merge(func(*identityv1.MergeCustomersRequest) {}), errs.NotFound, "CUSTOMER_NOT_FOUND")
		p.permission.hide(nil, nil)
		p.checker.forbid("identity.customers.merge")
		wantError(t, merge(func(*identityv1.MergeCustomersRequest) {}), errs.Denied, "PERMISSION_DENIED")
	})
}

// TestMergeCustomers_aRehearsalSaysWhatWouldBeAndChangesNothing.
func TestMergeCustomers_aRehearsalSaysWhatWouldBeAndChangesNothing(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		first, second := p.two(ctx)
		before := p.portrait(ctx, first) + p.portrait(ctx, second)
		req := asksMerge("email")
		req.ValidateOnly, req.RequestId = true, "rehearsal"
		m, err := p.merges().MergeCustomers(ctx, req)
		if err != nil {
			t.Fatal(err)
		}
		if got := kindsMoved(m); got != "data_subject_requests 1, interactions 1, orders 2, ownership_periods 1, stage_transitions 1, tasks 1, timeline_events 7" {
			t.Errorf("would move: %s", got)
		}
		if m.GetState() != 0 || m.GetName() != "" || m.GetCreateTime() != nil || m.GetMergedSurvivor().GetEmail() != "countess@example.com" || m.GetFormerSurvivor().GetEmail() != "ada@example.com" {
			t.Errorf("the rehearsal: %v", m)
		}
		if after := p.portrait(ctx, first) + p.portrait(ctx, second); after != before {
			t.Errorf("a rehearsal changed something:\n%s\n%s", before, after)
		}
		if list, err := p.merges().ListMergeRecords(ctx, &identityv1.ListMergeRecordsRequest{Parent: org}); err != nil || len(list.GetMergeRecords()) > 0 {
			t.Errorf("records: %v, %v", list, err)
		}
		req.ValidateOnly, req.RequestId = false, "really"
		made, err := p.merges().MergeCustomers(ctx, req)
		if err != nil {
			t.Fatal(err)
		}
		again, err := p.merges().MergeCustomers(ctx, req)
		if err != nil || !proto.Equal(made, again) {
			t.Errorf("the same request again: %v, %v", again, err)
		}
		req.Reason = "another"
		wantError(t, func() error { _, err := p.merges().MergeCustomers(ctx, req); return err }(), errs.Invalid, "REQUEST_ID_REUSED")
	})
}

// TestMergeCustomers_showsNobodyWhatTheyDoNotSee: neither by a choice, nor on the
// survivor, nor in the record.
func TestMergeCustomers_showsNobodyWhatTheyDoNotSee(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	first, second := p.two(ctx)
	merge := func(fields ...string) (*identityv1.MergeRecord, error) {
		req := asksMerge(fields...)
		req.ValidateOnly = true
		return p.merges().MergeCustomers(ctx, req)
	}
	p.permission.hide(nil, []string{"contact " + second})
	for _, fields := range [][]string{{"email"}, nil} {
		_, err := merge(fields...)
		wantError(t, err, errs.Denied, "FIELD_RESTRICTED")
	}
	for _, class := range []string{"note", "purchase", "feedback", "message"} {
		p.permission.hide(nil, []string{class + " " + second})
		_, err := merge()
		wantError(t, err, errs.Denied, "FIELD_RESTRICTED")
	}
	p.permission.hide(nil, []string{"contact " + first, "contact " + second})
	_, err := merge("phone")
	wantError(t, err, errs.Denied, "FIELD_RESTRICTED")
	m, err := merge("display_name")
	if err != nil || fmt.Sprint(m.GetDifferingFields(), m.GetDuplicateFields()) != "[display_name] [display_name external_id country]" {
		t.Errorf("differing: %v, %v", m, err)
	}
}
