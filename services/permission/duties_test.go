package permission_test

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/errs"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// care is the duty of looking after the customers of a scope.
func (c *crewClient) care(t testing.TB) *permissionv1.DutyProfile {
	t.Helper()
	return must[*permissionv1.DutyProfile](t)(c.CreateDutyProfile(t.Context(), &permissionv1.CreateDutyProfileRequest{
		Parent: acme, DutyProfileId: "care", DutyProfile: &permissionv1.DutyProfile{
			DisplayName: "Customer care", Description: "Answers customers within a day.",
			Items: []*permissionv1.DutyItem{{
				Information: "what customers wrote", Role: "roles/customer.service", Reason: "answers them",
				DefaultExpiry: durationpb.New(90 * 24 * time.Hour),
			}, {
				Information: "who is in which team", Role: "roles/viewer", Resource: acme + "/teams/sales", Reason: "hands cases over",
			}, {
				Information: "the group's settings", Role: "roles/group.admin", Resource: "{scope}", Reason: "runs the group",
			}},
		},
	}))
}

func (c *crewClient) assign(t testing.TB, subject, scope string) *permissionv1.DutyAssignment {
	t.Helper()
	return must[*permissionv1.DutyAssignment](t)(c.AssignDuty(t.Context(), &permissionv1.AssignDutyRequest{
		Parent: acme, DutyAssignment: &permissionv1.DutyAssignment{Subject: subject, DutyProfile: acme + "/dutyProfiles/care", Scope: scope},
	}))
}

// propose returns the lines as "STATE role resource", read in pages of two.
func (c *crewClient) propose(t testing.TB, subject string) (lines []string) {
	t.Helper()
	req := &permissionv1.ProposeGrantsRequest{Parent: acme, Subject: subject, PageSize: 2}
	for {
		resp := must[*permissionv1.ProposeGrantsResponse](t)(c.ProposeGrants(t.Context(), req))
		for _, p := range resp.GetGrantProposals() {
			lines = append(lines, p.GetState().String()[len("STATE_"):]+" "+p.GetRole()+" "+p.GetResource())
		}
		if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
			return lines
		}
	}
}

func TestDuties_grantsFollowFromThem(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c, gateway := r.staffing(admin), r.asService("gateway")
		c.care(t)
		a := c.assign(t, sue, group1)
		c.grant(t, sue, "roles/auditor", acme)
		c.grant(t, sue, "roles/viewer", acme) // wider than the duty calls for
		want := []string{
			"MISSING roles/customer.service " + group1, "HELD roles/viewer " + acme + "/teams/sales", "MISSING roles/group.admin " + group1,
			"OUTSIDE_DUTY roles/auditor " + acme, "OUTSIDE_DUTY roles/viewer " + acme,
		}
		if got := c.propose(t, sue); !slices.Equal(got, want) {
			t.Errorf("proposed %v, want %v", got, want)
		}
		req := &permissionv1.ApplyProposalRequest{Name: a.GetName(), Etag: a.GetEtag(), RequestId: "0f3cb7ba-9b3c-4f17-8a3a-9f9a1b3c5d7e"}
		made := must[*permissionv1.ApplyProposalResponse](t)(c.ApplyProposal(t.Context(), req))
		if again := must[*permissionv1.ApplyProposalResponse](t)(c.ApplyProposal(t.Context(), req)); !proto.Equal(made, again) {
			t.Errorf("a retry made %v, the first %v", again, made)
		}
		if len(made.GetGrants()) != 1 {
			t.Fatalf("made %v", made)
		}
		g := made.GetGrants()[0]
		if g.GetReason() != "answers them" || g.GetDuty() != a.GetName() || g.GetExpireTime() == nil || g.GetCreator() != admin {
			t.Errorf("made %v", g)
		}
		gateway.wantMay(t, true, sue, "groupchat.messages.create", group1)
		sum := must[*permissionv1.SummarizeDutiesResponse](t)(c.SummarizeDuties(t.Context(), &permissionv1.SummarizeDutiesRequest{Parent: acme}))
		// Beside sue's three, the administrator has two seeded grants.
		if want := (&permissionv1.SummarizeDutiesResponse{DutyAssignments: 1, CalledFor: 3, Missing: 1, Grants: 5, OutsideDuty: 4}); !proto.Equal(sum, want) {
			t.Errorf("summary %v, want %v", sum, want)
		}

		must[*permissionv1.DutyAssignment](t)(c.EndDuty(t.Context(), &permissionv1.EndDutyRequest{Name: a.GetName()}))
		gateway.wantMay(t, false, sue, "groupchat.messages.create", group1)
		gateway.wantMay(t, true, sue, "groupchat.groups.get", group1) // what was not made for the duty stays
		if got := r.eventsOf(t, a.GetName()); !slices.Equal(got, []string{"guildhall.permission.duty_assignment.created.v1", "guildhall.permission.duty_assignment.deleted.v1"}) {
			t.Errorf("events %v", got)
		}
	})
}

