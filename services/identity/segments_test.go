package identity_test

import (
	"fmt"
	"strings"
	"testing"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

func TestSegment_followsItsRuleWithEachChangeOfACustomer(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		p.add(ctx, "c1", &identityv1.Customer{DisplayName: "Li", Country: "CN"})
		p.add(ctx, "c2", &identityv1.Customer{DisplayName: "Wu", Country: "DE"})
		china := p.segment(ctx, "china", `customer.country == "CN" && customer.state != "SUSPENDED"`)
		if e := p.evaluated(ctx, china.GetName()); e.GetEvaluatedCount() != 2 || e.GetMemberCount() != 1 || e.GetJoinedCount() != 1 || e.GetRevision() != 1 {
			t.Errorf("evaluation: %v", e)
		}
		p.add(ctx, "c3", &identityv1.Customer{DisplayName: "Ma", Country: "CN"})
		if got := p.members(ctx, china.GetName()); got != "c1 c3" {
			t.Errorf("members: %s", got)
		}
		move := func(id, country string) {
			t.Helper()
			if _, err := p.customers().UpdateCustomer(ctx, &identityv1.UpdateCustomerRequest{Customer: &identityv1.Customer{Name: org + "/customers/" + id, Country: country}}); err != nil {
				t.Fatal(err)
			}
		}
		move("c1", "DE")
		move("c2", "CN")
		if got := p.members(ctx, china.GetName()); got != "c2 c3" {
			t.Errorf("after both moved: %s", got)
		}
		name := org + "/customers/c2"
		for _, step := range []struct {
			do   func() error
			want string
		}{
			{func() error {
				_, err := p.customers().DisableCustomer(ctx, &identityv1.DisableCustomerRequest{Name: name})
				return err
			}, "c3"},
			{func() error {
				_, err := p.customers().EnableCustomer(ctx, &identityv1.EnableCustomerRequest{Name: name})
				return err
			}, "c2 c3"},
			{func() error {
				_, err := p.customers().DeleteCustomer(ctx, &identityv1.DeleteCustomerRequest{Name: name})
				return err
			}, "c3"},
			{func() error {
				_, err := p.customers().UndeleteCustomer(ctx, &identityv1.UndeleteCustomerRequest{Name: name})
				return err
			}, "c2 c3"},
		} {
			if err := step.do(); err != nil {
				t.Fatal(err)
			}
			if got := p.members(ctx, china.GetName()); got != step.want {
				t.Errorf("members: %s, want %s", got, step.want)
			}
		}
		for id, want := range map[string]string{
			"c1": "+c1 RULE 1, -c1 CUSTOMER 1",
			"c2": "+c2 CUSTOMER 1, -c2 CUSTOMER 1, +c2 CUSTOMER 1, -c2 DELETION 1, +c2 CUSTOMER 1",
			"c3": "+c3 CUSTOMER 1",
		} {
			if got := p.moves(ctx, china.GetName(), org+"/customers/"+id); got != want {
				t.Errorf("history: %s, want %s", got, want)
			}
		}
		events := strings.Join(about(p.events(ctx, "guildhall.identity.segment_member"), china.GetName()+"/members/c1"), " ")
		if events != "segment_member.created segment_member.deleted" {
			t.Errorf("events of c1: %s", events)
		}
	})
}

