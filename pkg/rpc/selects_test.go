package rpc

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"

	"guildhall.dev/pkg/errs"
)

// TestDisclose_rulesTellRecordsApart: of whom a rule is true tells what it speaks
// of, so it takes to see that of all of them.
func TestDisclose_rulesTellRecordsApart(t *testing.T) {
	s, e := restricted(t, map[string]permissionv1.Visibility{"attribute": seenHidden})
	ctx := as(t.Context(), s.token(5*time.Minute))
	c := identityv1.NewSegmentServiceClient(s.dial(nil))
	const rich = "has(customer.attributes.points) && customer.attributes.points > 10.0"
	write := func(rule string, paths ...string) error {
		segment := &identityv1.Segment{Name: "organizations/acme/segments/gold", DisplayName: "Gold", Kind: identityv1.Segment_KIND_RULE, Rule: rule}
		if paths == nil {
			_, err := c.CreateSegment(ctx, &identityv1.CreateSegmentRequest{Parent: "organizations/acme", Segment: segment})
			return err
		}
		_, err := c.UpdateSegment(ctx, &identityv1.UpdateSegmentRequest{Segment: segment, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}})
		return err
	}
	for _, err := range []error{write(rich), write(`customer["attributes"]["points"] > 10.0`), write(rich, "rule"), write(rich, "*")} {
		if errs.ReasonOf(err) != reasonRestricted || errs.From(err).Violations[0].Field != "segment.rule" || errs.From(err).Metadata["resource"] != "organizations/acme/customers/-" {
			t.Errorf("got %v", err)
		}
	}
	for _, err := range []error{write(`customer.country == "CN"`), write(rich, "display_name")} {
		if errs.ReasonOf(err) == reasonRestricted { // the suite has no such handler
			t.Errorf("got %v", err)
		}
	}
	e.set("attribute", seenFull)
	if err := write(rich); errs.ReasonOf(err) == reasonRestricted {
		t.Errorf("who sees them: %v", err)
	}
}

// TestDisclose_whatIsOverwrittenIsSeen: a change that is no standard update does
// not take away what its caller never saw.
func TestDisclose_whatIsOverwrittenIsSeen(t *testing.T) {
	s, _ := restricted(t, map[string]permissionv1.Visibility{"attribute": seenHidden})
	ctx, c := s.customers(t)
	for field, req := range map[string]*identityv1.ClassifyCustomerRequest{
		"set_attributes":   {SetAttributes: map[string]*identityv1.AttributeValue{"points": {Kind: &identityv1.AttributeValue_NumberValue{NumberValue: 1}}}},
		"clear_attributes": {ClearAttributes: []string{"points"}},
		"":                 {AddTags: []string{"organizations/acme/tagGroups/loyalty/tags/gold"}},
	} {
		req.Name = ada
		switch _, err := c.ClassifyCustomer(ctx, req); {
		case field == "" && errs.ReasonOf(err) == reasonRestricted:
			t.Errorf("what he sees: %v", err)
		case field != "" && (errs.ReasonOf(err) != reasonRestricted || errs.From(err).Violations[0].Field != field):
			t.Errorf("%s: got %v", field, err)
		}
	}
}

// TestDisclose_filtersAreRefusedWhereTheCollectionIs: a policy on the collection
// refuses what searches it, and says so.
func TestDisclose_filtersAreRefusedWhereTheCollectionIs(t *testing.T) {
	s, e := restricted(t, map[string]permissionv1.Visibility{"identity": seenMasked})
	ctx, c := s.customers(t)
	find := func(filter string) error {
		_, err := c.ListCustomers(ctx, &identityv1.ListCustomersRequest{Parent: "organizations/acme", Filter: filter})
		return err
	}
	for _, on := range []string{"organizations/acme", "organizations/acme/customers"} {
		e.only = on
		for _, filter := range []string{`display_name:"zhang"`, `display_name:zhang`, `state = "ACTIVE" AND display_name : "zw"`, `external_id = "7"`} {
			if err := find(filter); errs.ReasonOf(err) != reasonRestricted || errs.From(err).Metadata["resource"] != on {
				t.Errorf("%s, restricted on %s: %v", filter, on, err)
			}
		}
		if err := find(`country:"CN"`); err != nil {
			t.Errorf("what he sees: %v", err)
		}
	}
}
