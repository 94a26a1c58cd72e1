package e2e

import (
	"context"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/errs"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	optionsv1 "guildhall.dev/proto/gen/guildhall/options/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

func needsPermission(m method) bool { return m.auth.GetPermission() != "" }

// tenants: whatever the administrator of one organisation asks of another's
// resources, it does not exist.
func tenants(t *testing.T, s *suite) {
	eachDoor(t, func(t *testing.T, d door) {
		ours, theirs := s.found(t, d), s.found(t, d)
		theirs.enrol("chen")
		eachMethod(t, d, needsPermission, func(t *testing.T, m method) {
			resource, want, reason := m.resource(theirs.name), errs.NotFound, "RESOURCE_NOT_FOUND"
			if m.auth.GetResourceName() != "" {
				want, reason = errs.Denied, "PERMISSION_DENIED" // the installation itself is no secret
			}
			refused("", m.call(t.Context(), ours.admin.api, resource))(t, want, reason)
		})
		// Where the resource is ours and something in it is not.
		refused(ours.admin.grants.CreateGrant(t.Context(), &permissionv1.CreateGrantRequest{
			Parent: ours.name, Grant: &permissionv1.Grant{Subject: theirs.admin.name, Role: "roles/viewer", Resource: ours.name},
		}))(t, errs.Invalid, "SUBJECT_INVALID")
		refused(ours.admin.grants.CreateGrant(t.Context(), &permissionv1.CreateGrantRequest{
			Parent: ours.name, Grant: &permissionv1.Grant{Subject: ours.admin.name, Role: "roles/viewer", Resource: theirs.name},
		}))(t, errs.Invalid, "RESOURCE_FOREIGN")
		group := need(ours.admin.groups.CreateGroup(t.Context(), &groupchatv1.CreateGroupRequest{
			Parent: ours.name, Group: &groupchatv1.Group{DisplayName: "Ours"},
		}))(t)
		refused(ours.admin.groups.CreateMember(t.Context(), &groupchatv1.CreateMemberRequest{
			Parent: group.GetName(), Member: &groupchatv1.Member{Account: theirs.name + "/customers/chen"},
		}))(t, errs.Invalid, "ACCOUNT_INVALID")
		refused(ours.admin.groups.ListGroups(t.Context(), &groupchatv1.ListGroupsRequest{Parent: theirs.name}))(t, errs.NotFound, "RESOURCE_NOT_FOUND")
	})
}

// strangers: without a good token nothing but the public RPCs answers.
func strangers(t *testing.T, s *suite) {
	eachDoor(t, func(t *testing.T, d door) {
		c := s.found(t, d)
		private := func(m method) bool {
			_, public := m.auth.GetRule().(*optionsv1.Authorization_Public)
			return !public
		}
		nobody := c.open(t, d, "")
		eachMethod(t, d, private, func(t *testing.T, m method) {
			refused("", m.call(t.Context(), nobody, m.resource(c.name)))(t, errs.Unauthenticated, "TOKEN_MISSING")
		})
		good := c.admin.tokens.GetAccessToken()
		head, tail, _ := strings.Cut(good, ".")
		for what, token := range map[string]string{
			"garbage": "garbage", "a refresh token": c.admin.tokens.GetRefreshToken(),
			"another body":      head + ".e30." + tail[strings.LastIndex(tail, ".")+1:],
			"no signature":      good[:strings.LastIndex(good, ".")+1],
			"none as algorithm": "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0." + tail[:strings.Index(tail, ".")] + ".",
			"of nobody we know": foreignToken(t, c.http, c.admin.name),
		} {
			t.Run(what, func(t *testing.T) {
				stranger := c.open(t, d, token)
				refused(stranger.auth.WhoAmI(t.Context(), &identityv1.WhoAmIRequest{}))(t, errs.Unauthenticated, "TOKEN_INVALID")
				refused(stranger.groups.GetGroup(t.Context(), &groupchatv1.GetGroupRequest{Name: c.name + "/groups/g1"}))(t, errs.Unauthenticated, "TOKEN_INVALID")
			})
		}
	})
}

// newcomers: an account that was given nothing may do nothing but what the
// built-in roles of everybody say.
func newcomers(t *testing.T, s *suite) {
	eachDoor(t, func(t *testing.T, d door) {
		c := s.found(t, d)
		staff, customer := c.hire("new"), c.enrol("new")
		roles := need(c.admin.roles.ListRoles(t.Context(), &permissionv1.ListRolesRequest{Parent: c.name, PageSize: 1000}))(t).GetRoles()
		allowed := func(role string) []string {
			i := slices.IndexFunc(roles, func(r *permissionv1.Role) bool { return r.GetName() == role })
			if i < 0 {
				t.Fatalf("there is no %s", role)
			}
			return roles[i].GetPermissions()
		}
		for _, who := range []struct {
			*person
			role string
		}{{staff, "roles/staff"}, {customer, "roles/customer"}} {
			t.Run(who.role, func(t *testing.T) {
				may := allowed(who.role)
				eachMethod(t, d, needsPermission, func(t *testing.T, m method) {
					resource := m.resource(c.name)
					if slices.Contains(may, m.auth.GetPermission()) {
						eventually(t, "the permission of everybody is there", func(ctx context.Context) (string, error) {
							if err := m.call(ctx, who.api, resource); errs.Is(err, errs.Denied) {
								return "", err
							}
							return "", nil
						})
						return
					}
					refused("", m.call(t.Context(), who.api, resource))(t, errs.Denied, "PERMISSION_DENIED")
				})
			})
		}
		refused(staff.auth.ListSessions(t.Context(), &identityv1.ListSessionsRequest{Parent: customer.name}))(t, errs.Denied, "PERMISSION_DENIED")
		need(staff.auth.ListSessions(t.Context(), &identityv1.ListSessionsRequest{Parent: staff.name}))(t)
	})
}

// escalation: nobody gives what they do not have, and nobody takes the last
// administrator away.
func escalation(t *testing.T, s *suite) {
	eachDoor(t, func(t *testing.T, d door) {
		c := s.found(t, d)
		lin := c.hire("lin")
		role := need(c.admin.roles.CreateRole(t.Context(), &permissionv1.CreateRoleRequest{Parent: c.name, RoleId: "granter", Role: &permissionv1.Role{
			DisplayName: "Granter", Permissions: []string{"permission.grants.create", "permission.roles.create", "permission.roles.update"},
		}}))(t)
		c.grant(lin.name, role.GetName(), c.name)
		for _, given := range []string{"roles/organization.admin", "roles/auditor", "roles/customer.service"} {
			refused(lin.grants.CreateGrant(t.Context(), &permissionv1.CreateGrantRequest{
				Parent: c.name, Grant: &permissionv1.Grant{Subject: lin.name, Role: given, Resource: c.name},
			}))(t, errs.Denied, "GRANT_EXCEEDS_CALLER")
		}
		_, err := lin.roles.UpdateRole(t.Context(), &permissionv1.UpdateRoleRequest{
			Role:       &permissionv1.Role{Name: role.GetName(), Permissions: []string{"groupchat.messages.list"}},
			UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"permissions"}},
		})
		refused("", err)(t, errs.Denied, "GRANT_EXCEEDS_CALLER")
		takeovers(t, c)
		found := need(c.admin.grants.ListGrants(t.Context(), &permissionv1.ListGrantsRequest{Parent: c.name, Filter: `subject = "` + c.admin.name + `"`}))(t)
		for _, g := range found.GetGrants() {
			if g.GetRole() == "roles/organization.admin" {
				refused(c.admin.grants.DeleteGrant(t.Context(), &permissionv1.DeleteGrantRequest{Name: g.GetName()}))(t, errs.Precondition, "LAST_ADMINISTRATOR")
			}
		}
	})
}

