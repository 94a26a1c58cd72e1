package property_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/testkit"
	"guildhall.dev/services/permission/internal/property"
	"guildhall.dev/services/permission/internal/revision"
)

const (
	acme  = "organizations/acme"
	sue   = acme + "/staff/sue"
	group = acme + "/groups/g1"
)

var at = time.Unix(1_800_000_000, 0)

func object(t testing.TB, fields map[string]any) *structpb.Struct {
	t.Helper()
	s, err := structpb.NewStruct(fields)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestProperties_putGetListDelete(t *testing.T) {
	properties := property.New()
	testkit.EachStore(t, "permission", append(properties.Tables(), revision.Tables()...), func(t *testing.T, s kv.Store) {
		gold, silver := object(t, map[string]any{"level": "gold", "tags": []any{"a"}}), object(t, map[string]any{"level": "silver"})
		var etag string
		update(t, s, func(tx kv.Tx) error {
			rec, v, err := properties.Put(tx, at, sue, gold, "")
			if err != nil {
				return err
			}
			if _, _, err := properties.Put(tx, at, group, silver, ""); err != nil {
				return err
			}
			if _, _, err := properties.Put(tx, at, "organizations/zeta/groups/g1", silver, ""); err != nil {
				return err
			}
			changes, _, err := revision.Since(tx, acme, 0)
			if v.Number != 1 || len(changes) != 2 || changes[0].Touched[0] != property.Entry(sue) || property.NameOf(property.Entry(sue)) != sue {
				t.Errorf("revision %v, changes %v", v, changes)
			}
			etag = rec.Etag
			return err
		})
		update(t, s, func(tx kv.Tx) error {
			rec, err := properties.Get(tx, sue)
			if err != nil || !proto.Equal(rec.Value.GetProperties(), gold) || rec.Etag != etag || !rec.Value.GetUpdateTime().AsTime().Equal(at) {
				t.Errorf("got %v, %v", rec, err)
			}
			_, _, err = properties.Put(tx, at, sue, silver, "stale")
			wantError(t, err, errs.Conflict, "ETAG_MISMATCH")
			if _, _, err = properties.Put(tx, at, sue, silver, etag); err != nil {
				return err
			}
			first, next, err := properties.List(tx, acme, nil, 1)
			if err != nil {
				return err
			}
			second, end, err := properties.List(tx, acme, next, 1)
			if len(first) != 1 || len(second) != 1 || end != nil || first[0].Value.GetName() != group || second[0].Value.GetName() != sue {
				t.Errorf("pages %v, %v, %v", first, second, end)
			}
			return err
		})
		update(t, s, func(tx kv.Tx) error {
			if now, err := properties.Of(tx, sue); err != nil || !proto.Equal(now, silver) {
				t.Errorf("now %v, %v", now, err)
			}
			if _, _, err := properties.Delete(tx, at, sue, ""); err != nil {
				return err
			}
			_, err := properties.Get(tx, sue)
			wantError(t, err, errs.NotFound, "PROPERTIES_NOT_FOUND")
			_, _, err = properties.Delete(tx, at, sue, "")
			wantError(t, err, errs.NotFound, "PROPERTIES_NOT_FOUND")
			if none, err := properties.Of(tx, sue); none != nil || err != nil {
				t.Errorf("of a name without: %v, %v", none, err)
			}
			return properties.Forget(tx, at, sue)
		})
	})
}

func TestPut_refusesTooMuch(t *testing.T) {
	deep := any("end")
	for range property.MaxDepth {
		deep = []any{deep}
	}
	properties := property.New()
	s := testkit.Store(t, "bolt", "permission", append(properties.Tables(), revision.Tables()...))
	for name, p := range map[string]*structpb.Struct{
		"large": object(t, map[string]any{"text": strings.Repeat("x", property.MaxBytes)}),
		"deep":  object(t, map[string]any{"list": deep}),
	} {
		err := s.Update(t.Context(), func(tx kv.Tx) error { _, _, err := properties.Put(tx, at, sue, p, ""); return err })
		wantError(t, err, errs.Invalid, "PROPERTIES_TOO_LARGE")
		if v := errs.From(err).Violations; len(v) != 1 || v[0].Field != "properties" {
			t.Errorf("%s: violations %v", name, v)
		}
	}
	update(t, s, func(tx kv.Tx) error {
		_, _, err := properties.Put(tx, at, sue, object(t, map[string]any{"list": deep.([]any)[0]}), "")
		return err
	})
}

func TestCheck(t *testing.T) {
	for name, want := range map[string]bool{
		acme: true, sue: true, group: true, group + "/messages/42": true,
		"": false, "installation": false, acme + "/groups": false, acme + "/groups/-": false, acme + "/groups/G1": false,
		group + "#roles/viewer": false, acme + "//g1": false, acme + "/groups/" + strings.Repeat("a/b/", 100) + "c": false,
	} {
		err := property.Check("name", name)
		if (err == nil) != want {
			t.Errorf("%q: %v", name, err)
		}
		if err != nil {
			wantError(t, err, errs.Invalid, "RESOURCE_NAME_INVALID")
		}
	}
}

func update(t *testing.T, s kv.Store, fn func(tx kv.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func wantError(t *testing.T, err error, kind errs.Kind, reason string) {
	t.Helper()
	if !errs.Is(err, kind) || errs.ReasonOf(err) != reason {
		t.Errorf("got %v, want %s [%s]", err, kind, reason)
	}
}