func TestApplyProposal_makesAllOrNone(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.staffing(admin)
		c.care(t)
		a := c.assign(t, tom, group1)
		// Sue may apply proposals, and holds only a part of what this one gives.
		clerk := c.role(t, "clerk", "permission.dutyAssignments.apply", "permission.grants.create", "identity.customers.get")
		c.grant(t, sue, clerk.GetName(), acme)
		_, err := r.staffing(sue).ApplyProposal(t.Context(), &permissionv1.ApplyProposalRequest{Name: a.GetName()})
		wantError(t, err, errs.Denied, "GRANT_EXCEEDS_CALLER")
		for _, line := range c.propose(t, tom) {
			if line[:4] == "HELD" {
				t.Errorf("a refused proposal made %s", line)
			}
		}
		_, err = c.ApplyProposal(t.Context(), &permissionv1.ApplyProposalRequest{Name: a.GetName(), Etag: "another"})
		wantError(t, err, errs.Conflict, "ETAG_MISMATCH")
	})
}

func TestApplyProposal_renewsWhatHasEnded(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.staffing(admin)
		c.care(t)
		a := c.assign(t, sue, group1)
		apply := &permissionv1.ApplyProposalRequest{Name: a.GetName()}
		first := must[*permissionv1.ApplyProposalResponse](t)(c.ApplyProposal(t.Context(), apply))
		r.in.setClock(time.Now().Add(91 * 24 * time.Hour))
		r.asService("gateway").wantMay(t, false, sue, "groupchat.messages.create", group1)
		second := must[*permissionv1.ApplyProposalResponse](t)(c.ApplyProposal(t.Context(), apply))
		// The other grant has no end.
		if len(first.GetGrants()) != 2 || len(second.GetGrants()) != 1 {
			t.Fatalf("made %v, then %v", first, second)
		}
		r.asService("gateway").wantMay(t, true, sue, "groupchat.messages.create", group1)
		third := must[*permissionv1.ApplyProposalResponse](t)(c.ApplyProposal(t.Context(), apply))
		if len(third.GetGrants()) != 0 {
			t.Errorf("made %v though nothing was missing", third)
		}
	})
}

