package identity_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

func TestInteraction_isWrittenDownAndCorrected(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c := p.add(ctx, "c1", &identityv1.Customer{}).GetName()
		_, asAda := p.colleague(ctx, "ada")
		todo := p.task(ctx, "callback", &identityv1.Task{Customer: c})
		asked := spoke("price", 0)
		asked.NextStep, asked.Task, asked.Complaint = "call back", todo.GetName(), c+"/complaints/k1"
		made := p.interaction(asAda, c, asked)
		want := proto.CloneOf(asked)
		want.Name, want.Staff, want.Creator, want.Etag = made.GetName(), ada, ada, made.GetEtag()
		want.CreateTime, want.UpdateTime = made.GetCreateTime(), made.GetUpdateTime()
		if diff := cmp.Diff(want, made, protocmp.Transform()); diff != "" || made.GetCreateTime() == nil {
			t.Errorf("made (-want +got):\n%s", diff)
		}
		got, err := p.interactions().GetInteraction(ctx, &identityv1.GetInteractionRequest{Name: made.GetName()})
		if diff := cmp.Diff(made, got, protocmp.Transform()); err != nil || diff != "" {
			t.Errorf("get: %v\n%s", err, diff)
		}
		change := &identityv1.UpdateInteractionRequest{
			Interaction: &identityv1.Interaction{Name: made.GetName(), Outcome: followUp, Etag: "AAAAAAAAAAAAAAAA"},
			UpdateMask:  &fieldmaskpb.FieldMask{Paths: []string{"outcome", "note"}},
		}
		wantError(t, second(p.interactions().UpdateInteraction(ctx, change)), errs.Conflict, "ETAG_MISMATCH")
		change.Interaction.Etag = made.GetEtag()
		got, err = p.interactions().UpdateInteraction(ctx, change)
		if err != nil || got.GetOutcome() != followUp || got.GetNote() != "" || got.GetSubject() != "price" || got.GetStaff() != ada {
			t.Errorf("update: %v, %v", got, err)
		}
		change.UpdateMask.Paths, change.Interaction.Etag = []string{"staff"}, ""
		wantError(t, second(p.interactions().UpdateInteraction(ctx, change)), errs.Invalid, "UPDATE_MASK_INVALID")
		wantError(t, second(p.interactions().DeleteInteraction(ctx, &identityv1.DeleteInteractionRequest{Name: made.GetName(), Etag: made.GetEtag()})), errs.Conflict, "ETAG_MISMATCH")
		if gone, err := p.interactions().DeleteInteraction(ctx, &identityv1.DeleteInteractionRequest{Name: made.GetName()}); err != nil || gone.GetSubject() != "price" {
			t.Errorf("delete: %v, %v", gone, err)
		}
		wantError(t, second(p.interactions().GetInteraction(ctx, &identityv1.GetInteractionRequest{Name: made.GetName()})), errs.NotFound, "INTERACTION_NOT_FOUND")
		wantError(t, p.noted(ctx, made.GetName(), "x"), errs.NotFound, "INTERACTION_NOT_FOUND")
		if got := strings.Join(about(p.events(ctx, "guildhall.identity.interaction."), made.GetName()), " "); got != "interaction.created interaction.updated interaction.deleted" {
			t.Errorf("events are %s", got)
		}
	})
}

// TestInteraction_isLockedInTime: what was written down is evidence behind the
// policy's time, as it is at that moment; how good it was can be said all the same.
func TestInteraction_isLockedInTime(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c := p.add(ctx, "c1", &identityv1.Customer{}).GetName()
		name := p.interaction(ctx, c, spoke("price", 0)).GetName()
		policy, err := p.interactions().GetInteractionPolicy(ctx, &identityv1.GetInteractionPolicyRequest{Name: org + "/interactionPolicy"})
		if err != nil || policy.GetLockAfter().AsDuration() != 7*24*time.Hour || policy.GetEtag() != "" {
			t.Errorf("the policy is %v, %v", policy, err)
		}
		p.clock.advance(7*24*time.Hour - time.Minute)
		ctx = p.relogin()
		if err := p.noted(ctx, name, "in time"); err != nil {
			t.Error(err)
		}
		p.clock.advance(time.Minute)
		wantError(t, p.noted(ctx, name, "late"), errs.Precondition, "INTERACTION_LOCKED")
		wantError(t, second(p.interactions().DeleteInteraction(ctx, &identityv1.DeleteInteractionRequest{Name: name})), errs.Precondition, "INTERACTION_LOCKED")
		if err := p.noted(ctx, name, "in time"); err != nil {
			t.Errorf("a change of nothing: %v", err)
		}
		p.lockAfter(ctx, 8*24*time.Hour)
		if err := p.noted(ctx, name, "again"); err != nil {
			t.Error(err)
		}
		p.lockAfter(ctx, 0)
		now := p.interaction(ctx, c, spoke("at once", 0))
		wantError(t, p.noted(ctx, now.GetName(), "late"), errs.Precondition, "INTERACTION_LOCKED")
		_, asAda := p.colleague(ctx, "ada")
		if got, err := p.reviewed(asAda, name, 4); err != nil || got.GetReview().GetScore() != 4 {
			t.Errorf("the review of a locked one: %v, %v", got, err)
		}
	})
}