// takeovers are attempts to become somebody who holds more.
func takeovers(t *testing.T, c *company) {
	t.Helper()
	mallory := c.hire("mallory")
	role := need(c.admin.roles.CreateRole(t.Context(), &permissionv1.CreateRoleRequest{Parent: c.name, RoleId: "helpdesk", Role: &permissionv1.Role{
		DisplayName: "Helpdesk", Permissions: []string{"identity.invitations.create", "identity.teamMembers.create", "identity.teams.create", "identity.teams.update"},
	}}))(t)
	c.grant(mallory.name, role.GetName(), c.name)
	refused(mallory.auth.CreateInvitation(t.Context(), &identityv1.CreateInvitationRequest{
		Account: c.admin.name, ResetPassword: true,
	}))(t, errs.Denied, "TARGET_EXCEEDS_CALLER")
	team := need(c.admin.teams.CreateTeam(t.Context(), &identityv1.CreateTeamRequest{
		Parent: c.name, TeamId: "bosses", Team: &identityv1.Team{DisplayName: "Bosses"},
	}))(t)
	c.grant(team.GetName(), "roles/organization.admin", c.name)
	refused(mallory.teams.CreateTeamMember(t.Context(), &identityv1.CreateTeamMemberRequest{
		Parent: team.GetName(), TeamMember: &identityv1.TeamMember{Account: mallory.name},
	}))(t, errs.Denied, "TARGET_EXCEEDS_CALLER")
	c.nestingIsNoWayUp(t, mallory, team.GetName())
	refused(c.admin.staff.DisableStaffMember(t.Context(), &identityv1.DisableStaffMemberRequest{Name: c.admin.name}))(t, errs.Precondition, "SELF_FORBIDDEN")
	colleague := c.hire("colleague")
	need(mallory.auth.CreateInvitation(t.Context(), &identityv1.CreateInvitationRequest{Account: colleague.name}))(t)
}
