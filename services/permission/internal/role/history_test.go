package role_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/role"
)

func revisions(t *testing.T, roles *role.Roles, s kv.Store, name string, size int) []*permissionv1.RoleRevision {
	t.Helper()
	var all []*permissionv1.RoleRevision
	var after []byte
	for more := true; more; more = after != nil {
		view(t, s, func(r kv.Reader) error {
			page, next, err := roles.Revisions(r, name, after, size)
			all, after = append(all, page...), next
			return err
		})
	}
	return all
}

func TestHistory_keepsEachChangeNewestFirst(t *testing.T) {
	eachStore(t, func(t *testing.T, roles *role.Roles, s kv.Store) {
		created := made(t, roles, s, "clerk", "identity.teams.get")
		later := including("clerk", "identity.teams.list")
		update(t, s, func(tx kv.Tx) error {
			_, _, err := roles.Update(tx, at.Add(time.Hour), acme+"/staff/bob", later, "")
			return err
		})
		all := revisions(t, roles, s, created.GetName(), 1)
		if len(all) != 2 || all[0].GetName() != created.GetName()+"/revisions/2" || all[1].GetName() != created.GetName()+"/revisions/1" {
			t.Fatalf("revisions %v", all)
		}
		if v := all[0]; v.GetAuthor() != acme+"/staff/bob" || v.GetCreateTime().AsTime().Unix() != at.Unix()+3600 || v.GetRole().GetPermissions()[0] != "identity.teams.list" {
			t.Errorf("the newest is %v", v)
		}
		view(t, s, func(r kv.Reader) error {
			v, err := roles.Revision(r, created.GetName()+"/revisions/1")
			created.Etag = ""
			if diff := cmp.Diff(created, v.GetRole(), protocmp.Transform()); diff != "" {
				t.Error(diff)
			}
			return err
		})
		for _, id := range []string{"0", "3", "-1", "+1", "01", "one", "9223372036854775808"} {
			err := s.View(t.Context(), func(r kv.Reader) error { _, err := roles.Revision(r, created.GetName()+"/revisions/"+id); return err })
			wantReason(t, err, errs.NotFound, "ROLE_REVISION_NOT_FOUND")
		}
	})
}

func TestHistory_isBoundedAndEndsWithItsRole(t *testing.T) {
	eachStore(t, func(t *testing.T, roles *role.Roles, s kv.Store) {
		made(t, roles, s, "clerk", "identity.teams.get")
		made(t, roles, s, "clerk-2", "identity.teams.get")
		name := acme + "/roles/clerk"
		update(t, s, func(tx kv.Tx) error {
			for i := range role.KeptRevisions {
				r := including("clerk", "identity.teams.get")
				r.DisplayName = fmt.Sprint(i)
				if _, _, err := roles.Update(tx, at, by, r, ""); err != nil {
					return err
				}
			}
			return nil
		})
		all := revisions(t, roles, s, name, 30)
		if len(all) != role.KeptRevisions || all[0].GetName() != fmt.Sprintf("%s/revisions/%d", name, role.KeptRevisions+1) {
			t.Errorf("%d revisions, the newest %s", len(all), all[0].GetName())
		}
		update(t, s, func(tx kv.Tx) error { _, _, err := roles.Delete(tx, at, name, ""); return err })
		made(t, roles, s, "clerk", "identity.teams.get")
		if all := revisions(t, roles, s, name, 30); len(all) != 1 || all[0].GetName() != name+"/revisions/1" {
			t.Errorf("after its deletion the name has %v", all)
		}
		if all := revisions(t, roles, s, name+"-2", 30); len(all) != 1 {
			t.Errorf("another role has %v", all)
		}
		err := s.View(t.Context(), func(r kv.Reader) error {
			_, _, err := roles.Revisions(r, acme+"/roles/none", nil, 1)
			return err
		})
		wantReason(t, err, errs.NotFound, "ROLE_NOT_FOUND")
	})
}

func TestLevels_growAndAreKeptInOneForm(t *testing.T) {
	eachStore(t, func(t *testing.T, roles *role.Roles, s kv.Store) {
		level := func(collection string, l permissionv1.Level) *permissionv1.CollectionLevel {
			return &permissionv1.CollectionLevel{Collection: collection, Level: l}
		}
		r := including("writer", "")
		r.Levels = []*permissionv1.CollectionLevel{
			level("identity.teams", permissionv1.Level_LEVEL_READ), level("groupchat.messages", permissionv1.Level_LEVEL_READ),
			level("groupchat.messages", permissionv1.Level_LEVEL_EDIT),
		}
		var created *permissionv1.Role
		update(t, s, func(tx kv.Tx) (err error) { created, _, err = roles.Create(tx, at, by, r); return err })
		want := []*permissionv1.CollectionLevel{level("groupchat.messages", permissionv1.Level_LEVEL_EDIT), level("identity.teams", permissionv1.Level_LEVEL_READ)}
		if diff := cmp.Diff(want, created.GetLevels(), protocmp.Transform()); diff != "" {
			t.Error(diff)
		}
		got := gives(t, roles, s, "writer")
		for p, has := range map[string]bool{
			"identity.teams.get": true, "identity.teams.list": true, "identity.teams.create": false,
			"groupchat.messages.create": true, "groupchat.messages.stream": true, "groupchat.groups.get": false,
		} {
			if slices.Contains(got, p) != has {
				t.Errorf("%s: %t, want %t", p, !has, has)
			}
		}
		r.Levels = []*permissionv1.CollectionLevel{level("groupchat.message", permissionv1.Level_LEVEL_READ)}
		_, err := change(t, roles, s, r)
		wantReason(t, err, errs.Invalid, "COLLECTION_UNKNOWN")
		r.Levels[0].Collection = "custom.records"
		_, err = change(t, roles, s, r)
		wantReason(t, err, errs.Invalid, "COLLECTION_UNKNOWN")
	})
}
