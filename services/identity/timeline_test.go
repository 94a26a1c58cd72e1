package identity_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"google.golang.org/protobuf/types/known/durationpb"

	"guildhall.dev/pkg/errs"
	feedbackv1 "guildhall.dev/proto/gen/guildhall/feedback/v1"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// known is a customer of whom identity knows something: an order, an interaction, an
// owner and a task.
func known(p *process, ctx context.Context, id string) (customer, owner string) {
	p.t.Helper()
	customer = p.add(ctx, id, &identityv1.Customer{DisplayName: "Ada"}).GetName()
	owner, _ = p.colleague(ctx, "clerk-"+id)
	p.interaction(ctx, customer, spoke("lanterns", 0))
	p.order(ctx, customer, bought("N-"+id, -30, 4)) // comes in late
	if err := p.assign(ctx, customer, owner); err != nil {
		p.t.Fatal(err)
	}
	p.clock.advance(time.Minute)
	p.task(ctx, "call-"+id, &identityv1.Task{Customer: customer, Assignee: owner})
	p.clock.advance(time.Minute)
	return customer, owner
}

// heard tells of what the sisters have about a customer, one second after the other,
// and returns the feed of the first.
func (p *process) heard(customer string) *sisterFeed {
	p.t.Helper()
	g, f, m := p.sister("groupchat"), p.sister("feedback"), p.sister("permission")
	at, n := p.clock.now(), 0
	next := func() time.Time { n++; return at.Add(time.Duration(n) * time.Second) }
	p.tell(g, "guildhall.groupchat.member.created.v1", org+"/groups/g1/members/m1", next(),
		&groupchatv1.MemberChanged{Group: org + "/groups/g1", Account: customer, Role: "MEMBER"})
	p.tell(f, "guildhall.feedback.response.created.v1", org+"/surveys/s1/responses/r1", next(),
		&feedbackv1.ResponseCreated{Survey: org + "/surveys/s1", Respondent: customer})
	p.tell(f, "guildhall.feedback.complaint.created.v1", customer+"/complaints/k1", next(), &feedbackv1.ComplaintChanged{To: "RECEIVED"})
	p.tell(m, "guildhall.permission.grant.created.v1", org+"/grants/g1", next(), &permissionv1.GrantChanged{Subject: customer, Role: "roles/viewer"})
	p.tell(m, "guildhall.permission.grant.created.v1", org+"/grants/g2", next(), &permissionv1.GrantChanged{Subject: customer, Role: "roles/group.member"})
	p.tell(m, "guildhall.permission.notice.created.v1", customer+"/notices/n1", next(), &permissionv1.NoticeChanged{})
	p.tell(f, "guildhall.feedback.complaint.state_changed.v1", customer+"/complaints/k1", next(), &feedbackv1.ComplaintChanged{To: "CLOSED"})
	return g
}

// hearsAll waits until the timeline has all that was heard of.
func (p *process) hearsAll(ctx context.Context, customer string) {
	p.t.Helper()
	p.until(func() bool {
		got := p.line(ctx, customer, "", 50)
		return strings.Contains(got, "COMPLAINT:state_changed") && strings.Contains(got, "NOTICE:created") && strings.Contains(got, "GROUP_MEMBERSHIP:created")
	})
}