func TestReviewInteraction_byAnotherThanWhoHadIt(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c := p.add(ctx, "c1", &identityv1.Customer{}).GetName()
		_, asAda := p.colleague(ctx, "ada")
		_, asBob := p.colleague(ctx, "bob")
		asked := spoke("price", 0)
		asked.Staff = bob // Ada writes down what Bob told her
		name := p.interaction(asAda, c, asked).GetName()
		for _, self := range []context.Context{asAda, asBob} {
			wantError(t, second(p.reviewed(self, name, 5)), errs.Precondition, "SELF_FORBIDDEN")
		}
		got, err := p.reviewed(ctx, name, 2)
		if r := got.GetReview(); err != nil || r.GetScore() != 2 || r.GetNote() != "tone" || r.GetReviewer() != admin || r.GetReviewTime() == nil {
			t.Errorf("the review is %v, %v", got, err)
		}
		wantError(t, second(p.interactions().ReviewInteraction(ctx, &identityv1.ReviewInteractionRequest{Name: name, Score: 5, Etag: "AAAAAAAAAAAAAAAA"})), errs.Conflict, "ETAG_MISMATCH")
		for _, score := range []int32{0, 6} {
			if err := second(p.reviewed(ctx, name, score)); !errs.Is(err, errs.Invalid) {
				t.Errorf("a score of %d: %v", score, err)
			}
		}
		if got, err = p.reviewed(ctx, name, 5); err != nil || got.GetReview().GetScore() != 5 {
			t.Errorf("another review: %v, %v", got, err)
		}
		wantError(t, second(p.reviewed(ctx, c+"/interactions/none", 5)), errs.NotFound, "INTERACTION_NOT_FOUND")
		if got := strings.Join(about(p.events(ctx, "guildhall.identity.interaction."), name), " "); got != "interaction.created interaction.reviewed interaction.reviewed" {
			t.Errorf("events are %s", got)
		}
	})
}

