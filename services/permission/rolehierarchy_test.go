package permission_test

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/errs"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// includes updates a role so that it includes the others.
func (c *client) includes(t testing.TB, name string, included ...string) (*permissionv1.Role, error) {
	t.Helper()
	return c.UpdateRole(t.Context(), &permissionv1.UpdateRoleRequest{
		Role:       &permissionv1.Role{Name: name, IncludedRoles: included},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"included_roles"}},
	})
}

func TestIncludedRole_countsInChecksAsItIsNow(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c, gateway := r.as(admin), r.asService("gateway")
		inner, outer := c.role(t, "inner", "identity.teams.create"), c.role(t, "outer", "identity.teams.get")
		c.grant(t, sue, outer.GetName(), acme)
		gateway.wantMay(t, false, sue, "identity.teams.create", acme)
		if _, err := c.includes(t, outer.GetName(), inner.GetName()); err != nil {
			t.Fatal(err)
		}
		gateway.wantMay(t, true, sue, "identity.teams.create", acme)
		gateway.wantMay(t, true, sue, "identity.teams.get", acme)

		// A change of the inner one is one of the outer one.
		_, err := c.UpdateRole(t.Context(), &permissionv1.UpdateRoleRequest{Role: &permissionv1.Role{
			Name: inner.GetName(), Levels: []*permissionv1.CollectionLevel{{Collection: "groupchat.groups", Level: permissionv1.Level_LEVEL_EDIT}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		gateway.wantMay(t, true, sue, "groupchat.groups.update", acme+"/groups/g1")
		gateway.wantMay(t, false, sue, "groupchat.groups.delete", acme+"/groups/g1")

		_, err = c.includes(t, inner.GetName(), outer.GetName())
		wantError(t, err, errs.Invalid, "ROLE_CYCLE")
		_, err = c.DeleteRole(t.Context(), &permissionv1.DeleteRoleRequest{Name: inner.GetName()})
		wantError(t, err, errs.Precondition, "ROLE_IN_USE")
		if _, err := c.includes(t, outer.GetName()); err != nil {
			t.Fatal(err)
		}
		gateway.wantMay(t, false, sue, "identity.teams.create", acme)
	})
}

// What a role includes, and what its levels stand for, is given with it.
func TestIncludedRole_givesNothingTheCallerLacks(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c, gateway := r.as(admin), r.asService("gateway")
		editor := c.role(t, "editor", "permission.roles.update", "permission.roles.create", "permission.grants.create")
		strong := c.role(t, "strong", "identity.customers.delete")
		wrapped, err := c.CreateRole(t.Context(), &permissionv1.CreateRoleRequest{
			Parent: acme, RoleId: "wrapped", Role: &permissionv1.Role{DisplayName: "Wrapped", IncludedRoles: []string{strong.GetName()}},
		})
		if err != nil {
			t.Fatal(err)
		}
		c.grant(t, sue, editor.GetName(), acme)
		asSue := r.as(sue)
		_, err = asSue.includes(t, editor.GetName(), wrapped.GetName())
		wantError(t, err, errs.Denied, "GRANT_EXCEEDS_CALLER")
		_, err = asSue.includes(t, editor.GetName(), "roles/organization.admin")
		wantError(t, err, errs.Denied, "GRANT_EXCEEDS_CALLER")
		_, err = asSue.UpdateRole(t.Context(), &permissionv1.UpdateRoleRequest{Role: &permissionv1.Role{
			Name: editor.GetName(), Levels: []*permissionv1.CollectionLevel{{Collection: "identity.customers", Level: permissionv1.Level_LEVEL_MANAGE}},
		}})
		wantError(t, err, errs.Denied, "GRANT_EXCEEDS_CALLER")
		_, err = asSue.CreateGrant(t.Context(), &permissionv1.CreateGrantRequest{
			Parent: acme, Grant: &permissionv1.Grant{Subject: sue, Role: wrapped.GetName(), Resource: acme},
		})
		wantError(t, err, errs.Denied, "GRANT_EXCEEDS_CALLER")
		gateway.wantMay(t, false, sue, "identity.customers.delete", acme)
		// What she holds by one role, another may include.
		if _, err := asSue.includes(t, wrapped.GetName(), editor.GetName()); err != nil {
			t.Error(err)
		}
	})
}