func TestListTimelineEvents_ofAllServicesTheLastFirst(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c, owner := known(p, ctx, "c1")
		other := p.add(ctx, "c2", &identityv1.Customer{}).GetName()
		const own = "TASK:created OWNERSHIP:assigned"
		const past = "INTERACTION:created ORDER:created"
		if got := p.line(ctx, c, "", 50); !strings.HasPrefix(got, own) || !strings.HasSuffix(got, past) {
			t.Errorf("of identity alone: %s", got)
		}
		p.heard(c)
		all := "COMPLAINT:state_changed=CLOSED NOTICE:created GRANT:created COMPLAINT:created=RECEIVED SURVEY_RESPONSE:created GROUP_MEMBERSHIP:created " + own
		p.until(func() bool { return strings.HasPrefix(p.line(ctx, c, "", 50), all) })
		whole := p.line(ctx, c, "", 50)
		if got := p.line(ctx, c, "", 3); got != whole {
			t.Errorf("in pages of three: %s\nwhole: %s", got, whole)
		}
		for filter, want := range map[string]string{
			`kind = "COMPLAINT"`:                          "COMPLAINT:state_changed=CLOSED COMPLAINT:created=RECEIVED",
			`source = "groupchat"`:                        "GROUP_MEMBERSHIP:created",
			`event_time < "2026-03-05T00:00:00Z"`:         "ORDER:created",
			`kind = "ORDER" AND source = "permission"`:    "",
			`source = "feedback" AND kind = "COMPLAINT" `: "COMPLAINT:state_changed=CLOSED COMPLAINT:created=RECEIVED",
		} {
			if got := p.line(ctx, c, filter, 1); got != want {
				t.Errorf("%s: %q, want %q", filter, got, want)
			}
		}
		if got := p.line(ctx, other, "", 50); got != "" {
			t.Errorf("of another: %s", got)
		}
		resp, err := p.timelines().ListTimelineEvents(ctx, &identityv1.ListTimelineEventsRequest{Parent: c, Filter: `kind = "TASK"`})
		if err != nil || len(resp.GetTimelineEvents()) != 1 {
			t.Fatalf("the task: %v, %v", resp, err)
		}
		if e := resp.GetTimelineEvents()[0]; e.GetStaff() != owner || e.GetResource() != org+"/tasks/call-c1" || e.GetSource() != "identity" {
			t.Errorf("the task: %v", e)
		}
		late, err := p.timelines().ListTimelineEvents(ctx, &identityv1.ListTimelineEventsRequest{Parent: c, Filter: `kind = "ORDER"`})
		if err != nil || !late.GetTimelineEvents()[0].GetRecordTime().AsTime().After(late.GetTimelineEvents()[0].GetEventTime().AsTime()) {
			t.Errorf("the late order: %v, %v", late, err)
		}
	})
}

func TestListTimelineEvents_onlyWhatTheCallerMayRead(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c, _ := known(p, ctx, "c1")
		p.heard(c)
		p.hearsAll(ctx, c)
		whole := p.line(ctx, c, "", 50)
		without := func(kinds ...string) string {
			var left []string
			for _, each := range strings.Fields(whole) {
				keep := true
				for _, k := range kinds {
					keep = keep && !strings.HasPrefix(each, k+":")
				}
				if keep {
					left = append(left, each)
				}
			}
			return strings.Join(left, " ")
		}
		p.permission.set(false, lacking("feedback.complaints.get"), lacking("identity.tasks.list"), lacking("permission.grants.get"))
		for _, size := range []int32{1, 3, 50} {
			if got, want := p.line(ctx, c, "", size), without("COMPLAINT", "TASK", "GRANT"); got != want {
				t.Errorf("in pages of %d: %s\nwant %s", size, got, want)
			}
		}
		p.permission.set(false)
		p.permission.hide([]string{org + "/groups/g1/members/m1"}, nil)
		if got, want := p.line(ctx, c, "", 50), without("GROUP_MEMBERSHIP"); got != want {
			t.Errorf("without the group: %s\nwant %s", got, want)
		}
		list := func(r *identityv1.ListTimelineEventsRequest) error {
			return second(p.timelines().ListTimelineEvents(ctx, r))
		}
		wantError(t, list(&identityv1.ListTimelineEventsRequest{Parent: org + "/customers/none"}), errs.NotFound, "CUSTOMER_NOT_FOUND")
		wantError(t, list(&identityv1.ListTimelineEventsRequest{Parent: "organizations/other/customers/c1"}), errs.NotFound, "RESOURCE_NOT_FOUND")
		wantError(t, list(&identityv1.ListTimelineEventsRequest{Parent: org + "/staff/admin"}), errs.Invalid, "RESOURCE_NAME_INVALID")
		wantError(t, list(&identityv1.ListTimelineEventsRequest{Parent: c, Filter: `kind = "LUNCH"`}), errs.Invalid, "FILTER_INVALID")
		wantError(t, list(&identityv1.ListTimelineEventsRequest{Parent: c, PageToken: "x"}), errs.Invalid, "PAGE_TOKEN_INVALID")
		p.permission.set(true)
		wantError(t, list(&identityv1.ListTimelineEventsRequest{Parent: c}), errs.Unavailable, "PERMISSION_UNAVAILABLE")
		p.permission.set(false)
		p.checker.forbid("identity.timelineEvents.list")
		wantError(t, list(&identityv1.ListTimelineEventsRequest{Parent: c}), errs.Denied, "PERMISSION_DENIED")
	})
}