func TestInteractions_requestIDs(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	c := p.add(ctx, "c1", &identityv1.Customer{}).GetName()
	r := &identityv1.CreateInteractionRequest{Parent: c, Interaction: spoke("price", 0), RequestId: "r1"}
	made, err := p.interactions().CreateInteraction(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := p.interactions().CreateInteraction(ctx, r); err != nil || again.GetName() != made.GetName() {
		t.Errorf("the retry answers %v, %v", again, err)
	}
	r.Interaction.Note = "other"
	wantError(t, second(p.interactions().CreateInteraction(ctx, r)), errs.Invalid, "REQUEST_ID_REUSED")
	told := p.interaction(ctx, c, from("pbx", "1", spoke("told", 0)))
	if again := p.interaction(ctx, c, from("pbx", "1", spoke("told", 0))); again.GetName() != told.GetName() || again.GetEtag() != told.GetEtag() {
		t.Errorf("told again it is %v", again)
	}
	r = &identityv1.CreateInteractionRequest{Parent: c, Interaction: from("pbx", "1", spoke("otherwise", 0))}
	wantError(t, second(p.interactions().CreateInteraction(ctx, r)), errs.Exists, "INTERACTION_CONFLICT")
}

// long: one table of bad input.
func TestInteractions_badInputSaysWhy(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	c := p.add(ctx, "c1", &identityv1.Customer{}).GetName()
	other := p.add(ctx, "c2", &identityv1.Customer{}).GetName()
	theirs := p.task(ctx, "theirs", &identityv1.Task{Customer: other})
	gone := p.staffMember(ctx, "gone", &identityv1.StaffMember{DisplayName: "gone"}).GetName()
	if _, err := p.staff().DisableStaffMember(ctx, &identityv1.DisableStaffMemberRequest{Name: gone}); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []struct {
		change func(*identityv1.Interaction)
		kind   errs.Kind
		reason string
	}{
		{func(i *identityv1.Interaction) { i.Kind = 0 }, errs.Invalid, "VALIDATION_FAILED"},
		{func(i *identityv1.Interaction) { i.Kind = 99 }, errs.Invalid, "VALIDATION_FAILED"},
		{func(i *identityv1.Interaction) { i.StartTime = nil }, errs.Invalid, "VALIDATION_FAILED"},
		{func(i *identityv1.Interaction) { i.Duration = durationpb.New(-time.Second) }, errs.Invalid, "VALIDATION_FAILED"},
		{func(i *identityv1.Interaction) { i.Note = strings.Repeat("x", 10001) }, errs.Invalid, "VALIDATION_FAILED"},
		{func(i *identityv1.Interaction) { i.Source, i.ExternalId = "The PBX", "1" }, errs.Invalid, "VALIDATION_FAILED"},
		{func(i *identityv1.Interaction) { i.Source = "pbx" }, errs.Invalid, "INTERACTION_SOURCE_INVALID"},
		{func(i *identityv1.Interaction) { i.ExternalId = "1" }, errs.Invalid, "INTERACTION_SOURCE_INVALID"},
		{func(i *identityv1.Interaction) { i.StartTime = timestamppb.New(p.clock.now().AddDate(0, 0, 2)) }, errs.Invalid, "INTERACTION_TIME_INVALID"},
		{func(i *identityv1.Interaction) { i.StartTime = &timestamppb.Timestamp{Seconds: -3e9} }, errs.Invalid, "INTERACTION_TIME_INVALID"},
		{func(i *identityv1.Interaction) { i.Staff = gone }, errs.Precondition, "STAFF_MEMBER_NOT_ACTIVE"},
		{func(i *identityv1.Interaction) { i.Staff = org + "/staff/none" }, errs.NotFound, "STAFF_MEMBER_NOT_FOUND"},
		{func(i *identityv1.Interaction) { i.Staff = "organizations/other/staff/chief" }, errs.NotFound, "STAFF_MEMBER_NOT_FOUND"},
		{func(i *identityv1.Interaction) { i.Staff = other }, errs.NotFound, "STAFF_MEMBER_NOT_FOUND"},
		{func(i *identityv1.Interaction) { i.Task = theirs.GetName() }, errs.NotFound, "TASK_NOT_FOUND"},
		{func(i *identityv1.Interaction) { i.Task = org + "/tasks/none" }, errs.NotFound, "TASK_NOT_FOUND"},
		{func(i *identityv1.Interaction) { i.Task = "call back" }, errs.Invalid, "RESOURCE_NAME_INVALID"},
		{func(i *identityv1.Interaction) { i.Complaint = "nonsense" }, errs.Invalid, "COMPLAINT_MISMATCH"},
		{func(i *identityv1.Interaction) { i.Complaint = other + "/complaints/k1" }, errs.Invalid, "COMPLAINT_MISMATCH"},
	} {
		i := spoke("bad", 0)
		bad.change(i)
		wantError(t, second(p.interactions().CreateInteraction(ctx, &identityv1.CreateInteractionRequest{Parent: c, Interaction: i})), bad.kind, bad.reason)
	}
	good := p.interaction(ctx, c, spoke("good", 0)).GetName()
	for _, i := range []*identityv1.Interaction{{Task: theirs.GetName()}, {Complaint: other + "/complaints/k1"}, {StartTime: &timestamppb.Timestamp{Seconds: -3e9}}} {
		i.Name = good
		if err := second(p.interactions().UpdateInteraction(ctx, &identityv1.UpdateInteractionRequest{Interaction: i})); errs.ReasonOf(err) == "" {
			t.Errorf("an update to %v: %v", i, err)
		}
	}
	if got := p.spoken(ctx, org, ""); got != "good" {
		t.Errorf("there is %q", got)
	}
	_, err := p.customers().DeleteCustomer(ctx, &identityv1.DeleteCustomerRequest{Name: c})
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, second(p.interactions().CreateInteraction(ctx, &identityv1.CreateInteractionRequest{Parent: c, Interaction: spoke("x", 0)})), errs.Precondition, "ILLEGAL_STATE")
	wantError(t, second(p.interactions().CreateInteraction(ctx, &identityv1.CreateInteractionRequest{Parent: c + "x", Interaction: spoke("x", 0)})), errs.NotFound, "CUSTOMER_NOT_FOUND")
	wantError(t, second(p.interactions().ListInteractions(ctx, &identityv1.ListInteractionsRequest{Parent: c, Filter: `note = "x"`})), errs.Invalid, "FILTER_INVALID")
	wantError(t, second(p.interactions().ListInteractions(ctx, &identityv1.ListInteractionsRequest{Parent: gone})), errs.Invalid, "RESOURCE_NAME_INVALID")
	wantError(t, second(p.interactions().ListInteractions(ctx, &identityv1.ListInteractionsRequest{Parent: c + "x"})), errs.NotFound, "CUSTOMER_NOT_FOUND")
}