func TestRoleRevisions_listRollBackAndCompare(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c, gateway := r.as(admin), r.asService("gateway")
		clerk := c.role(t, "clerk", "identity.teams.create", "identity.teams.get")
		c.grant(t, sue, clerk.GetName(), acme)
		_, err := c.UpdateRole(t.Context(), &permissionv1.UpdateRoleRequest{Role: &permissionv1.Role{
			Name: clerk.GetName(), Permissions: []string{"identity.teams.get", "identity.teams.update"},
		}})
		if err != nil {
			t.Fatal(err)
		}
		first := clerk.GetName() + "/revisions/1"
		diff, err := c.CompareRoles(t.Context(), &permissionv1.CompareRolesRequest{Parent: acme, Left: first, Right: clerk.GetName()})
		want := &permissionv1.CompareRolesResponse{
			LeftOnly: []string{"identity.teams.create"}, RightOnly: []string{"identity.teams.update"}, Both: []string{"identity.teams.get"},
		}
		if err != nil || !proto.Equal(diff, want) {
			t.Errorf("differ by %v, %v", diff, err)
		}

		roll := &permissionv1.RollbackRoleRequest{Name: clerk.GetName(), RevisionId: "1", RequestId: "roll-1", Etag: "stale"}
		_, err = c.RollbackRole(t.Context(), roll)
		wantError(t, err, errs.Conflict, "ETAG_MISMATCH")
		roll.Etag = ""
		rolled, err := c.RollbackRole(t.Context(), roll)
		if err != nil || !slices.Equal(rolled.GetPermissions(), clerk.GetPermissions()) {
			t.Fatalf("rolled back to %v, %v", rolled, err)
		}
		gateway.wantMay(t, true, sue, "identity.teams.create", acme)
		gateway.wantMay(t, false, sue, "identity.teams.update", acme)
		if again, err := c.RollbackRole(t.Context(), roll); err != nil || !proto.Equal(again, rolled) {
			t.Errorf("a retry: %v, %v", again, err)
		}
		roll.RevisionId = "2"
		_, err = c.RollbackRole(t.Context(), roll)
		wantError(t, err, errs.Invalid, "REQUEST_ID_REUSED")

		var names []string
		for token := ""; ; {
			page, err := c.ListRoleRevisions(t.Context(), &permissionv1.ListRoleRevisionsRequest{Parent: clerk.GetName(), PageSize: 2, PageToken: token})
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range page.GetRoleRevisions() {
				names = append(names, v.GetName())
				if v.GetAuthor() != admin || v.GetCreateTime() == nil {
					t.Errorf("revision %v", v)
				}
			}
			if token = page.GetNextPageToken(); token == "" {
				break
			}
		}
		v, err := c.GetRoleRevision(t.Context(), &permissionv1.GetRoleRevisionRequest{Name: first})
		if err != nil || !slices.Equal(v.GetRole().GetPermissions(), clerk.GetPermissions()) {
			t.Errorf("the first revision is %v, %v", v, err)
		}
		if want := []string{clerk.GetName() + "/revisions/3", clerk.GetName() + "/revisions/2", first}; !slices.Equal(names, want) {
			t.Errorf("revisions %v, want %v", names, want)
		}
	})
}

// A rollback is an update: it gives nothing that the caller lacks.
func TestRollbackRole_givesNothingTheCallerLacks(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.as(admin)
		editor := c.role(t, "editor", "permission.roles.update", "identity.customers.delete")
		_, err := c.UpdateRole(t.Context(), &permissionv1.UpdateRoleRequest{Role: &permissionv1.Role{
			Name: editor.GetName(), Permissions: []string{"permission.roles.update"},
		}})
		if err != nil {
			t.Fatal(err)
		}
		c.grant(t, sue, editor.GetName(), acme)
		_, err = r.as(sue).RollbackRole(t.Context(), &permissionv1.RollbackRoleRequest{Name: editor.GetName(), RevisionId: "1"})
		wantError(t, err, errs.Denied, "GRANT_EXCEEDS_CALLER")
		r.asService("gateway").wantMay(t, false, sue, "identity.customers.delete", acme)
		_, err = c.RollbackRole(t.Context(), &permissionv1.RollbackRoleRequest{Name: editor.GetName(), RevisionId: "9"})
		wantError(t, err, errs.NotFound, "ROLE_REVISION_NOT_FOUND")
	})
}

func TestGetRoleUsage_countsGrantsAndRoles(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.as(admin)
		clerk := c.role(t, "clerk", "identity.teams.get")
		outer := c.role(t, "outer", "identity.teams.get")
		if _, err := c.includes(t, outer.GetName(), clerk.GetName()); err != nil {
			t.Fatal(err)
		}
		c.grant(t, sue, clerk.GetName(), acme)
		c.grant(t, sue, clerk.GetName(), acme+"/groups/g1")
		usage, err := c.GetRoleUsage(t.Context(), &permissionv1.GetRoleUsageRequest{Parent: acme, Role: clerk.GetName()})
		if err != nil || usage.GetGrantCount() != 2 || usage.GetMoreGrants() || usage.GetIncludingRoleCount() != 1 ||
			usage.GetAuthor() != admin || !proto.Equal(usage.GetUpdateTime(), clerk.GetUpdateTime()) {
			t.Errorf("usage %v, %v", usage, err)
		}
		usage, err = c.GetRoleUsage(t.Context(), &permissionv1.GetRoleUsageRequest{Parent: acme, Role: "roles/organization.admin"})
		if err != nil || usage.GetGrantCount() != 1 || usage.GetAuthor() != "" {
			t.Errorf("usage of the administrators' role %v, %v", usage, err)
		}
	})
}

