package role_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/testkit"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/revision"
	"guildhall.dev/services/permission/internal/role"
)

const by = "services/test"

func eachStore(t *testing.T, test func(t *testing.T, roles *role.Roles, s kv.Store)) {
	t.Helper()
	roles := newRoles()
	testkit.EachStore(t, "roles", append(roles.Tables(), revision.Tables()...), func(t *testing.T, s kv.Store) { test(t, roles, s) })
}

// made creates a role that includes others, by ids.
func made(t *testing.T, roles *role.Roles, s kv.Store, id, permission string, included ...string) *permissionv1.Role {
	t.Helper()
	var created *permissionv1.Role
	update(t, s, func(tx kv.Tx) (err error) {
		created, _, err = roles.Create(tx, at, by, including(id, permission, included...))
		return err
	})
	return created
}

func including(id, permission string, included ...string) *permissionv1.Role {
	r := &permissionv1.Role{Name: acme + "/roles/" + id}
	if permission != "" {
		r.Permissions = []string{permission}
	}
	for _, name := range included {
		if !strings.Contains(name, "/") {
			name = acme + "/roles/" + name
		}
		r.IncludedRoles = append(r.IncludedRoles, name)
	}
	return r
}

// change updates a role and returns the names that it touched.
func change(t *testing.T, roles *role.Roles, s kv.Store, r *permissionv1.Role) (touched []string, err error) {
	t.Helper()
	err = s.Update(t.Context(), func(tx kv.Tx) error {
		_, v, err := roles.Update(tx, at, by, r, "")
		if err != nil {
			return err
		}
		changes, _, err := revision.Since(tx, acme, v.Number-1)
		touched = changes[0].Touched
		return err
	})
	return touched, err
}

// gives returns the permissions in the set of a role.
func gives(t *testing.T, roles *role.Roles, s kv.Store, id string) []string {
	t.Helper()
	var names []string
	view(t, s, func(r kv.Reader) error {
		set, err := roles.Set(r, acme+"/roles/"+id)
		names = slices.Sorted(roles.Catalogue().Names(set))
		return err
	})
	return names
}

func TestIncluded_isWhatItIsNow(t *testing.T) {
	eachStore(t, func(t *testing.T, roles *role.Roles, s kv.Store) {
		made(t, roles, s, "low", "identity.teams.get")
		made(t, roles, s, "middle", "identity.teams.list", "low")
		made(t, roles, s, "high", "identity.teams.create", "middle", "low")
		made(t, roles, s, "aside", "identity.staff.get")
		if got, want := gives(t, roles, s, "high"), []string{"identity.teams.create", "identity.teams.get", "identity.teams.list"}; !slices.Equal(got, want) {
			t.Errorf("high gives %v, want %v", got, want)
		}
		touched, err := change(t, roles, s, including("low", "identity.teams.delete"))
		if err != nil {
			t.Fatal(err)
		}
		if want := []string{acme + "/roles/low", acme + "/roles/high", acme + "/roles/middle"}; !slices.Equal(touched, want) {
			t.Errorf("touched %v, want %v", touched, want)
		}
		if got, want := gives(t, roles, s, "high"), []string{"identity.teams.create", "identity.teams.delete", "identity.teams.list"}; !slices.Equal(got, want) {
			t.Errorf("high gives %v, want %v", got, want)
		}
		err = s.Update(t.Context(), func(tx kv.Tx) error { _, _, err := roles.Delete(tx, at, acme+"/roles/low", ""); return err })
		wantReason(t, err, errs.Precondition, "ROLE_IN_USE")
		for _, r := range []*permissionv1.Role{including("middle", "identity.teams.list"), including("high", "")} {
			if _, err := change(t, roles, s, r); err != nil {
				t.Fatal(err)
			}
		}
		update(t, s, func(tx kv.Tx) error { _, _, err := roles.Delete(tx, at, acme+"/roles/low", ""); return err })
	})
}

func TestIncluded_builtInRole(t *testing.T) {
	eachStore(t, func(t *testing.T, roles *role.Roles, s kv.Store) {
		made(t, roles, s, "chief", "identity.teams.create", "roles/auditor")
		want := append(permissionsOf(t, "roles/auditor"), "identity.teams.create")
		slices.Sort(want)
		if got := gives(t, roles, s, "chief"); !slices.Equal(got, want) {
			t.Errorf("gives %v, want %v", got, want)
		}
	})
}

func TestIncluded_refusals(t *testing.T) {
	eachStore(t, func(t *testing.T, roles *role.Roles, s kv.Store) {
		made(t, roles, s, "a", "identity.teams.get")
		made(t, roles, s, "b", "identity.teams.get", "a")
		made(t, roles, s, "c", "identity.teams.get", "b", "roles/viewer")
		for _, c := range []struct {
			role   *permissionv1.Role
			kind   errs.Kind
			reason string
		}{
			{including("a", "", "none"), errs.NotFound, "ROLE_NOT_FOUND"},
			{including("a", "", "roles/none"), errs.NotFound, "ROLE_NOT_FOUND"},
			{including("a", "", role.Self), errs.NotFound, "ROLE_NOT_FOUND"},
			{including("a", "", "organizations/zeta/roles/z"), errs.NotFound, "ROLE_NOT_FOUND"},
			{including("a", "", acme+"/groups/g1"), errs.NotFound, "ROLE_NOT_FOUND"},
			{including("a", "", "roles/group.admin"), errs.Invalid, "ROLE_MANAGED"},
			{including("a", "", "a"), errs.Invalid, "ROLE_CYCLE"},
			{including("a", "", "c"), errs.Invalid, "ROLE_CYCLE"},
		} {
			_, err := change(t, roles, s, c.role)
			wantReason(t, err, c.kind, c.reason)
			if c.reason != "ROLE_CYCLE" {
				continue
			}
			if path := errs.From(err).Metadata["path"]; !strings.HasPrefix(path, acme+"/roles/a > ") || !strings.HasSuffix(path, " > "+acme+"/roles/a") {
				t.Errorf("the path is %q", path)
			}
		}
	})
}

