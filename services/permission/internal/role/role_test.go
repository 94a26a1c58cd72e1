package role_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/testkit"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/revision"
	"guildhall.dev/services/permission/internal/role"

	_ "guildhall.dev/proto/gen/guildhall/feedback/v1"
	_ "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	_ "guildhall.dev/proto/gen/guildhall/identity/v1"
)

const acme = "organizations/acme"

var at = time.Unix(1_800_000_000, 0)

func newRoles() *role.Roles { return role.New(role.NewCatalogue(authz.Catalogue())) }

func permissionsOf(t *testing.T, name string) []string {
	t.Helper()
	r, err := newRoles().Get(nil, name)
	if err != nil {
		t.Fatal(err)
	}
	return r.GetPermissions()
}

func TestBuiltIns_holdWhatTheyShould(t *testing.T) {
	for _, c := range []struct {
		role      string
		has, lack []string
	}{
		{role.Operator, []string{"identity.organizations.create"}, []string{"identity.staff.get"}},
		{role.Admin,
			[]string{"identity.staff.create", "permission.grants.create", "groupchat.messages.create", "feedback.complaints.close"},
			[]string{"identity.organizations.create", "identity.organizations.list"}},
		{role.Staff, []string{"identity.teamMembers.list"}, []string{"identity.customers.get", "permission.grants.list"}},
		{role.Customer, []string{"feedback.responses.create"}, []string{"identity.customers.get"}},
		{role.Self, []string{"identity.sessions.revoke", "feedback.complaints.dispute"}, []string{"identity.customers.update"}},
		{"roles/customer.service", []string{"feedback.complaints.close", "groupchat.members.create"}, []string{"feedback.complaints.accept", "feedback.complaints.dispute", "identity.customers.delete"}},
		{"roles/auditor", []string{"feedback.auditEntries.verify", "permission.grants.list"}, []string{"identity.customers.get"}},
		{"roles/viewer", []string{"identity.customers.list", "groupchat.groups.get"}, []string{"groupchat.messages.get", "groupchat.messages.list", "identity.customers.update"}},
		{"roles/group.member", []string{"groupchat.messages.create"}, []string{"groupchat.groups.update"}},
		{"roles/group.admin", []string{"groupchat.messages.create", "groupchat.members.create"}, []string{"groupchat.groups.delete"}},
		{"roles/group.owner", []string{"groupchat.members.create", "groupchat.groups.delete"}, []string{"identity.staff.get"}},
	} {
		t.Run(c.role, func(t *testing.T) {
			got := permissionsOf(t, c.role)
			for _, p := range c.has {
				if !slices.Contains(got, p) {
					t.Errorf("lacks %s", p)
				}
			}
			for _, p := range c.lack {
				if slices.Contains(got, p) {
					t.Errorf("has %s", p)
				}
			}
		})
	}
}

func TestBuiltIn_managers(t *testing.T) {
	roles := newRoles()
	for name, want := range map[string]string{"roles/group.owner": "groupchat", role.Admin: "", "roles/none": ""} {
		if got := roles.Manager(name); got != want {
			t.Errorf("manager of %s: %q, want %q", name, got, want)
		}
	}
}

