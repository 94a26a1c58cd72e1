package role_test

import (
	"slices"
	"testing"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/revision"
	"guildhall.dev/services/permission/internal/role"
)

// records is a type with the three actions of AuthZEN's certification.
func records() *permissionv1.ResourceType {
	return &permissionv1.ResourceType{
		Name: acme + "/resourceTypes/record", Collection: "records", DisplayName: "Record",
		Actions: []*permissionv1.ResourceAction{
			{Id: "write", Level: permissionv1.Level_LEVEL_EDIT},
			{Id: "read", Level: permissionv1.Level_LEVEL_READ},
			{Id: "delete", Level: permissionv1.Level_LEVEL_MANAGE},
		},
	}
}

func declare(t *testing.T, roles *role.Roles, s kv.Store) {
	t.Helper()
	update(t, s, func(tx kv.Tx) error { _, _, err := roles.CreateType(tx, at, records()); return err })
}

func TestTypes_makePermissionsForRoles(t *testing.T) {
	eachStore(t, func(t *testing.T, roles *role.Roles, s kv.Store) {
		create := func() error {
			return s.Update(t.Context(), func(tx kv.Tx) error {
				_, _, err := roles.Create(tx, at, by, including("reader", "custom.records.read"))
				return err
			})
		}
		wantReason(t, create(), errs.Invalid, "PERMISSION_UNKNOWN")
		declare(t, roles, s)
		if err := create(); err != nil {
			t.Fatal(err)
		}
		if got := gives(t, roles, s, "reader"); !slices.Equal(got, []string{"custom.records.read"}) {
			t.Errorf("gives %v", got)
		}
		view(t, s, func(r kv.Reader) error {
			declared, err := roles.Set(r, role.Declared(acme))
			if err != nil {
				return err
			}
			elsewhere, err := roles.Set(r, role.Declared("organizations/zeta"))
			for name, want := range map[string]bool{"custom.records.write": true, "custom.records.burn": false, "identity.staff.get": false} {
				p, _ := roles.Catalogue().Lookup(name)
				if declared.Has(p) != want || elsewhere.Has(p) {
					t.Errorf("%s is declared: %t, elsewhere: %t", name, declared.Has(p), elsewhere.Has(p))
				}
			}
			admin, _ := roles.BuiltIn(role.Admin)
			viewer, _ := roles.BuiltIn("roles/viewer")
			if p, _ := roles.Catalogue().Lookup("custom.records.write"); !admin.Has(p) || viewer.Has(p) {
				t.Error("administrators, and no others that are built in, have what is declared")
			}
			return err
		})
	})
}

func TestExpand_administratorsHaveWhatIsDeclared(t *testing.T) {
	eachStore(t, func(t *testing.T, roles *role.Roles, s kv.Store) {
		declare(t, roles, s)
		made(t, roles, s, "chief", "", role.Admin)
		view(t, s, func(r kv.Reader) error {
			for _, name := range []string{role.Admin, acme + "/roles/chief"} {
				one, err := roles.Get(r, name)
				if err != nil {
					return err
				}
				names, err := roles.Expand(r, acme, one)
				if err != nil {
					return err
				}
				if !slices.IsSorted(names) || !slices.Contains(names, "custom.records.delete") || !slices.Contains(names, "identity.staff.get") {
					t.Errorf("%s has %v", name, names)
				}
			}
			return nil
		})
	})
}

func TestTypes_levelsFollowTheType(t *testing.T) {
	eachStore(t, func(t *testing.T, roles *role.Roles, s kv.Store) {
		declare(t, roles, s)
		r := including("reader", "")
		r.Levels = []*permissionv1.CollectionLevel{{Collection: "custom.records", Level: permissionv1.Level_LEVEL_READ}}
		update(t, s, func(tx kv.Tx) error { _, _, err := roles.Create(tx, at, by, r); return err })
		made(t, roles, s, "outer", "", "reader")
		changed := records()
		changed.Actions = changed.Actions[:2]                      // delete goes, no role names it
		changed.Actions[0].Level = permissionv1.Level_LEVEL_READ   // write comes down
		changed.Actions[1].Level = permissionv1.Level_LEVEL_MANAGE // read goes up
		var v revision.Revision
		update(t, s, func(tx kv.Tx) error {
			widened, err := roles.WidenedByType(tx, records(), changed)
			if !slices.Equal(widened, []string{"custom.records.write"}) {
				t.Errorf("widened by %v", widened)
			}
			if err != nil {
				return err
			}
			_, v, err = roles.UpdateType(tx, at, changed, "")
			return err
		})
		if got := gives(t, roles, s, "outer"); !slices.Equal(got, []string{"custom.records.write"}) {
			t.Errorf("outer gives %v", got)
		}
		view(t, s, func(r kv.Reader) error {
			changes, _, err := revision.Since(r, acme, v.Number-1)
			if want := []string{role.Declared(acme), acme + "/roles/outer", acme + "/roles/reader"}; !slices.Equal(changes[0].Touched, want) {
				t.Errorf("touched %v, want %v", changes[0].Touched, want)
			}
			return err
		})
	})
}

func TestTypes_stayWhileARoleSpeaksOfThem(t *testing.T) {
	eachStore(t, func(t *testing.T, roles *role.Roles, s kv.Store) {
		declare(t, roles, s)
		remove := func() error {
			return s.Update(t.Context(), func(tx kv.Tx) error {
				_, _, err := roles.DeleteType(tx, at, records().GetName(), "")
				return err
			})
		}
		made(t, roles, s, "writer", "custom.records.write")
		wantReason(t, remove(), errs.Precondition, "RESOURCE_TYPE_IN_USE")
		fewer := records()
		fewer.Actions = fewer.Actions[1:]
		err := s.Update(t.Context(), func(tx kv.Tx) error { _, _, err := roles.UpdateType(tx, at, fewer, ""); return err })
		wantReason(t, err, errs.Precondition, "RESOURCE_TYPE_IN_USE")
		r := including("writer", "")
		r.Levels = []*permissionv1.CollectionLevel{{Collection: "custom.records", Level: permissionv1.Level_LEVEL_READ}}
		if _, err := change(t, roles, s, r); err != nil {
			t.Fatal(err)
		}
		wantReason(t, remove(), errs.Precondition, "RESOURCE_TYPE_IN_USE")
		if _, err := change(t, roles, s, including("writer", "")); err != nil {
			t.Fatal(err)
		}
		if err := remove(); err != nil {
			t.Error(err)
		}
		wantReason(t, remove(), errs.NotFound, "RESOURCE_TYPE_NOT_FOUND")
	})
}
