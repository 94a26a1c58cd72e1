package permission_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

func (c *client) cover(t testing.TB, actor, subject string) *permissionv1.CheckCoverResponse {
	t.Helper()
	resp, err := c.CheckCover(t.Context(), &permissionv1.CheckCoverRequest{Parent: acme, Actor: actor, Subject: subject})
	if err != nil {
		t.Fatalf("CheckCover(%s, %s): %v", actor, subject, err)
	}
	return resp
}

// TestCheckCover_forIdentity is what identity asks before it lets anybody into
// another's account or a team.
func TestCheckCover_forIdentity(t *testing.T) {
	in := install(t, "bolt")
	r := in.start()
	in.seed(r)
	sales, chief := acme+"/teams/sales", r.as(admin)
	helper, err := chief.CreateRole(t.Context(), &permissionv1.CreateRoleRequest{Parent: acme, RoleId: "helper", Role: &permissionv1.Role{
		DisplayName: "Helper", Permissions: []string{"identity.invitations.create", "identity.teamMembers.create"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	chief.grant(t, sue, helper.GetName(), acme)
	chief.grant(t, sales, "roles/auditor", acme)
	identity := r.asService("identity")
	for _, target := range []string{admin, sales} {
		if got := identity.cover(t, sue, target); got.GetCovered() || got.GetPermission() == "" || got.GetResource() == "" {
			t.Errorf("%s against %s: %v", sue, target, got)
		}
		if got := identity.cover(t, admin, target); !got.GetCovered() || got.GetPermission() != "" {
			t.Errorf("%s against %s: %v", admin, target, got)
		}
	}
	tom := acme + "/staff/tom"
	if got := identity.cover(t, sue, tom); !got.GetCovered() {
		t.Errorf("a colleague with no more than all staff: %v", got)
	}
	// Who joins the team holds what it does.
	in.identity.tell("guildhall.identity.team_member.created.v1", sales+"/members/tom", &identityv1.TeamMemberChanged{Team: sales, Account: tom})
	in.await(func() bool { return !identity.cover(t, sue, tom).GetCovered() })

	_, err = chief.CheckCover(t.Context(), &permissionv1.CheckCoverRequest{Parent: acme, Actor: admin, Subject: sue})
	wantError(t, err, errs.Denied, "PERMISSION_DENIED")
	_, err = r.asService("gateway").CheckCover(t.Context(), &permissionv1.CheckCoverRequest{Parent: acme, Actor: admin, Subject: sue})
	wantError(t, err, errs.Denied, "PERMISSION_DENIED")
	for _, req := range []*permissionv1.CheckCoverRequest{
		{Parent: acme, Actor: "organizations/zeta/staff/z", Subject: sue},
		{Parent: acme, Actor: sales, Subject: sue},
		{Parent: acme, Actor: admin, Subject: "organizations/zeta/staff/z"},
		{Parent: acme, Actor: admin, Subject: acme + "/allStaff"},
	} {
		_, err := identity.CheckCover(t.Context(), req)
		wantError(t, err, errs.Invalid, "SUBJECT_INVALID")
	}
}

// TestCreateGrant_aRightForADayIsGivenForADay is the attack on rights that
// end: whoever holds one makes itself one that does not.
func TestCreateGrant_aRightForADayIsGivenForADay(t *testing.T) {
	in := install(t, "bolt")
	r := in.start()
	in.seed(r)
	day := time.Now().Add(24 * time.Hour)
	give := func(by, to string, until time.Time) error {
		g := &permissionv1.Grant{Subject: to, Role: "roles/organization.admin", Resource: acme}
		if !until.IsZero() {
			g.ExpireTime = timestamppb.New(until)
		}
		_, err := r.as(by).CreateGrant(t.Context(), &permissionv1.CreateGrantRequest{Parent: acme, Grant: g})
		return err
	}
	if err := give(admin, sue, day); err != nil {
		t.Fatal(err)
	}
	r.asService("gateway").wantMay(t, true, sue, "permission.grants.create", acme)
	wantError(t, give(sue, acme+"/staff/accomplice", time.Time{}), errs.Denied, "GRANT_EXCEEDS_CALLER")
	wantError(t, give(sue, sue, time.Time{}), errs.Denied, "GRANT_EXCEEDS_CALLER")
	wantError(t, give(sue, acme+"/staff/tom", day.Add(time.Hour)), errs.Denied, "GRANT_EXCEEDS_CALLER")
	if err := give(sue, acme+"/staff/tom", day); err != nil {
		t.Errorf("for as long as the giver holds it: %v", err)
	}

	// A role that one holds for good is as good as a grant.
	clerk, err := r.as(admin).CreateRole(t.Context(), &permissionv1.CreateRoleRequest{Parent: acme, RoleId: "clerk", Role: &permissionv1.Role{
		DisplayName: "Clerk", Permissions: []string{"identity.teams.get"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	r.as(admin).grant(t, sue, clerk.GetName(), acme)
	widen := &permissionv1.UpdateRoleRequest{
		Role:       &permissionv1.Role{Name: clerk.GetName(), Permissions: []string{"identity.teams.get", "identity.teams.delete"}},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"permissions"}},
	}
	_, err = r.as(sue).UpdateRole(t.Context(), widen)
	wantError(t, err, errs.Denied, "GRANT_EXCEEDS_CALLER")
	if _, err := r.as(admin).UpdateRole(t.Context(), widen); err != nil {
		t.Errorf("the administrator widens the role: %v", err)
	}
}

// TestCreateGrant_onTheInstallationTakesAnOperator: power over the
// installation is not an organisation's to give.
func TestCreateGrant_onTheInstallationTakesAnOperator(t *testing.T) {
	in := install(t, "bolt")
	r := in.start()
	in.seed(r)
	chief := r.as(admin)
	chief.grant(t, sue, "roles/organization.admin", acme)
	for _, role := range []string{"roles/operator", "roles/staff"} {
		_, err := r.as(sue).CreateGrant(t.Context(), &permissionv1.CreateGrantRequest{
			Parent: acme, Grant: &permissionv1.Grant{Subject: sue, Role: role, Resource: "installation"},
		})
		wantError(t, err, errs.Denied, "GRANT_EXCEEDS_CALLER")
	}
	nothing, err := chief.CreateRole(t.Context(), &permissionv1.CreateRoleRequest{Parent: acme, RoleId: "nothing", Role: &permissionv1.Role{DisplayName: "Nothing yet"}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.as(sue).CreateGrant(t.Context(), &permissionv1.CreateGrantRequest{
		Parent: acme, Grant: &permissionv1.Grant{Subject: sue, Role: nothing.GetName(), Resource: "installation"},
	})
	wantError(t, err, errs.Denied, "GRANT_EXCEEDS_CALLER")
	// An administrator who is no operator cannot get into an operator's account.
	identity := r.asService("identity")
	if got := identity.cover(t, sue, admin); got.GetCovered() || got.GetResource() != "installation" {
		t.Errorf("%s against the operator: %v", sue, got)
	}
	_, err = chief.DeleteGrant(t.Context(), &permissionv1.DeleteGrantRequest{Name: acme + "/grants/operator"})
	wantError(t, err, errs.Precondition, "LAST_OPERATOR")
	chief.grant(t, sue, "roles/operator", "installation")
	if got := identity.cover(t, sue, admin); !got.GetCovered() {
		t.Errorf("one operator and administrator against the other: %v", got)
	}
	chief.revoke(t, acme+"/grants/operator")
}

func TestCreateGrant_rolesOfAServiceAreNotForPeople(t *testing.T) {
	in := install(t, "bolt")
	r := in.start()
	in.seed(r)
	for _, role := range []string{"roles/group.member", "roles/group.admin", "roles/group.owner"} {
		_, err := r.as(admin).CreateGrant(t.Context(), &permissionv1.CreateGrantRequest{
			Parent: acme, Grant: &permissionv1.Grant{Subject: sue, Role: role, Resource: acme + "/groups/g1"},
		})
		wantError(t, err, errs.Invalid, "ROLE_MANAGED")
	}
}
