package chronicle

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/anypb"

	"guildhall.dev/pkg/errs"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// TestNeeds_everyKindHasOne: an event of a kind that was forgotten would be nobody's.
func TestNeeds_everyKindHasOne(t *testing.T) {
	for number, name := range identityv1.TimelineEvent_Kind_name {
		kind := identityv1.TimelineEvent_Kind(number)
		needs := Needs(&identityv1.TimelineEvent{Name: "organizations/acme/customers/c1/timelineEvents/x-1-1", Kind: kind, Resource: "organizations/acme/r/1"})
		if (len(needs) == 0) != (kind == 0) {
			t.Errorf("%s needs %v", name, needs)
		}
		for _, n := range needs {
			if !strings.HasPrefix(n.Resource, "organizations/acme") || strings.Count(n.Permission, ".") != 2 {
				t.Errorf("%s needs %v", name, n)
			}
		}
	}
}

// TestRules_everyKindIsRead by a rule, but for the one that a rule chooses itself, and
// no feed is asked for more types than a request may name.
func TestRules_everyKindIsRead(t *testing.T) {
	kinds := map[identityv1.TimelineEvent_Kind]bool{0: true, identityv1.TimelineEvent_KIND_CLASSIFICATION: true}
	for _, r := range rules() {
		kinds[r.kind] = true
	}
	for number, name := range identityv1.TimelineEvent_Kind_name {
		if !kinds[identityv1.TimelineEvent_Kind(number)] {
			t.Errorf("no rule reads %s", name)
		}
	}
	s := NewScribe(nil, nil)
	for source, want := range map[string]string{
		"groupchat":  "guildhall.groupchat.member.",
		"feedback":   "guildhall.feedback.complaint. guildhall.feedback.response.",
		"permission": "guildhall.permission.admin_appointment. guildhall.permission.appointment_notice. guildhall.permission.change_request. guildhall.permission.grant. guildhall.permission.notice.",
	} {
		if got := strings.Join(s.Prefixes(source), " "); got != want {
			t.Errorf("of %s: %s", source, got)
		}
	}
}

// TestApply_readsNothingForWhatIsNone: what is no customer's costs no read; the scribe
// has no books here.
func TestApply_readsNothingForWhatIsNone(t *testing.T) {
	s := NewScribe(nil, nil)
	data := func(m *identityv1.AccountStateChanged) *anypb.Any {
		out, err := anypb.New(m)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, e := range []*eventv1.Event{
		{Type: "guildhall.identity.tag.created.v1", Subject: "organizations/acme/tagGroups/g/tags/t"},
		{Type: "guildhall.identity.account.purged.v1", Subject: "organizations/acme/customers/c1"},
		{Type: "guildhall.identity.account.updated.v1", Subject: "organizations/acme/staff/s1"},
		{Type: "guildhall.identity.account.state_changed.v1", Subject: "organizations/acme/customers/c1", Data: data(&identityv1.AccountStateChanged{State: "PENDING", Created: true})},
		{Type: "guildhall.identity.task.created.v1", Subject: "organizations/acme/tasks/t1"},
		{Type: "guildhall.feedback.response.erased.v1", Subject: "organizations/acme/surveys/s/responses/r"},
		{Type: "odd"},
	} {
		if outcome, err := s.Apply(nil, e); outcome != Ignored || err != nil {
			t.Errorf("%s: %s, %v", e.GetType(), outcome, err)
		}
	}
	odd := &eventv1.Event{Type: "guildhall.identity.task.created.v1", Data: data(&identityv1.AccountStateChanged{State: "ACTIVE"})}
	if _, err := s.Apply(nil, odd); !errs.Is(err, errs.Invalid) || errs.ReasonOf(err) != "EVENT_INVALID" {
		t.Errorf("data of another type: %v", err)
	}
	foreign := &eventv1.Event{Type: "guildhall.identity.stage.transitioned.v1", Subject: "organizations/acme/customers/c1", Organization: "organizations/other"}
	if _, err := s.Apply(nil, foreign); !errs.Is(err, errs.Invalid) {
		t.Errorf("an event of another organization: %v", err)
	}
}