func TestRoleReads_tellNothingOfOthers(t *testing.T) {
	in := install(t, "bolt")
	r := in.start()
	in.seed(r)
	c := r.as(admin)
	clerk := c.role(t, "clerk", "identity.teams.get").GetName()
	const foreign = "organizations/zeta/roles/z"
	for name, call := range map[string]func(c *client) error{
		"usage of a foreign role": func(c *client) error {
			_, err := c.GetRoleUsage(t.Context(), &permissionv1.GetRoleUsageRequest{Parent: acme, Role: foreign})
			return err
		},
		"a foreign role to compare with": func(c *client) error {
			_, err := c.CompareRoles(t.Context(), &permissionv1.CompareRolesRequest{Parent: acme, Left: clerk, Right: foreign})
			return err
		},
		"a foreign revision to compare with": func(c *client) error {
			_, err := c.CompareRoles(t.Context(), &permissionv1.CompareRolesRequest{Parent: acme, Left: foreign + "/revisions/1", Right: clerk})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) { wantError(t, call(c), errs.NotFound, "ROLE_NOT_FOUND") })
	}
	for name, call := range map[string]func(c *client) error{
		"revisions": func(c *client) error {
			_, err := c.ListRoleRevisions(t.Context(), &permissionv1.ListRoleRevisionsRequest{Parent: foreign})
			return err
		},
		"one revision": func(c *client) error {
			_, err := c.GetRoleRevision(t.Context(), &permissionv1.GetRoleRevisionRequest{Name: foreign + "/revisions/1"})
			return err
		},
		"rollback": func(c *client) error {
			_, err := c.RollbackRole(t.Context(), &permissionv1.RollbackRoleRequest{Name: foreign, RevisionId: "1"})
			return err
		},
		"permissions": func(c *client) error {
			_, err := c.ListPermissions(t.Context(), &permissionv1.ListPermissionsRequest{Parent: "organizations/zeta"})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) { wantError(t, call(c), errs.NotFound, "RESOURCE_NOT_FOUND") })
	}
	// One of the organisation without a role sees that it may not.
	_, err := r.as(carl).GetRoleRevision(t.Context(), &permissionv1.GetRoleRevisionRequest{Name: clerk + "/revisions/1"})
	if !errs.Is(err, errs.Denied) && !errs.Is(err, errs.NotFound) {
		t.Errorf("a customer reads a revision: %v", err)
	}
}

// To change a role that is denied to somebody is to deny, or to give back.
func TestUpdateRole_thatIsDeniedTakesAnAdministrator(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c, gateway := r.as(admin), r.asService("gateway")
		const bob = acme + "/staff/bob"
		editor := c.role(t, "editor", "permission.roles.update", "identity.teams.delete", "identity.teams.create")
		c.grant(t, sue, editor.GetName(), acme)
		c.grant(t, bob, "roles/organization.admin", acme)
		inner := c.role(t, "inner", "identity.teams.update")
		blocked := c.role(t, "blocked", "identity.teams.create")
		if _, err := c.includes(t, blocked.GetName(), inner.GetName()); err != nil {
			t.Fatal(err)
		}
		_, err := c.CreateGrant(t.Context(), &permissionv1.CreateGrantRequest{Parent: acme, Grant: &permissionv1.Grant{
			Subject: bob, Role: blocked.GetName(), Resource: acme, Effect: permissionv1.Effect_EFFECT_DENY,
		}})
		if err != nil {
			t.Fatal(err)
		}
		set := func(c *client, name string, permissions ...string) error {
			_, err := c.UpdateRole(t.Context(), &permissionv1.UpdateRoleRequest{
				Role: &permissionv1.Role{Name: name, Permissions: permissions}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"permissions"}},
			})
			return err
		}
		wantError(t, set(r.as(sue), blocked.GetName(), "identity.teams.create", "identity.teams.delete"), errs.Denied, "TARGET_EXCEEDS_CALLER")
		wantError(t, set(r.as(sue), blocked.GetName()), errs.Denied, "TARGET_EXCEEDS_CALLER")
		wantError(t, set(r.as(sue), inner.GetName(), "identity.teams.delete"), errs.Denied, "TARGET_EXCEEDS_CALLER")
		_, err = r.as(sue).UpdateRole(t.Context(), &permissionv1.UpdateRoleRequest{Role: &permissionv1.Role{Name: blocked.GetName(), DisplayName: "Blocked"}})
		if err != nil {
			t.Errorf("to rename it: %v", err)
		}
		gateway.wantMay(t, true, bob, "identity.teams.delete", acme)
		if err := set(c, inner.GetName(), "identity.teams.delete"); err != nil {
			t.Errorf("an administrator: %v", err)
		}
		gateway.wantMay(t, false, bob, "identity.teams.delete", acme)
	})
}