// TestListTimelineEvents_customersSeeTheirOwn: but for what is the staff's, also when
// somebody has granted them all.
func TestListTimelineEvents_customersSeeTheirOwn(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	c, owner := known(p, ctx, "c1")
	if _, err := p.reviewed(ctx, p.interaction(ctx, c, spoke("prices", 1)).GetName(), 4); !errs.Is(err, errs.Precondition) && err != nil {
		t.Fatal(err)
	}
	next, _ := p.colleague(ctx, "next")
	if _, err := p.propose(ctx, c, next); err != nil {
		t.Fatal(err)
	}
	if got := p.line(ctx, c, "", 50); !strings.Contains(got, "TASK") || !strings.Contains(got, "OWNERSHIP_TRANSFER") {
		t.Errorf("for staff: %s", got)
	}
	resp, err := p.timelines().ListTimelineEvents(with(p.accept(ctx, c)), &identityv1.ListTimelineEventsRequest{Parent: c})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range resp.GetTimelineEvents() {
		switch e.GetKind() {
		case identityv1.TimelineEvent_KIND_TASK, identityv1.TimelineEvent_KIND_OWNERSHIP_TRANSFER:
			t.Errorf("the customer sees %v", e)
		case identityv1.TimelineEvent_KIND_OWNERSHIP:
			if e.GetStaff() != owner {
				t.Errorf("the customer does not see who looks after it: %v", e)
			}
		default:
			if e.GetStaff() != "" {
				t.Errorf("the customer sees who of the staff it was: %v", e)
			}
		}
	}
	if len(resp.GetTimelineEvents()) < 3 {
		t.Errorf("the customer sees %v", resp.GetTimelineEvents())
	}
}

// TestTimeline_goesOnWhereAFeedBegins: a sister that is away holds up no other; what
// its feed has lost the coverage owns up to, and nothing is there twice.
func TestTimeline_goesOnWhereAFeedBegins(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c := p.add(ctx, "c1", &identityv1.Customer{}).GetName()
		if got := p.coverage(ctx, c, "feedback"); got.GetCompleteSince() != nil || got.GetLag() != nil {
			t.Errorf("before it is heard: %v", got)
		}
		if got := p.coverage(ctx, c, "identity"); got.GetCompleteSince() == nil || got.GetLag().AsDuration() != 0 {
			t.Errorf("of identity: %v", got)
		}
		f := p.sister("feedback") // permission and groupchat stay away
		complain := func(id string, at time.Time) {
			p.tell(f, "guildhall.feedback.complaint.created.v1", c+"/complaints/"+id, at, &feedbackv1.ComplaintChanged{To: "RECEIVED"})
		}
		complain("k1", p.clock.now())
		p.tell(f, "guildhall.feedback.complaint.created.v1", c+"/complaints/odd", p.clock.now(), &feedbackv1.SurveyChanged{}) // parked
		const one = "COMPLAINT:created=RECEIVED"
		p.until(func() bool { return p.line(ctx, c, "", 5) == one })
		if got := p.coverage(ctx, c, "feedback"); got.GetCompleteSince().GetSeconds() != 0 || got.GetCompleteSince() == nil || got.GetLag() == nil {
			t.Errorf("of a feed that lost nothing: %v", got)
		}
		p.close()
		p.clock.advance(48 * time.Hour)
		complain("lost", p.clock.now().Add(-30*time.Hour))
		if _, err := f.log.Trim(context.Background()); err != nil {
			t.Fatal(err)
		}
		complain("k2", p.clock.now())
		q := p.start(config())
		q.permission.attach("feedback", f)
		ctx = q.relogin()
		q.until(func() bool { return q.line(ctx, c, "", 5) == one+" "+one })
		if got, want := q.coverage(ctx, c, "feedback").GetCompleteSince().AsTime(), q.clock.now().Add(-24*time.Hour); !got.Equal(want) {
			t.Errorf("complete since %v, want %v", got, want)
		}
		q.await("the event is counted", func() bool { // behind its commit
			return q.count("guildhall.identity.timeline.events", attribute.String("source", "feedback"), attribute.String("outcome", "kept")) == 1
		})
	})
}