func TestIncluded_bounds(t *testing.T) {
	roles := newRoles()
	s := testkit.Store(t, "bolt", "roles", append(roles.Tables(), revision.Tables()...))
	made(t, roles, s, "d0", "identity.teams.get")
	for i := 1; i <= role.MaxDepth; i++ {
		made(t, roles, s, fmt.Sprintf("d%d", i), "", fmt.Sprintf("d%d", i-1))
	}
	if got := gives(t, roles, s, fmt.Sprintf("d%d", role.MaxDepth)); !slices.Equal(got, []string{"identity.teams.get"}) {
		t.Errorf("the deepest is lost: %v", got)
	}
	// One more on top, and one more at the bottom.
	err := s.Update(t.Context(), func(tx kv.Tx) error {
		_, _, err := roles.Create(tx, at, by, including("top", "", fmt.Sprintf("d%d", role.MaxDepth)))
		return err
	})
	wantReason(t, err, errs.Invalid, "ROLE_HIERARCHY_LIMIT")
	made(t, roles, s, "bottom", "identity.teams.list")
	_, err = change(t, roles, s, including("d0", "", "bottom"))
	wantReason(t, err, errs.Invalid, "ROLE_HIERARCHY_LIMIT")
}

func TestIncluded_boundOfTheWhole(t *testing.T) {
	roles := newRoles()
	s := testkit.Store(t, "bolt", "roles", append(roles.Tables(), revision.Tables()...))
	var groups []string
	for g := range 5 {
		var ids []string
		update(t, s, func(tx kv.Tx) error {
			for i := range 40 {
				id := fmt.Sprintf("leaf-%d-%d", g, i)
				ids = append(ids, id)
				if _, _, err := roles.Create(tx, at, by, including(id, "")); err != nil {
					return err
				}
			}
			return nil
		})
		groups = append(groups, fmt.Sprintf("group-%d", g))
		made(t, roles, s, groups[g], "", ids...)
	}
	made(t, roles, s, "four", "", groups[:4]...) // 4 + 160
	made(t, roles, s, "all", "", "four")
	_, err := change(t, roles, s, including("four", "", groups...)) // "all" would have 1 + 5 + 200
	wantReason(t, err, errs.Invalid, "ROLE_HIERARCHY_LIMIT")
}

// A random hierarchy means what its definition says, a change is taken exactly
// if it leaves no way from a role to itself, and it touches all that it changes.
func TestIncluded_agreesWithItsDefinition(t *testing.T) {
	roles := newRoles()
	permissions := roles.Catalogue().Permissions()
	s := testkit.Store(t, "bolt", "roles", append(roles.Tables(), revision.Tables()...))
	ids := []string{"a", "b", "c", "d", "e", "f"}
	for i, id := range ids {
		made(t, roles, s, id, permissions[i].Name)
	}
	model := make(map[string][]string) // what each includes
	var reach func(id string, seen map[string]bool)
	reach = func(id string, seen map[string]bool) {
		for _, next := range model[id] {
			if !seen[next] {
				seen[next] = true
				reach(next, seen)
			}
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		i := rapid.IntRange(0, len(ids)-1).Draw(rt, "role")
		included := rapid.SliceOfNDistinct(rapid.SampledFrom(ids), 0, 3, rapid.ID).Draw(rt, "included")
		before := model[ids[i]]
		model[ids[i]] = included
		below := make(map[string]bool)
		reach(ids[i], below)
		touched, err := change(t, roles, s, including(ids[i], permissions[i].Name, included...))
		if cyclic := below[ids[i]]; cyclic != (errs.ReasonOf(err) == "ROLE_CYCLE") || !cyclic && err != nil {
			rt.Fatalf("%s includes %v: %v, cyclic %t", ids[i], included, err, cyclic)
		}
		if err != nil {
			model[ids[i]] = before
			return
		}
		for j, id := range ids {
			all := map[string]bool{id: true}
			reach(id, all)
			var want []string
			for _, k := range slices.Sorted(maps.Keys(all)) {
				want = append(want, permissions[slices.Index(ids, k)].Name)
			}
			if got := gives(t, roles, s, id); !slices.Equal(got, want) {
				rt.Fatalf("%s gives %v, want %v", id, got, want)
			}
			if all[ids[i]] != slices.Contains(touched, acme+"/roles/"+ids[j]) {
				rt.Fatalf("a change of %s touched %v; %s has it: %t", ids[i], touched, id, all[ids[i]])
			}
		}
	})
}