func TestDuties_refuse(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.staffing(admin)
		care := c.care(t)
		item := func(role, resource string) *permissionv1.DutyProfile {
			return &permissionv1.DutyProfile{DisplayName: "x", Items: []*permissionv1.DutyItem{{Information: "x", Role: role, Resource: resource, Reason: "x"}}}
		}
		create := func(p *permissionv1.DutyProfile) error {
			_, err := c.CreateDutyProfile(t.Context(), &permissionv1.CreateDutyProfileRequest{Parent: acme, DutyProfile: p})
			return err
		}
		wantError(t, create(item("roles/nobody", "")), errs.NotFound, "ROLE_NOT_FOUND")
		wantError(t, create(item("roles/self", "")), errs.NotFound, "ROLE_NOT_FOUND")
		wantError(t, create(item("organizations/zeta/roles/clerk", "")), errs.NotFound, "ROLE_NOT_FOUND")
		wantError(t, create(item("roles/viewer", "organizations/zeta")), errs.Invalid, "DUTY_RESOURCE_INVALID")
		wantError(t, create(item("roles/viewer", "{scope}teams")), errs.Invalid, "DUTY_RESOURCE_INVALID")
		wantError(t, create(&permissionv1.DutyProfile{DisplayName: "x"}), errs.Invalid, "VALIDATION_FAILED")

		assign := func(subject, profile, scope string) error {
			_, err := c.AssignDuty(t.Context(), &permissionv1.AssignDutyRequest{Parent: acme, DutyAssignment: &permissionv1.DutyAssignment{
				Subject: subject, DutyProfile: profile, Scope: scope,
			}})
			return err
		}
		c.assign(t, sue, acme)
		wantError(t, assign(sue, care.GetName(), acme), errs.Exists, "DUTY_ASSIGNED")
		wantError(t, assign(acme+"/allStaff", care.GetName(), acme), errs.Invalid, "SUBJECT_INVALID")
		wantError(t, assign("organizations/zeta/staff/z", care.GetName(), acme), errs.Invalid, "SUBJECT_INVALID")
		wantError(t, assign(tom, care.GetName(), "organizations/zeta"), errs.Invalid, "RESOURCE_FOREIGN")
		wantError(t, assign(tom, acme+"/dutyProfiles/none", acme), errs.NotFound, "DUTY_PROFILE_NOT_FOUND")

		_, err := c.DeleteDutyProfile(t.Context(), &permissionv1.DeleteDutyProfileRequest{Name: care.GetName()})
		wantError(t, err, errs.Precondition, "DUTY_PROFILE_IN_USE")
		_, err = r.staffing(stranger).GetDutyProfile(t.Context(), &permissionv1.GetDutyProfileRequest{Name: care.GetName()})
		wantError(t, err, errs.NotFound, "RESOURCE_NOT_FOUND")
		_, err = r.staffing(carl).ProposeGrants(t.Context(), &permissionv1.ProposeGrantsRequest{Parent: acme})
		wantError(t, err, errs.Denied, "PERMISSION_DENIED")
	})
}

func TestDutyProfiles_standardMethods(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.staffing(admin)
		care := c.care(t)
		_, err := c.CreateDutyProfile(t.Context(), &permissionv1.CreateDutyProfileRequest{Parent: acme, DutyProfileId: "care", DutyProfile: care})
		wantError(t, err, errs.Exists, "DUTY_PROFILE_EXISTS")
		changed := proto.CloneOf(care)
		changed.DisplayName = "Care"
		updated := must[*permissionv1.DutyProfile](t)(c.UpdateDutyProfile(t.Context(), &permissionv1.UpdateDutyProfileRequest{
			DutyProfile: changed, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"display_name"}},
		}))
		if updated.GetDisplayName() != "Care" || updated.GetEtag() == care.GetEtag() || len(updated.GetItems()) != 3 {
			t.Errorf("updated %v", updated)
		}
		_, err = c.UpdateDutyProfile(t.Context(), &permissionv1.UpdateDutyProfileRequest{DutyProfile: care})
		wantError(t, err, errs.Conflict, "ETAG_MISMATCH")
		care.Name = acme + "/dutyProfiles/none"
		_, err = c.UpdateDutyProfile(t.Context(), &permissionv1.UpdateDutyProfileRequest{DutyProfile: care})
		wantError(t, err, errs.NotFound, "DUTY_PROFILE_NOT_FOUND")

		for _, subject := range []string{sue, tom} {
			c.assign(t, subject, acme)
		}
		for filter, want := range map[string]int{
			"": 2, `subject = "` + sue + `"`: 1, `duty_profile = "` + updated.GetName() + `"`: 2, `duty_profile = "organizations/zeta/dutyProfiles/care"`: 0,
		} {
			resp := must[*permissionv1.ListDutyAssignmentsResponse](t)(c.ListDutyAssignments(t.Context(), &permissionv1.ListDutyAssignmentsRequest{Parent: acme, Filter: filter}))
			if len(resp.GetDutyAssignments()) != want {
				t.Errorf("%s: %d assignments, want %d", filter, len(resp.GetDutyAssignments()), want)
			}
		}
		_, err = c.ListDutyAssignments(t.Context(), &permissionv1.ListDutyAssignmentsRequest{Parent: acme, Filter: "scope = x"})
		wantError(t, err, errs.Invalid, "FILTER_INVALID")
	})
}
