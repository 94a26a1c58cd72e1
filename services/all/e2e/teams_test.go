package e2e

import (
	"context"
	"testing"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// team makes a team below another; "" is the top.
func (c *company) team(t testing.TB, id, parent string) string {
	t.Helper()
	return need(c.admin.teams.CreateTeam(t.Context(), &identityv1.CreateTeamRequest{
		Parent: c.name, TeamId: id, Team: &identityv1.Team{DisplayName: id, Parent: parent},
	}))(t).GetName()
}

// enlist puts somebody into a team.
func (c *company) enlist(t testing.TB, team string, p *person) string {
	t.Helper()
	req := &identityv1.CreateTeamMemberRequest{Parent: team, TeamMember: &identityv1.TeamMember{Account: p.name}, RequestId: newID("r")}
	return patiently(t, func(ctx context.Context) (*identityv1.TeamMember, error) {
		return c.admin.teams.CreateTeamMember(ctx, req)
	}).GetName()
}

// moveTeam gives a team another place.
func (c *company) moveTeam(t testing.TB, team, parent string) {
	t.Helper()
	req := &identityv1.UpdateTeamRequest{
		Team: &identityv1.Team{Name: team, Parent: parent}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"parent"}}, RequestId: newID("r"),
	}
	patiently(t, func(ctx context.Context) (*identityv1.Team, error) { return c.admin.teams.UpdateTeam(ctx, req) })
}

// leaveTeams: what somebody holds by a team, or by one above it, is his when the
// call that puts him there returns, and no longer when one that takes him away
// has; each time at every replica.
func leaveTeams(t *testing.T, c *company) {
	lin := c.hire("lin")
	region, shop := c.team(t, "region", ""), c.team(t, "shop", "")
	till := c.team(t, "till", shop)
	c.grant(region, "roles/customer.service", c.name)
	list := &identityv1.ListCustomersRequest{Parent: c.name}
	may := func(want bool) {
		t.Helper()
		for range replicas {
			_, err := lin.customers.ListCustomers(t.Context(), list)
			if want && err != nil || !want && !errs.Is(err, errs.Denied) {
				t.Errorf("allowed is to be %t: %v", want, err)
			}
		}
	}
	member := c.enlist(t, till, lin)
	for range 3 {
		may(false)
		c.moveTeam(t, shop, region)
		may(true)
		c.moveTeam(t, shop, "")
		may(false)
		c.moveTeam(t, till, region)
		may(true)
		leave := &identityv1.DeleteTeamMemberRequest{Name: member, RequestId: newID("r")}
		patiently(t, func(ctx context.Context) (*identityv1.TeamMember, error) {
			return c.admin.teams.DeleteTeamMember(ctx, leave)
		})
		may(false)
		c.enlist(t, till, lin)
		may(true)
		c.moveTeam(t, till, shop)
	}
	c.moveTeam(t, shop, region)
	remove := &identityv1.DeleteTeamRequest{Name: region}
	refused(c.admin.teams.DeleteTeam(t.Context(), remove))(t, errs.Precondition, "TEAM_HAS_SUBTEAMS")
	may(true)
	remove.Force = true
	need(c.admin.teams.DeleteTeam(t.Context(), remove))(t)
	may(false)
	got := need(c.admin.teams.ListTeams(t.Context(), &identityv1.ListTeamsRequest{Parent: c.name, Filter: `parent = ""`}))(t).GetTeams()
	if len(got) != 1 || got[0].GetName() != shop {
		t.Errorf("at the top are %v", got)
	}
}

// nestingIsNoWayUp: whoever manages teams cannot give the own one what a larger
// one has.
func (c *company) nestingIsNoWayUp(t testing.TB, mallory *person, bosses string) {
	t.Helper()
	own := need(mallory.teams.CreateTeam(t.Context(), &identityv1.CreateTeamRequest{
		Parent: c.name, TeamId: "own", Team: &identityv1.Team{DisplayName: "Own"},
	}))(t).GetName()
	join := &identityv1.CreateTeamMemberRequest{Parent: own, TeamMember: &identityv1.TeamMember{Account: mallory.name}}
	refused(mallory.teams.UpdateTeam(t.Context(), &identityv1.UpdateTeamRequest{
		Team: &identityv1.Team{Name: own, Parent: bosses}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"parent"}},
	}))(t, errs.Denied, "TARGET_EXCEEDS_CALLER")
	refused(mallory.teams.CreateTeam(t.Context(), &identityv1.CreateTeamRequest{
		Parent: c.name, Team: &identityv1.Team{DisplayName: "Spies", Parent: bosses},
	}))(t, errs.Denied, "TARGET_EXCEEDS_CALLER")
	// Once the administrator has moved it, nobody slips in behind.
	c.moveTeam(t, own, bosses)
	refused(mallory.teams.CreateTeamMember(t.Context(), join))(t, errs.Denied, "TARGET_EXCEEDS_CALLER")
	c.moveTeam(t, own, "")
	need(mallory.teams.CreateTeamMember(t.Context(), join))(t)
}