func TestRoles_createGetUpdateDelete(t *testing.T) {
	roles := newRoles()
	testkit.EachStore(t, "roles", append(roles.Tables(), revision.Tables()...), func(t *testing.T, s kv.Store) {
		name := acme + "/roles/clerk"
		var created *permissionv1.Role
		update(t, s, func(tx kv.Tx) (err error) {
			var v revision.Revision
			created, v, err = roles.Create(tx, at, "services/test", &permissionv1.Role{
				Name: name, DisplayName: "Clerk", BuiltIn: true, Etag: "x",
				Permissions: []string{"identity.staff.list", "identity.staff.get"},
			})
			if v.Number != 1 {
				t.Errorf("created at revision %d, want 1", v.Number)
			}
			return err
		})
		if created.GetBuiltIn() || created.GetEtag() == "x" || !slices.IsSorted(created.GetPermissions()) {
			t.Errorf("created %v", created)
		}
		view(t, s, func(r kv.Reader) error {
			got, err := roles.Get(r, name)
			if !proto.Equal(got, created) {
				t.Errorf("got %v, want %v", got, created)
			}
			return err
		})
		err := s.Update(t.Context(), func(tx kv.Tx) error { _, _, err := roles.Create(tx, at, "services/test", created); return err })
		wantReason(t, err, errs.Exists, "ROLE_EXISTS")

		changed := proto.CloneOf(created)
		changed.Permissions = []string{"identity.teams.get"}
		err = s.Update(t.Context(), func(tx kv.Tx) error { _, _, err := roles.Update(tx, at, "services/test", changed, "stale"); return err })
		wantReason(t, err, errs.Conflict, "ETAG_MISMATCH")
		update(t, s, func(tx kv.Tx) error {
			_, v, err := roles.Update(tx, at, "services/test", changed, created.GetEtag())
			if v.Number != 2 {
				t.Errorf("updated at revision %d, want 2", v.Number)
			}
			return err
		})
		view(t, s, func(r kv.Reader) error {
			set, err := roles.Set(r, name)
			number, _ := roles.Catalogue().Lookup("identity.teams.get")
			old, _ := roles.Catalogue().Lookup("identity.staff.get")
			if !set.Has(number) || set.Has(old) {
				t.Error("the set is not that of the update")
			}
			return err
		})
		update(t, s, func(tx kv.Tx) error { _, _, err := roles.Delete(tx, at, name, ""); return err })
		err = s.View(t.Context(), func(r kv.Reader) error { _, err := roles.Get(r, name); return err })
		wantReason(t, err, errs.NotFound, "ROLE_NOT_FOUND")
		view(t, s, func(r kv.Reader) error {
			set, err := roles.Set(r, name)
			if !set.IsEmpty() {
				t.Error("a deleted role has permissions")
			}
			changes, _, logErr := revision.Since(r, acme, 0)
			if logErr != nil || len(changes) != 3 || changes[2].Touched[0] != name {
				t.Errorf("changes %v, %v", changes, logErr)
			}
			return err
		})
	})
}

func TestCreate_unknownPermissionsNamed(t *testing.T) {
	roles := newRoles()
	s := testkit.Store(t, "bolt", "roles", append(roles.Tables(), revision.Tables()...))
	err := s.Update(t.Context(), func(tx kv.Tx) error {
		_, _, err := roles.Create(tx, at, "services/test", &permissionv1.Role{
			Name: acme + "/roles/r", Permissions: []string{"identity.staff.get", "identity.*", "no.such.thing"},
		})
		return err
	})
	wantReason(t, err, errs.Invalid, "PERMISSION_UNKNOWN")
	var fields []string
	for _, v := range errs.From(err).Violations {
		fields = append(fields, v.Field)
	}
	if want := []string{"role.permissions[1]", "role.permissions[2]"}; !slices.Equal(fields, want) {
		t.Errorf("fields %v, want %v", fields, want)
	}
}

func TestList_pagesBuiltInThenCustom(t *testing.T) {
	roles := newRoles()
	testkit.EachStore(t, "roles", append(roles.Tables(), revision.Tables()...), func(t *testing.T, s kv.Store) {
		update(t, s, func(tx kv.Tx) error {
			for _, name := range []string{acme + "/roles/b", acme + "/roles/a", "organizations/zeta/roles/z"} {
				if _, _, err := roles.Create(tx, at, "services/test", &permissionv1.Role{Name: name}); err != nil {
					return err
				}
			}
			return nil
		})
		var whole []string
		for size := 1; size <= 20; size++ {
			var names []string
			var after []byte
			for more := true; more; more = after != nil {
				view(t, s, func(r kv.Reader) error {
					page, next, err := roles.List(r, acme, after, size)
					if len(page) > size || (next != nil && len(page) != size) {
						t.Errorf("size %d: a page of %d", size, len(page))
					}
					for _, p := range page {
						names = append(names, p.GetName())
					}
					after = next
					return err
				})
			}
			if whole == nil {
				whole = names
			}
			if !slices.Equal(names, whole) {
				t.Errorf("size %d: %v, want %v", size, names, whole)
			}
		}
		builtIn := whole[:len(whole)-2]
		if !slices.IsSorted(builtIn) || slices.Contains(builtIn, role.Self) || !strings.HasPrefix(builtIn[0], "roles/") {
			t.Errorf("built-in roles %v", builtIn)
		}
		if want := []string{acme + "/roles/a", acme + "/roles/b"}; !slices.Equal(whole[len(whole)-2:], want) {
			t.Errorf("custom roles %v, want %v", whole[len(whole)-2:], want)
		}
	})
}

func update(t *testing.T, s kv.Store, fn func(tx kv.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func view(t *testing.T, s kv.Store, fn func(r kv.Reader) error) {
	t.Helper()
	if err := s.View(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func wantReason(t *testing.T, err error, kind errs.Kind, reason string) {
	t.Helper()
	if !errs.Is(err, kind) || errs.ReasonOf(err) != reason {
		t.Errorf("got %v, want %s [%s]", err, kind, reason)
	}
}
