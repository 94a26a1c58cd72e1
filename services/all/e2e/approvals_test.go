package e2e

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/grpc/metadata"

	"guildhall.dev/pkg/errs"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// approvalHeader names an approval at either door.
const approvalHeader = "guildhall-approval"

func approved(ctx context.Context, name string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, approvalHeader, name)
}

// approvals: what takes two people is done by nobody alone, in any service, and
// with a second person's approval by whom it is for.
func approvals(t *testing.T, s *suite) {
	eachDoor(t, func(t *testing.T, d door) {
		c := s.found(t, d)
		lin := c.hire("lin")
		c.grant(lin.name, "roles/organization.admin", c.name)
		team := func(ctx context.Context, p *person, id string) (*identityv1.Team, error) {
			return p.teams.CreateTeam(ctx, &identityv1.CreateTeamRequest{Parent: c.name, TeamId: id, Team: &identityv1.Team{DisplayName: id}})
		}
		need(team(t.Context(), lin, "before"))(t)
		group := need(lin.groups.CreateGroup(t.Context(), &groupchatv1.CreateGroupRequest{Parent: c.name, Group: &groupchatv1.Group{DisplayName: "Orders"}}))(t)
		need(permissionv1.NewSeparationRuleServiceClient(c.admin.conn("permission")).CreateSeparationRule(t.Context(), &permissionv1.CreateSeparationRuleRequest{
			Parent: c.name, SeparationRule: &permissionv1.SeparationRule{
				DisplayName: "Nobody alone", Rule: &permissionv1.SeparationRule_TwoPerson{TwoPerson: &permissionv1.TwoPerson{
					Permissions: []string{"identity.teams.create", "groupchat.groups.delete"},
				}},
			},
		}))(t)
		// True everywhere when the call has returned.
		e := refused(team(t.Context(), lin, "t1"))(t, errs.Denied, "APPROVAL_NEEDED")
		wants(t, "that the refusal names the header", strings.Contains(e.Message, "Guildhall-Approval"), true)
		refused(team(approved(t.Context(), "yes"), lin, "t1"))(t, errs.Invalid, "APPROVAL_INVALID")

		teams := c.approval(lin, &permissionv1.WantedApproval{Permission: "identity.teams.create", Resource: c.name})
		need(team(approved(t.Context(), teams), lin, "t1"))(t)
		need(team(approved(t.Context(), teams), lin, "t2"))(t)
		refused(team(approved(t.Context(), teams), c.admin, "t3"))(t, errs.Denied, "APPROVAL_NEEDED")

		drop := func(approval, id string) (*groupchatv1.Group, error) {
			return lin.groups.DeleteGroup(approved(t.Context(), approval), &groupchatv1.DeleteGroupRequest{Name: group.GetName(), RequestId: id})
		}
		refused(drop(teams, "drop-1"))(t, errs.Denied, "APPROVAL_NEEDED")
		once := c.approval(lin, &permissionv1.WantedApproval{Permission: "groupchat.groups.delete", Resource: group.GetName(), SingleUse: true})
		need(drop(once, "drop-1"))(t)
		need(drop(once, "drop-1"))(t) // sent again
		need(c.admin.groups.UndeleteGroup(t.Context(), &groupchatv1.UndeleteGroupRequest{Name: group.GetName()}))(t)
		refused(drop(once, "drop-2"))(t, errs.Denied, "APPROVAL_NEEDED")
	})
}

// approval returns the name of an approval that a person asked for and the
// administrator gave.
func (c *company) approval(p *person, v *permissionv1.WantedApproval) string {
	c.t.Helper()
	asks := permissionv1.NewPermissionChangeRequestServiceClient(p.conn("permission"))
	gives := permissionv1.NewPermissionChangeRequestServiceClient(c.admin.conn("permission"))
	filed := need(asks.CreatePermissionChangeRequest(c.t.Context(), &permissionv1.CreatePermissionChangeRequestRequest{
		Parent: p.name, PermissionChangeRequest: &permissionv1.PermissionChangeRequest{
			Justification: "agreed on the phone", Change: &permissionv1.PermissionChangeRequest_Approval{Approval: v},
		},
	}))(c.t)
	need(gives.VerifyPermissionChangeRequestIdentity(c.t.Context(), &permissionv1.VerifyPermissionChangeRequestIdentityRequest{
		Name: filed.GetName(), Method: permissionv1.IdentityProof_METHOD_CALL_BACK, Note: "called back",
	}))(c.t)
	need(gives.ApprovePermissionChangeRequest(c.t.Context(), &permissionv1.ApprovePermissionChangeRequestRequest{Name: filed.GetName()}))(c.t)
	return filed.GetName()
}