// TestTimeline_hasNothingOfWhoIsGone: not what there was, nor what comes late.
func TestTimeline_hasNothingOfWhoIsGone(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		p.grace(ctx, durationpb.New(0))
		c, _ := known(p, ctx, "c1")
		kept := p.add(ctx, "c2", &identityv1.Customer{}).GetName()
		f := p.heard(c)
		p.hearsAll(ctx, c)
		if _, err := p.ask(with(p.accept(ctx, c)), c, erasure, ""); err != nil {
			t.Fatal(err)
		}
		p.until(func() bool { return p.erased(ctx, c) && p.line(ctx, c, "", 50) == "" })
		p.tell(f, "guildhall.groupchat.member.deleted.v1", org+"/groups/g1/members/m1", p.clock.now(), &groupchatv1.MemberChanged{Account: c})
		p.tell(f, "guildhall.groupchat.member.created.v1", org+"/groups/g1/members/m1", p.clock.now(), &groupchatv1.MemberChanged{Account: org + "/customers/never"})
		p.tell(f, "guildhall.groupchat.member.created.v1", org+"/groups/g1/members/m1", p.clock.now(), &groupchatv1.MemberChanged{Account: kept})
		p.until(func() bool { return p.line(ctx, kept, "", 50) == "GROUP_MEMBERSHIP:created" })
		if got := p.line(ctx, c, "", 50); got != "" {
			t.Errorf("of an erased customer: %s", got)
		}
	})
}

func TestGetCustomerView_eachPartUnderItsPermission(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c, owner := known(p, ctx, "c1")
		p.heard(c)
		if _, err := p.ask(ctx, c, rectify, ""); err != nil {
			t.Fatal(err)
		}
		p.hearsAll(ctx, c)
		v := p.viewed(ctx, c)
		if v.GetCustomer().GetDisplayName() != "Ada" || v.GetOwnership().GetOwner() != owner || v.GetPurchases().GetPurchaseCount() != 1 || len(v.GetInteractions()) != 1 ||
			v.GetOpen().GetTaskCount() != 1 || v.GetOpen().GetDataSubjectRequestCount() != 1 || v.GetOpen().GetComplaintCount() != 0 ||
			len(v.GetTimelineEvents()) < 9 || len(v.GetCoverage()) != 4 || len(v.GetWithheld()) != 0 {
			t.Errorf("the view is %v", v)
		}
		p.permission.set(false, lacking("identity.purchaseSummaries.get"), lacking("identity.tasks.list"), lacking("identity.customers.get"), lacking("identity.timelineEvents.list"))
		v = p.viewed(ctx, c)
		if got := strings.Join(v.GetWithheld(), " "); got != "customer purchases open.task_count timeline_events" {
			t.Errorf("withheld: %s", got)
		}
		if v.GetCustomer() != nil || v.GetPurchases() != nil || v.GetOpen().GetTaskCount() != 0 || v.GetTimelineEvents() != nil || v.GetOwnership().GetOwner() != owner {
			t.Errorf("the view is %v", v)
		}
		p.permission.set(false)
		view := func(name string) error {
			return second(p.timelines().GetCustomerView(ctx, &identityv1.GetCustomerViewRequest{Name: name}))
		}
		wantError(t, view(org+"/customers/none"), errs.NotFound, "CUSTOMER_NOT_FOUND")
		wantError(t, view("organizations/other/customers/c1"), errs.NotFound, "RESOURCE_NOT_FOUND")
		wantError(t, view(org+"/staff/admin"), errs.Invalid, "RESOURCE_NAME_INVALID")
		p.permission.set(true)
		wantError(t, view(c), errs.Unavailable, "PERMISSION_UNAVAILABLE")
		p.permission.set(false)
		p.checker.forbid("identity.customers.view")
		wantError(t, view(c), errs.Denied, "PERMISSION_DENIED")
	})
}

// TestGetCustomerView_openComplaints: those of which the timeline knows no end.
func TestGetCustomerView_openComplaints(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	c := p.add(ctx, "c1", &identityv1.Customer{}).GetName()
	f := p.sister("feedback")
	for i, of := range []struct{ id, state string }{{"k1", "RECEIVED"}, {"k2", "RECEIVED"}, {"k1", "CLOSED"}, {"k3", "RESOLVED"}, {"k4", "WITHDRAWN"}} {
		p.tell(f, "guildhall.feedback.complaint.state_changed.v1", c+"/complaints/"+of.id, p.clock.now().Add(time.Duration(i)*time.Second),
			&feedbackv1.ComplaintChanged{To: of.state})
	}
	p.until(func() bool { return strings.Count(p.line(ctx, c, "", 50), "COMPLAINT") == 5 })
	if got := p.viewed(ctx, c).GetOpen().GetComplaintCount(); got != 2 {
		t.Errorf("%d complaints are open, want k2 and k3", got)
	}
}
