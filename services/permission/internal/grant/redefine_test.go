package grant_test

import (
	"fmt"
	"testing"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/role"
)

const clerk = acme + "/roles/clerk"

// A role that is denied to the last administrator must not come to hold what
// an administrator needs.
func TestStillFilled_aDeniedRoleTakesNoPost(t *testing.T) {
	eachCentre(t, func(t *testing.T, c *centre) {
		c.create(t, "a1", sue, role.Admin, acme)
		c.update(t, func(tx kv.Tx) error {
			_, _, err := c.roles.Create(tx, at, tom, &permissionv1.Role{Name: clerk, Permissions: []string{"identity.teams.get"}})
			return err
		})
		denied := func() (is bool) {
			t.Helper()
			c.update(t, func(tx kv.Tx) (err error) {
				is, err = c.DeniesAny(tx, acme, []string{"roles/viewer", clerk})
				return err
			})
			return is
		}
		if denied() {
			t.Error("a role is denied before it is")
		}
		if err := c.try(t, &permissionv1.Grant{
			Name: acme + "/grants/d1", Subject: sue, Role: clerk, Resource: acme, Effect: permissionv1.Effect_EFFECT_DENY,
		}); err != nil {
			t.Fatal(err)
		}
		if !denied() {
			t.Error("a role that is denied is not")
		}
		redefine := func(permissions ...string) error {
			return c.store.Update(t.Context(), func(tx kv.Tx) error {
				before, err := c.Filled(tx, at, acme)
				if err != nil {
					return err
				}
				if want := []bool{true, false}; fmt.Sprint(before) != fmt.Sprint(want) {
					t.Errorf("posts filled: %v, want %v", before, want)
				}
				if _, _, err := c.roles.Update(tx, at, tom, &permissionv1.Role{Name: clerk, Permissions: permissions}, ""); err != nil {
					return err
				}
				return c.StillFilled(tx, at, acme, before)
			})
		}
		if err := redefine("identity.teams.create"); err != nil {
			t.Error(err)
		}
		wantError(t, redefine("permission.grants.create"), errs.Precondition, "LAST_ADMINISTRATOR", "")
		c.create(t, "a2", tom, role.Admin, acme)
		if err := redefine("permission.grants.create"); err != nil {
			t.Errorf("with another administrator: %v", err)
		}
	})
}

func TestCount_isBounded(t *testing.T) {
	eachCentre(t, func(t *testing.T, c *centre) {
		for i := range 5 {
			c.create(t, fmt.Sprintf("g%d", i), sue, "roles/viewer", fmt.Sprintf("%s/groups/g%d", acme, i))
		}
		c.create(t, "other", sue, "roles/auditor", acme)
		for limit, want := range map[int]int{1: 1, 4: 4, 5: 5, 6: 5, 5000: 5} {
			var got int
			c.update(t, func(tx kv.Tx) (err error) { got, err = c.Count(tx, acme, "roles/viewer", limit); return err })
			if got != want {
				t.Errorf("counted %d up to %d, want %d", got, limit, want)
			}
		}
	})
}
