package identity_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

func TestTeam_membersComeAndGo(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		for _, id := range []string{"s1", "s2"} {
			p.staffMember(ctx, id, &identityv1.StaffMember{DisplayName: id})
		}
		team, err := p.teams().CreateTeam(ctx, &identityv1.CreateTeamRequest{Parent: org, TeamId: "sales", Team: &identityv1.Team{DisplayName: "Sales"}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.teams().CreateTeam(ctx, &identityv1.CreateTeamRequest{Parent: org, TeamId: "sales", Team: &identityv1.Team{DisplayName: "Sales"}})
		wantError(t, err, errs.Exists, "TEAM_EXISTS")
		add := func(account string) error {
			_, err := p.teams().CreateTeamMember(ctx, &identityv1.CreateTeamMemberRequest{
				Parent: team.GetName(), TeamMember: &identityv1.TeamMember{Account: account},
			})
			return err
		}
		members := func() string {
			t.Helper()
			resp, err := p.teams().ListTeamMembers(ctx, &identityv1.ListTeamMembersRequest{Parent: team.GetName()})
			if err != nil {
				t.Fatal(err)
			}
			var ids []string
			for _, m := range resp.GetTeamMembers() {
				ids = append(ids, strings.TrimPrefix(m.GetAccount(), org+"/staff/"))
			}
			return strings.Join(ids, " ")
		}
		for _, id := range []string{"s2", "s1"} {
			if err := add(org + "/staff/" + id); err != nil {
				t.Fatal(err)
			}
		}
		wantError(t, add(org+"/staff/s1"), errs.Exists, "TEAM_MEMBER_EXISTS")
		wantError(t, add(org+"/staff/nobody"), errs.NotFound, "STAFF_MEMBER_NOT_FOUND")
		wantError(t, add(org+"/customers/s1"), errs.Invalid, "RESOURCE_NAME_INVALID")
		if got := members(); got != "s1 s2" {
			t.Errorf("members are %s", got)
		}
		// Whoever leaves the organisation leaves its teams.
		if _, err := p.staff().DeleteStaffMember(ctx, &identityv1.DeleteStaffMemberRequest{Name: org + "/staff/s2"}); err != nil {
			t.Fatal(err)
		}
		if got := members(); got != "s1" {
			t.Errorf("after s2 was deleted, members are %s", got)
		}
		wantError(t, add(org+"/staff/s2"), errs.NotFound, "STAFF_MEMBER_NOT_FOUND")
		removed, err := p.teams().DeleteTeamMember(ctx, &identityv1.DeleteTeamMemberRequest{Name: team.GetName() + "/members/s1"})
		if err != nil || removed.GetAccount() != org+"/staff/s1" {
			t.Errorf("remove: %v %v", removed, err)
		}
		_, err = p.teams().DeleteTeamMember(ctx, &identityv1.DeleteTeamMemberRequest{Name: team.GetName() + "/members/s1"})
		wantError(t, err, errs.NotFound, "TEAM_MEMBER_NOT_FOUND")
		events := p.events(ctx, "guildhall.identity.team")
		for _, id := range []string{"s1", "s2"} {
			if got := strings.Join(about(events, team.GetName()+"/members/"+id), " "); got != "team_member.created team_member.deleted" {
				t.Errorf("events of the membership of %s: %s", id, got)
			}
		}
	})
}

func TestTeam_updateAndDelete(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	team, err := p.teams().CreateTeam(ctx, &identityv1.CreateTeamRequest{Parent: org, Team: &identityv1.Team{DisplayName: "Sales", Description: "x"}})
	if err != nil {
		t.Fatal(err)
	}
	updated, err := p.teams().UpdateTeam(ctx, &identityv1.UpdateTeamRequest{
		Team: &identityv1.Team{Name: team.GetName(), DisplayName: "Field"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"*"}},
	})
	if err != nil || updated.GetDescription() != "" || updated.GetDisplayName() != "Field" {
		t.Errorf("update: %v %v", updated, err)
	}
	_, err = p.teams().UpdateTeam(ctx, &identityv1.UpdateTeamRequest{
		Team: &identityv1.Team{Name: team.GetName()}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"display_name"}},
	})
	wantError(t, err, errs.Invalid, "VALIDATION_FAILED")
	if _, err := p.teams().CreateTeamMember(ctx, &identityv1.CreateTeamMemberRequest{Parent: team.GetName(), TeamMember: &identityv1.TeamMember{Account: admin}}); err != nil {
		t.Fatal(err)
	}
	_, err = p.teams().DeleteTeam(ctx, &identityv1.DeleteTeamRequest{Name: team.GetName(), Etag: team.GetEtag()})
	wantError(t, err, errs.Conflict, "ETAG_MISMATCH")
	if _, err := p.teams().DeleteTeam(ctx, &identityv1.DeleteTeamRequest{Name: team.GetName(), Etag: updated.GetEtag()}); err != nil {
		t.Fatal(err)
	}
	_, err = p.teams().GetTeam(ctx, &identityv1.GetTeamRequest{Name: team.GetName()})
	wantError(t, err, errs.NotFound, "TEAM_NOT_FOUND")
	_, err = p.teams().ListTeamMembers(ctx, &identityv1.ListTeamMembersRequest{Parent: team.GetName()})
	wantError(t, err, errs.NotFound, "TEAM_NOT_FOUND")
}
