package grant_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/revision"
	"guildhall.dev/services/permission/internal/role"
)

func making(id, subject, role, resource string) grant.Change {
	return grant.Change{Create: &permissionv1.Grant{Name: acme + "/grants/" + id, Subject: subject, Role: role, Resource: resource}}
}

func deleting(id string) grant.Change { return grant.Change{Delete: acme + "/grants/" + id} }

// change applies a batch and returns its error.
func (c *centre) change(t testing.TB, changes ...grant.Change) error {
	t.Helper()
	return c.store.Update(t.Context(), func(tx kv.Tx) error {
		_, _, err := c.ChangeAll(tx, at, acme, changes)
		return err
	})
}

func (c *centre) head(t testing.TB) (v revision.Revision) {
	t.Helper()
	err := c.store.View(t.Context(), func(r kv.Reader) (err error) { v, err = revision.Head(r, acme); return err })
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestChangeAll_isOneRevisionThatTouchesAll(t *testing.T) {
	eachCentre(t, func(t *testing.T, c *centre) {
		old := c.create(t, "old", sue, "roles/viewer", group)
		before := c.head(t)
		var changed []*permissionv1.Grant
		c.update(t, func(tx kv.Tx) (err error) {
			changed, _, err = c.ChangeAll(tx, at, acme, []grant.Change{
				making("a", tom, "roles/viewer", group), {Delete: old.GetName(), Etag: old.GetEtag()},
				making("b", sue, "roles/auditor", acme), making("c", tom, "roles/auditor", acme),
				// The same again, once the old one is gone.
				making("d", sue, "roles/viewer", group),
			})
			return err
		})
		if len(changed) != 5 || !proto.Equal(changed[1], old) || changed[0].GetEtag() == "" {
			t.Errorf("changed %v", changed)
		}
		if d := cmp.Diff([]string{"a", "b", "c", "d"}, c.list(t, grant.Filter{})); d != "" {
			t.Error(d)
		}
		err := c.store.View(t.Context(), func(r kv.Reader) error {
			changes, _, err := revision.Since(r, acme, before.Number)
			if len(changes) != 1 || !cmp.Equal(changes[0].Touched, []string{sue, tom}) {
				t.Errorf("the log shows %v", changes)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestChangeAll_changesNothingWhenOneChangeFails(t *testing.T) {
	eachCentre(t, func(t *testing.T, c *centre) {
		c.create(t, "old", sue, "roles/viewer", group)
		before := c.head(t)
		for _, test := range []struct {
			last   grant.Change
			kind   errs.Kind
			reason string
			field  string
		}{
			{making("b", sue, "roles/none", acme), errs.NotFound, "ROLE_NOT_FOUND", "changes[2].create.grant.role"},
			{making("b", "nobody", "roles/viewer", acme), errs.Invalid, "SUBJECT_INVALID", "changes[2].create.grant.subject"},
			{making("b", sue, "roles/viewer", "organizations/zeta"), errs.Invalid, "RESOURCE_FOREIGN", "changes[2].create.grant.resource"},
			{making("a", sue, "roles/viewer", acme), errs.Exists, "GRANT_EXISTS", "changes[2].create"},
			{making("b", tom, "roles/viewer", acme), errs.Exists, "GRANT_EXISTS", "changes[2].create.grant"},
			{deleting("none"), errs.NotFound, "GRANT_NOT_FOUND", "changes[2].delete"},
			{deleting("old"), errs.NotFound, "GRANT_NOT_FOUND", "changes[2].delete"},
			{grant.Change{Delete: acme + "/grants/a", Etag: "another"}, errs.Conflict, "ETAG_MISMATCH", "changes[2].delete.etag"},
		} {
			err := c.change(t, making("a", tom, "roles/viewer", acme), deleting("old"), test.last)
			wantError(t, err, test.kind, test.reason, test.field)
		}
		if d := cmp.Diff([]string{"old"}, c.list(t, grant.Filter{})); d != "" {
			t.Error(d)
		}
		if now := c.head(t); now != before {
			t.Errorf("at %v, was at %v", now, before)
		}
	})
}

func TestChangeAll_judgesPostsByTheEnd(t *testing.T) {
	eachCentre(t, func(t *testing.T, c *centre) {
		c.create(t, "boss", sue, role.Admin, acme)
		err := c.change(t, making("a", tom, "roles/viewer", acme), deleting("boss"))
		wantError(t, err, errs.Precondition, "LAST_ADMINISTRATOR", "changes[1].delete")
		err = c.change(t, making("next", tom, role.Admin, group), deleting("boss"))
		wantError(t, err, errs.Precondition, "LAST_ADMINISTRATOR", "changes[1].delete")
		if err := c.change(t, deleting("boss"), making("next", tom, role.Admin, acme)); err != nil {
			t.Errorf("replace the administrator: %v", err)
		}
		err = c.change(t, deleting("next"))
		wantError(t, err, errs.Precondition, "LAST_ADMINISTRATOR", "changes[0].delete")
	})
}

func TestChangeAll_leavesServicesTheirGrants(t *testing.T) {
	eachCentre(t, func(t *testing.T, c *centre) {
		c.update(t, func(tx kv.Tx) error {
			_, err := c.SetManaged(tx, at, grant.Word{
				Service: "groupchat", Subject: sue, Resource: group, Role: "roles/group.member", Version: 1,
			}, "theirs")
			return err
		})
		wantError(t, c.change(t, deleting("theirs")), errs.Precondition, "GRANT_MANAGED", "changes[0].delete")
		wantError(t, c.change(t, making("a", sue, "roles/group.member", group)), errs.Invalid, "ROLE_MANAGED", "changes[0].create.grant.role")
		c.create(t, "ours", sue, "roles/viewer", group)
		err := c.store.View(t.Context(), func(r kv.Reader) error {
			grants, more, err := c.Select(r, acme, grant.Filter{Subject: sue, Resource: group}, 10)
			if len(grants) != 1 || grants[0].GetName() != acme+"/grants/ours" || more {
				t.Errorf("selected %v, more %t", grants, more)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestSelect_takesAllConditionsAndSaysWhetherThereAreMore(t *testing.T) {
	eachCentre(t, func(t *testing.T, c *centre) {
		for i := range 4 {
			c.create(t, fmt.Sprintf("s%d", i), sue, "roles/viewer", fmt.Sprintf("%s/groups/g%d", acme, i))
			c.create(t, fmt.Sprintf("t%d", i), tom, "roles/auditor", fmt.Sprintf("%s/groups/g%d", acme, i))
		}
		for _, test := range []struct {
			filter grant.Filter
			limit  int
			want   int
			more   bool
		}{
			{grant.Filter{}, 8, 8, false},
			{grant.Filter{}, 7, 7, true},
			{grant.Filter{Subject: sue}, 10, 4, false},
			{grant.Filter{Role: "roles/auditor"}, 3, 3, true},
			{grant.Filter{Role: "roles/auditor", Resource: group}, 3, 1, false},
			{grant.Filter{Subject: sue, Role: "roles/auditor"}, 3, 0, false},
		} {
			err := c.store.View(t.Context(), func(r kv.Reader) error {
				grants, more, err := c.Select(r, acme, test.filter, test.limit)
				if len(grants) != test.want || more != test.more {
					t.Errorf("%+v: %d grants, more %t; want %d, %t", test.filter, len(grants), more, test.want, test.more)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestAfter_goesOnBehindAName(t *testing.T) {
	eachCentre(t, func(t *testing.T, c *centre) {
		ids := []string{"g", "g-1", "g1", "g10", "g2"}
		for i, id := range ids {
			c.create(t, id, sue, "roles/viewer", fmt.Sprintf("%s/groups/x%d", acme, i))
		}
		var got []string
		err := c.store.View(t.Context(), func(r kv.Reader) error {
			for name, more := "", true; more; {
				var grants []*permissionv1.Grant
				var err error
				if grants, more, err = c.After(r, acme, name, 2); err != nil {
					return err
				}
				for _, g := range grants {
					name = g.GetName()
					got = append(got, name[len(acme+"/grants/"):])
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(ids, got); d != "" {
			t.Error(d)
		}
	})
}
