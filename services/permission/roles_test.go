package permission_test

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/testkit"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// eachReplica runs a test on a seeded replica of each engine.
func eachReplica(t *testing.T, test func(t *testing.T, r *replica)) {
	t.Helper()
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			in := install(t, engine)
			r := in.start()
			in.seed(r)
			test(t, r)
		})
	}
}

func (c *client) role(t testing.TB, id string, permissions ...string) *permissionv1.Role {
	t.Helper()
	r, err := c.CreateRole(t.Context(), &permissionv1.CreateRoleRequest{
		Parent: acme, RoleId: id, Role: &permissionv1.Role{DisplayName: "Clerk", Permissions: permissions},
	})
	if err != nil {
		t.Fatalf("CreateRole: %v", err)
	}
	return r
}

func TestRoles_lifeOfARole(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c, gateway := r.as(admin), r.asService("gateway")
		clerk := c.role(t, "clerk", "identity.teams.create")
		g := c.grant(t, sue, clerk.GetName(), acme)
		gateway.wantMay(t, true, sue, "identity.teams.create", acme)
		gateway.wantMay(t, false, sue, "identity.teams.delete", acme)

		// All who hold it hold what it is changed to.
		clerk.Permissions = []string{"identity.teams.delete"}
		updated, err := c.UpdateRole(t.Context(), &permissionv1.UpdateRoleRequest{
			Role: clerk, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"permissions"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if updated.GetDisplayName() != "Clerk" || updated.GetEtag() == clerk.GetEtag() {
			t.Errorf("updated %v", updated)
		}
		gateway.wantMay(t, false, sue, "identity.teams.create", acme)
		gateway.wantMay(t, true, sue, "identity.teams.delete", acme)

		_, err = c.UpdateRole(t.Context(), &permissionv1.UpdateRoleRequest{Role: clerk})
		wantError(t, err, errs.Conflict, "ETAG_MISMATCH")
		_, err = c.DeleteRole(t.Context(), &permissionv1.DeleteRoleRequest{Name: clerk.GetName()})
		wantError(t, err, errs.Precondition, "ROLE_IN_USE")
		c.revoke(t, g.GetName())
		if _, err := c.DeleteRole(t.Context(), &permissionv1.DeleteRoleRequest{Name: clerk.GetName(), Etag: updated.GetEtag()}); err != nil {
			t.Fatal(err)
		}
		_, err = c.GetRole(t.Context(), &permissionv1.GetRoleRequest{Name: clerk.GetName()})
		wantError(t, err, errs.NotFound, "ROLE_NOT_FOUND")
	})
}

func TestUpdateRole_givesNothingTheCallerLacks(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.as(admin)
		editor := c.role(t, "editor", "permission.roles.update", "permission.roles.get", "permission.grants.create")
		c.grant(t, sue, editor.GetName(), acme)
		raise := &permissionv1.UpdateRoleRequest{Role: &permissionv1.Role{
			Name:        editor.GetName(),
			Permissions: append(slices.Clone(editor.GetPermissions()), "identity.customers.delete"),
		}}
		_, err := r.as(sue).UpdateRole(t.Context(), raise)
		wantError(t, err, errs.Denied, "GRANT_EXCEEDS_CALLER")
		r.asService("gateway").wantMay(t, false, sue, "identity.customers.delete", acme)
		// To take away, or to rename, one needs to hold nothing more.
		_, err = r.as(sue).UpdateRole(t.Context(), &permissionv1.UpdateRoleRequest{Role: &permissionv1.Role{Name: editor.GetName(), DisplayName: "Editors"}})
		if err != nil {
			t.Error(err)
		}
		if _, err := c.UpdateRole(t.Context(), raise); err != nil {
			t.Errorf("one who holds it: %v", err)
		}
		r.asService("gateway").wantMay(t, true, sue, "identity.customers.delete", acme)
	})
}