func TestSegment_aNewRuleIsARevisionAndReachesAll(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		for i := range 5 {
			p.add(ctx, fmt.Sprint("c", i), &identityv1.Customer{Country: []string{"CN", "DE"}[i%2]})
		}
		s := p.segment(ctx, "class", `customer.country == "CN"`)
		p.evaluated(ctx, s.GetName())
		updated, err := p.segments().UpdateSegment(ctx, &identityv1.UpdateSegmentRequest{Segment: &identityv1.Segment{
			Name: s.GetName(), Rule: `customer.country == "DE" || customer.id == "c0"`, Etag: s.GetEtag(),
		}})
		if err != nil || updated.GetRevision() != 2 {
			t.Fatalf("update: %v %v", updated, err)
		}
		if e := p.evaluated(ctx, s.GetName()); e.GetRevision() != 2 || e.GetMemberCount() != 3 || e.GetJoinedCount() != 2 || e.GetLeftCount() != 2 {
			t.Errorf("evaluation: %v", e)
		}
		if got := p.members(ctx, s.GetName()); got != "c0 c1 c3" {
			t.Errorf("members: %s", got)
		}
		if got := p.moves(ctx, s.GetName(), org+"/customers/c2"); got != "+c2 RULE 1, -c2 RULE 2" {
			t.Errorf("history of c2: %s", got)
		}
		revisions, err := p.segments().ListSegmentRevisions(ctx, &identityv1.ListSegmentRevisionsRequest{Parent: s.GetName()})
		if err != nil || len(revisions.GetSegmentRevisions()) != 2 || revisions.GetSegmentRevisions()[0].GetName() != s.GetName()+"/revisions/2" ||
			revisions.GetSegmentRevisions()[1].GetRule() != s.GetRule() {
			t.Errorf("revisions: %v %v", revisions, err)
		}
		_, err = p.segments().UpdateSegment(ctx, &identityv1.UpdateSegmentRequest{Segment: &identityv1.Segment{Name: s.GetName(), Rule: `true`, Etag: s.GetEtag()}})
		wantError(t, err, errs.Conflict, "ETAG_MISMATCH")
		again, err := p.segments().EvaluateSegment(ctx, &identityv1.EvaluateSegmentRequest{Name: s.GetName()})
		if err != nil || again.GetState() != identityv1.SegmentEvaluation_STATE_RUNNING || again.GetEvaluatedCount() != 0 {
			t.Errorf("evaluate: %v %v", again, err)
		}
		if e := p.evaluated(ctx, s.GetName()); e.GetEvaluatedCount() != 5 || e.GetJoinedCount() != 0 || e.GetLeftCount() != 0 {
			t.Errorf("evaluation of what is up to date: %v", e)
		}
	})
}

func TestSegment_aFixedListHasTheCustomersThatWereAdded(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c := p.add(ctx, "c1", &identityv1.Customer{}).GetName()
		s := p.segment(ctx, "guests", "")
		create := func(customer string) error {
			_, err := p.segments().CreateSegmentMember(ctx, &identityv1.CreateSegmentMemberRequest{
				Parent: s.GetName(), SegmentMember: &identityv1.SegmentMember{Customer: customer},
			})
			return err
		}
		if err := create(c); err != nil {
			t.Fatal(err)
		}
		wantError(t, create(c), errs.Exists, "SEGMENT_MEMBER_EXISTS")
		wantError(t, create(org+"/customers/nobody"), errs.NotFound, "CUSTOMER_NOT_FOUND")
		wantError(t, create("organizations/other/customers/c1"), errs.NotFound, "CUSTOMER_NOT_FOUND")
		wantError(t, create(admin), errs.Invalid, "RESOURCE_NAME_INVALID")
		in, err := p.segments().ListSegmentMemberships(ctx, &identityv1.ListSegmentMembershipsRequest{Parent: c})
		if err != nil || len(in.GetSegmentMemberships()) != 1 || in.GetSegmentMemberships()[0].GetName() != s.GetName()+"/members/c1" {
			t.Errorf("memberships: %v %v", in, err)
		}
		remove := func() error {
			_, err := p.segments().DeleteSegmentMember(ctx, &identityv1.DeleteSegmentMemberRequest{Name: s.GetName() + "/members/c1"})
			return err
		}
		if err := remove(); err != nil {
			t.Fatal(err)
		}
		wantError(t, remove(), errs.NotFound, "SEGMENT_MEMBER_NOT_FOUND")
		if got := p.moves(ctx, s.GetName(), ""); got != "+c1 LIST 0, -c1 LIST 0" {
			t.Errorf("history: %s", got)
		}
		_, err = p.segments().EvaluateSegment(ctx, &identityv1.EvaluateSegmentRequest{Name: s.GetName()})
		wantError(t, err, errs.Precondition, "SEGMENT_NOT_RULE")
		ruled := p.segment(ctx, "ruled", "false")
		_, err = p.segments().CreateSegmentMember(ctx, &identityv1.CreateSegmentMemberRequest{
			Parent: ruled.GetName(), SegmentMember: &identityv1.SegmentMember{Customer: c},
		})
		wantError(t, err, errs.Precondition, "SEGMENT_NOT_FIXED")
		// A list forgets whoever was deleted.
		if err := create(c); err != nil {
			t.Fatal(err)
		}
		if _, err := p.customers().DeleteCustomer(ctx, &identityv1.DeleteCustomerRequest{Name: c}); err != nil {
			t.Fatal(err)
		}
		if got := p.members(ctx, s.GetName()); got != "" {
			t.Errorf("after its deletion: %s", got)
		}
		wantError(t, create(c), errs.NotFound, "CUSTOMER_NOT_FOUND")
	})
}