func TestListInteractions_newestFirst(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c, d := p.add(ctx, "c1", &identityv1.Customer{}).GetName(), p.add(ctx, "c2", &identityv1.Customer{}).GetName()
		_, asAda := p.colleague(ctx, "ada")
		mail := spoke("mail", 2)
		mail.Kind, mail.Outcome = aMail, followUp
		p.interaction(ctx, c, spoke("first", 0))
		p.interaction(ctx, c, spoke("third", 3))
		p.interaction(asAda, c, mail)
		p.interaction(asAda, d, spoke("other", 1))
		p.interaction(asAda, d, spoke("last", 4))
		for _, want := range []struct{ parent, filter, list string }{
			{c, "", "third mail first"},
			{c, `kind = "CALL"`, "third first"},
			{c, `outcome = "FOLLOW_UP"`, "mail"},
			{c, `staff = "` + ada + `"`, "mail"},
			{c, `start_time >= "2026-03-12T12:00:00Z" AND start_time < "2026-03-13T12:00:00Z"`, "mail"},
			{org, "", "last third mail other first"},
			{org, `staff = "` + ada + `"`, "last mail other"},
			{org, `staff = "` + ada + `" AND start_time < "2026-03-13T00:00:00Z"`, "mail other"},
			{org, `staff = "` + c + `"`, ""},
			{org, `staff = "organizations/other/staff/chief"`, ""},
			{org, `kind = "VISIT"`, ""},
		} {
			if got := p.spoken(ctx, want.parent, want.filter); got != want.list {
				t.Errorf("%s %s: %q, want %q", want.parent, want.filter, got, want.list)
			}
		}
	})
}

func TestInteractions_ofOtherTenantsAndWithoutPermission(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	c := p.add(ctx, "c1", &identityv1.Customer{}).GetName()
	name := p.interaction(ctx, c, spoke("price", 0)).GetName()
	chief, _ := other(t, p, ctx)
	policy := &identityv1.InteractionPolicy{Name: org + "/interactionPolicy", LockAfter: durationpb.New(0)}
	calls := func(ctx context.Context) map[string]error {
		return map[string]error{
			"interactions.create":        second(p.interactions().CreateInteraction(ctx, &identityv1.CreateInteractionRequest{Parent: c, Interaction: spoke("x", 0)})),
			"interactions.get":           second(p.interactions().GetInteraction(ctx, &identityv1.GetInteractionRequest{Name: name})),
			"interactions.list":          second(p.interactions().ListInteractions(ctx, &identityv1.ListInteractionsRequest{Parent: c})),
			"interactions.update":        p.noted(ctx, name, "x"),
			"interactions.delete":        second(p.interactions().DeleteInteraction(ctx, &identityv1.DeleteInteractionRequest{Name: name})),
			"interactions.review":        second(p.reviewed(ctx, name, 5)),
			"interactions.summarize":     second(p.interactions().SummarizeInteractions(ctx, &identityv1.SummarizeInteractionsRequest{Parent: c})),
			"interactions.ingest":        second(p.interactions().IngestInteractions(ctx, &identityv1.IngestInteractionsRequest{Parent: org, Items: []*identityv1.IngestedInteraction{{}}})),
			"interactionPolicies.get":    second(p.interactions().GetInteractionPolicy(ctx, &identityv1.GetInteractionPolicyRequest{Name: policy.GetName()})),
			"interactionPolicies.update": second(p.interactions().UpdateInteractionPolicy(ctx, &identityv1.UpdateInteractionPolicyRequest{InteractionPolicy: policy})),
		}
	}
	for call, err := range calls(chief) {
		if !errs.Is(err, errs.NotFound) {
			t.Errorf("%s from elsewhere: %v, want not found", call, err)
		}
	}
	for call := range calls(chief) {
		p.checker.forbid("identity." + call)
	}
	for call, err := range calls(ctx) {
		if errs.ReasonOf(err) != "PERMISSION_DENIED" {
			t.Errorf("%s without permission: %v", call, err)
		}
	}
}
