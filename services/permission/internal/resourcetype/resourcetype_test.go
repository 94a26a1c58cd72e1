package resourcetype_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/testkit"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/resourcetype"
)

const acme = "organizations/acme"

var at = time.Unix(1_800_000_000, 0)

func eachStore(t *testing.T, test func(t *testing.T, types *resourcetype.Types, s kv.Store)) {
	t.Helper()
	types := resourcetype.New(map[string]bool{"groups": true})
	testkit.EachStore(t, "types", types.Tables(), func(t *testing.T, s kv.Store) { test(t, types, s) })
}

func declare(t *testing.T, types *resourcetype.Types, s kv.Store, organization, id, collection string, actions ...string) (created *permissionv1.ResourceType, err error) {
	t.Helper()
	declared := &permissionv1.ResourceType{Name: organization + "/resourceTypes/" + id, Collection: collection}
	for _, a := range actions {
		declared.Actions = append(declared.Actions, &permissionv1.ResourceAction{Id: a, Level: permissionv1.Level_LEVEL_READ})
	}
	err = s.Update(t.Context(), func(tx kv.Tx) error { created, err = types.Create(tx, at, declared); return err })
	return created, err
}

func declared(t *testing.T, types *resourcetype.Types, s kv.Store, organization, id, collection string, actions ...string) *permissionv1.ResourceType {
	t.Helper()
	created, err := declare(t, types, s, organization, id, collection, actions...)
	if err != nil {
		t.Fatal(err)
	}
	return created
}

func TestTypes_createGetUpdateDelete(t *testing.T) {
	eachStore(t, func(t *testing.T, types *resourcetype.Types, s kv.Store) {
		created := declared(t, types, s, acme, "record", "records", "write", "read")
		if a := created.GetActions(); a[0].GetPermission() != "custom.records.read" || a[1].GetPermission() != "custom.records.write" || created.GetEtag() == "" {
			t.Errorf("created %v", created)
		}
		changed := proto.CloneOf(created)
		changed.Actions = []*permissionv1.ResourceAction{{Id: "burn", Permission: "identity.staff.delete"}}
		err := s.Update(t.Context(), func(tx kv.Tx) error { _, err := types.Update(tx, at, changed, "stale"); return err })
		wantReason(t, err, errs.Conflict, "ETAG_MISMATCH")
		err = s.Update(t.Context(), func(tx kv.Tx) error { _, err := types.Update(tx, at, changed, created.GetEtag()); return err })
		if err != nil {
			t.Fatal(err)
		}
		err = s.View(t.Context(), func(r kv.Reader) error {
			got, err := types.ByCollection(r, acme, "records")
			if len(got.GetActions()) != 1 || got.GetActions()[0].GetPermission() != "custom.records.burn" {
				t.Errorf("got %v", got)
			}
			other, otherErr := types.ByCollection(r, "organizations/zeta", "records")
			if other != nil || otherErr != nil {
				t.Errorf("another organisation has %v, %v", other, otherErr)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		err = s.Update(t.Context(), func(tx kv.Tx) error { _, err := types.Delete(tx, created.GetName(), ""); return err })
		if err != nil {
			t.Fatal(err)
		}
		err = s.View(t.Context(), func(r kv.Reader) error { _, err := types.Get(r, created.GetName()); return err })
		wantReason(t, err, errs.NotFound, "RESOURCE_TYPE_NOT_FOUND")
		declared(t, types, s, acme, "record", "records", "read")
	})
}

func TestCreate_refusals(t *testing.T) {
	eachStore(t, func(t *testing.T, types *resourcetype.Types, s kv.Store) {
		declared(t, types, s, acme, "record", "records", "read")
		for _, c := range []struct {
			organization, id, collection string
			actions                      []string
			kind                         errs.Kind
			reason                       string
		}{
			{acme, "record", "files", nil, errs.Exists, "RESOURCE_TYPE_EXISTS"},
			{acme, "file", "records", nil, errs.Exists, "RESOURCE_TYPE_COLLECTION_TAKEN"},
			{acme, "group", "groups", nil, errs.Invalid, "RESOURCE_TYPE_COLLECTION_RESERVED"},
			{acme, "file", "files", []string{"read", "write", "read"}, errs.Invalid, "RESOURCE_TYPE_ACTION_REPEATED"},
		} {
			_, err := declare(t, types, s, c.organization, c.id, c.collection, c.actions...)
			wantReason(t, err, c.kind, c.reason)
		}
		declared(t, types, s, "organizations/zeta", "record", "records", "read")
	})
}

func TestTypes_boundAndPages(t *testing.T) {
	eachStore(t, func(t *testing.T, types *resourcetype.Types, s kv.Store) {
		err := s.Update(t.Context(), func(tx kv.Tx) error {
			for i := range resourcetype.Max {
				_, err := types.Create(tx, at, &permissionv1.ResourceType{
					Name: fmt.Sprintf("%s/resourceTypes/t%03d", acme, i), Collection: fmt.Sprintf("things%d", i),
					Actions: []*permissionv1.ResourceAction{{Id: "see"}},
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		_, err = declare(t, types, s, acme, "one-more", "more")
		wantReason(t, err, errs.Precondition, "RESOURCE_TYPE_LIMIT")
		declared(t, types, s, "organizations/zeta", "record", "records")
		var all []*permissionv1.ResourceType
		var after []byte
		for more := true; more; more = after != nil {
			err := s.View(t.Context(), func(r kv.Reader) error {
				page, next, err := types.List(r, acme, after, 33)
				all, after = append(all, page...), next
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if len(all) != resourcetype.Max || !slices.IsSortedFunc(all, func(a, b *permissionv1.ResourceType) int {
			return strings.Compare(a.GetName(), b.GetName())
		}) {
			t.Errorf("listed %d types", len(all))
		}
		err = s.View(t.Context(), func(r kv.Reader) error {
			names, err := types.Permissions(r, acme)
			if len(names) != resourcetype.Max || !slices.IsSorted(names) {
				t.Errorf("%d permissions", len(names))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func wantReason(t *testing.T, err error, kind errs.Kind, reason string) {
	t.Helper()
	if !errs.Is(err, kind) || errs.ReasonOf(err) != reason {
		t.Errorf("got %v, want %s [%s]", err, kind, reason)
	}
}