func TestSegment_aDeletedOneLeavesNothing(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c := p.add(ctx, "c1", &identityv1.Customer{})
		s := p.segment(ctx, "all", "true")
		p.evaluated(ctx, s.GetName())
		_, err := p.segments().DeleteSegment(ctx, &identityv1.DeleteSegmentRequest{Name: s.GetName(), Etag: "other"})
		wantError(t, err, errs.Conflict, "ETAG_MISMATCH")
		if _, err := p.segments().DeleteSegment(ctx, &identityv1.DeleteSegmentRequest{Name: s.GetName(), Etag: s.GetEtag()}); err != nil {
			t.Fatal(err)
		}
		_, err = p.segments().ListSegmentMembers(ctx, &identityv1.ListSegmentMembersRequest{Parent: s.GetName()})
		wantError(t, err, errs.NotFound, "SEGMENT_NOT_FOUND")
		in, err := p.segments().ListSegmentMemberships(ctx, &identityv1.ListSegmentMembershipsRequest{Parent: c.GetName()})
		if err != nil || len(in.GetSegmentMemberships()) != 0 {
			t.Errorf("memberships: %v %v", in, err)
		}
		again := p.segment(ctx, "all", "")
		if got := p.members(ctx, again.GetName()) + p.moves(ctx, again.GetName(), ""); got != "" {
			t.Errorf("the next of the name has %s", got)
		}
		events := p.events(ctx, "guildhall.identity.segment.")
		if got := strings.Join(about(events, s.GetName()), " "); got != "segment.created segment.deleted segment.created" {
			t.Errorf("events: %s", got)
		}
	})
}

func TestSegment_refusesRulesThatCannotBeRun(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	for rule, reason := range map[string]string{
		`customer.country`:                 "RULE_INVALID",
		`customer.country > 3`:             "RULE_INVALID",
		`customer.attributes.points > 3.0`: "RULE_INVALID", // not defined
		`now > customer.create_time`:       "RULE_INVALID", // time by the back door
		`customer.tags.exists(a, customer.tags.exists(b, customer.tags.exists(c, a == b && b == c)))`: "RULE_TOO_COSTLY",
		``: "RULE_INVALID",
	} {
		_, err := p.segments().CreateSegment(ctx, &identityv1.CreateSegmentRequest{
			Parent: org, Segment: &identityv1.Segment{DisplayName: "x", Kind: identityv1.Segment_KIND_RULE, Rule: rule},
		})
		wantError(t, err, errs.Invalid, reason)
		if v := errs.From(err).Violations; len(v) != 1 || v[0].Field != "segment.rule" {
			t.Errorf("%s: violations %v", rule, v)
		}
	}
	_, err := p.segments().CreateSegment(ctx, &identityv1.CreateSegmentRequest{
		Parent: org, Segment: &identityv1.Segment{DisplayName: "x", Kind: identityv1.Segment_KIND_FIXED, Rule: "true"},
	})
	wantError(t, err, errs.Invalid, "RULE_INVALID")
	_, err = p.segments().GetSegment(ctx, &identityv1.GetSegmentRequest{Name: "organizations/other/segments/x"})
	wantError(t, err, errs.NotFound, "RESOURCE_NOT_FOUND")
	request := &identityv1.CreateSegmentRequest{
		Parent: org, Segment: &identityv1.Segment{DisplayName: "x", Kind: identityv1.Segment_KIND_RULE, Rule: "true"}, RequestId: "r1",
	}
	first, err := p.segments().CreateSegment(ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := p.segments().CreateSegment(ctx, request); err != nil || again.GetName() != first.GetName() {
		t.Errorf("a retry: %v %v", again, err)
	}
	request.Segment.DisplayName = "y"
	_, err = p.segments().CreateSegment(ctx, request)
	wantError(t, err, errs.Invalid, "REQUEST_ID_REUSED")
}