func TestRoles_badInput(t *testing.T) {
	in := install(t, "bolt")
	r := in.start()
	in.seed(r)
	c := r.as(admin)
	good := &permissionv1.Role{DisplayName: "x"}
	for _, test := range []struct {
		name   string
		call   func() error
		kind   errs.Kind
		reason string
	}{
		{"an id with capitals", func() error {
			_, err := c.CreateRole(t.Context(), &permissionv1.CreateRoleRequest{Parent: acme, RoleId: "Clerk", Role: good})
			return err
		}, errs.Invalid, "RESOURCE_NAME_INVALID"},
		{"a parent that is no organisation", func() error {
			_, err := c.CreateRole(t.Context(), &permissionv1.CreateRoleRequest{Parent: acme + "/groups/g1", Role: good})
			return err
		}, errs.Invalid, "RESOURCE_NAME_INVALID"},
		{"no display name", func() error {
			_, err := c.CreateRole(t.Context(), &permissionv1.CreateRoleRequest{Parent: acme, Role: &permissionv1.Role{}})
			return err
		}, errs.Invalid, "VALIDATION_FAILED"},
		{"a wildcard", func() error {
			_, err := c.CreateRole(t.Context(), &permissionv1.CreateRoleRequest{Parent: acme, Role: &permissionv1.Role{DisplayName: "x", Permissions: []string{"groupchat.*"}}})
			return err
		}, errs.Invalid, "PERMISSION_UNKNOWN"},
		{"another organisation", func() error {
			_, err := c.CreateRole(t.Context(), &permissionv1.CreateRoleRequest{Parent: "organizations/zeta", Role: good})
			return err
		}, errs.NotFound, "RESOURCE_NOT_FOUND"},
		{"a field that cannot be changed", func() error {
			_, err := c.UpdateRole(t.Context(), &permissionv1.UpdateRoleRequest{
				Role: &permissionv1.Role{Name: acme + "/roles/r"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"built_in"}},
			})
			return err
		}, errs.Invalid, "UPDATE_MASK_INVALID"},
		{"a role that is not there", func() error {
			_, err := c.UpdateRole(t.Context(), &permissionv1.UpdateRoleRequest{Role: &permissionv1.Role{Name: acme + "/roles/none", DisplayName: "x"}})
			return err
		}, errs.NotFound, "ROLE_NOT_FOUND"},
		{"a page token of another list", func() error {
			first, err := c.ListPermissions(t.Context(), &permissionv1.ListPermissionsRequest{PageSize: 1})
			if err != nil {
				return err
			}
			_, err = c.ListRoles(t.Context(), &permissionv1.ListRolesRequest{Parent: acme, PageToken: first.GetNextPageToken()})
			return err
		}, errs.Invalid, "PAGE_TOKEN_MISMATCH"},
	} {
		t.Run(test.name, func(t *testing.T) { wantError(t, test.call(), test.kind, test.reason) })
	}
}

func TestListPermissions_pagesTheCatalogue(t *testing.T) {
	in := install(t, "bolt")
	c := in.start().as(carl)
	var names []string
	for token := ""; ; {
		resp, err := c.ListPermissions(t.Context(), &permissionv1.ListPermissionsRequest{PageSize: 7, PageToken: token})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range resp.GetPermissions() {
			if ofData := strings.HasPrefix(p.GetName(), "data."); (len(p.GetMethods()) == 0) != ofData {
				t.Errorf("%s has methods %v", p.GetName(), p.GetMethods())
			}
			names = append(names, p.GetName())
		}
		if token = resp.GetNextPageToken(); token == "" {
			break
		}
	}
	if !slices.IsSorted(names) || len(slices.Compact(names)) != len(names) {
		t.Error("not by name, or not each once")
	}
	for _, want := range []string{"identity.staff.get", "permission.grants.create", "groupchat.messages.create", "feedback.surveys.get"} {
		if !slices.Contains(names, want) {
			t.Errorf("lacks %s", want)
		}
	}
}
