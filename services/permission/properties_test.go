package permission_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/structpb"

	"guildhall.dev/pkg/errs"
	auditv1 "guildhall.dev/proto/gen/guildhall/audit/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// values reads JSON.
func values(t testing.TB, text string) *structpb.Struct {
	t.Helper()
	var s structpb.Struct
	if err := protojson.Unmarshal([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	return &s
}

func (c *client) properties(t testing.TB, entity, text string) *permissionv1.Properties {
	t.Helper()
	stored, err := c.UpdateProperties(t.Context(), &permissionv1.UpdatePropertiesRequest{Parent: acme, Entity: entity, Values: values(t, text)})
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

func TestProperties_mergeByKey(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.as(admin)
		first := c.properties(t, record2, `{"status": "active", "tags": {"a": 1}}`)
		second := c.properties(t, record2, `{"status": "archived", "tags": {"b": 2}, "owner": "bob"}`)
		third := c.properties(t, record2, `{"owner": null, "none": null}`)
		if diff := cmp.Diff(values(t, `{"status": "archived", "tags": {"b": 2}}`), third.GetValues(), protocmp.Transform()); diff != "" {
			t.Error(diff)
		}
		if first.GetEtag() == second.GetEtag() || second.GetEtag() == third.GetEtag() {
			t.Error("the etag stays as it was")
		}
		if same := c.properties(t, record2, `{"status": "archived"}`); !proto.Equal(same, third) {
			t.Errorf("what changes nothing makes %v of %v", same, third)
		}
		got, err := c.GetProperties(t.Context(), &permissionv1.GetPropertiesRequest{Parent: acme, Entity: record2})
		if err != nil || !proto.Equal(got, third) {
			t.Errorf("got %v, %v", got, err)
		}
		all, err := c.UpdateProperties(t.Context(), &permissionv1.UpdatePropertiesRequest{
			Parent: acme, Entity: record2, Values: values(t, `{"only": true}`), Replace: true, Etag: third.GetEtag(),
		})
		if err != nil || len(all.GetValues().GetFields()) != 1 {
			t.Errorf("replaced by %v, %v", all, err)
		}
		_, err = c.UpdateProperties(t.Context(), &permissionv1.UpdatePropertiesRequest{
			Parent: acme, Entity: record2, Values: values(t, `{"only": false}`), Etag: third.GetEtag(),
		})
		wantError(t, err, errs.Conflict, "ETAG_MISMATCH")
		_, err = c.DeleteProperties(t.Context(), &permissionv1.DeletePropertiesRequest{Parent: acme, Entity: record2, Etag: third.GetEtag()})
		wantError(t, err, errs.Conflict, "ETAG_MISMATCH")
		if _, err := c.DeleteProperties(t.Context(), &permissionv1.DeletePropertiesRequest{Parent: acme, Entity: record2}); err != nil {
			t.Fatal(err)
		}
		_, err = c.GetProperties(t.Context(), &permissionv1.GetPropertiesRequest{Parent: acme, Entity: record2})
		wantError(t, err, errs.NotFound, "PROPERTIES_NOT_FOUND")
	})
}

// The first check after a change sees it: it is no older than a grant's.
func TestProperties_decideConditionsAtOnce(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c, gateway := r.as(admin), r.asService("gateway")
		c.declare(t)
		writer := c.role(t, "writer", "custom.records.write")
		_, err := c.CreateGrant(t.Context(), &permissionv1.CreateGrantRequest{Parent: acme, Grant: &permissionv1.Grant{
			Subject: sue, Role: writer.GetName(), Resource: acme,
			Condition: &permissionv1.Condition{Expression: `resource.properties.status == "active" || subject.properties.role == "admin"`},
		}})
		if err != nil {
			t.Fatal(err)
		}
		gateway.wantMay(t, false, sue, "custom.records.write", record2)
		c.properties(t, record2, `{"status": "active"}`)
		gateway.wantMay(t, true, sue, "custom.records.write", record2)
		c.properties(t, record2, `{"status": "archived"}`)
		gateway.wantMay(t, false, sue, "custom.records.write", record2)
		c.properties(t, sue, `{"role": "admin"}`)
		gateway.wantMay(t, true, sue, "custom.records.write", record2)
		if _, err := c.DeleteProperties(t.Context(), &permissionv1.DeletePropertiesRequest{Parent: acme, Entity: sue}); err != nil {
			t.Fatal(err)
		}
		gateway.wantMay(t, false, sue, "custom.records.write", record2)
	})
}

func TestListProperties_pagesByName(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.as(admin)
		want := []string{acme + "/customers/carl", acme + "/records/record-1", record2, sue}
		for _, entity := range []string{sue, record2, acme + "/records/record-1", acme + "/customers/carl"} {
			c.properties(t, entity, `{"x": 1}`)
		}
		var names []string
		for token := ""; ; {
			page, err := c.ListProperties(t.Context(), &permissionv1.ListPropertiesRequest{Parent: acme, PageSize: 3, PageToken: token})
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range page.GetProperties() {
				names = append(names, p.GetEntity())
			}
			if token = page.GetNextPageToken(); token == "" {
				break
			}
		}
		if !slices.Equal(names, want) {
			t.Errorf("listed %v, want %v", names, want)
		}
	})
}

// Who hears of a change hears its keys.
func TestUpdateProperties_tellsKeysAndNoContent(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.as(admin)
		c.properties(t, carl, `{"illness": "hepatitis"}`)
		page, err := c.audit.ListAuditEntries(t.Context(), &auditv1.ListAuditEntriesRequest{Parent: acme, Filter: `resource = "` + carl + `"`})
		if err != nil {
			t.Fatal(err)
		}
		text := protojson.Format(page)
		if !strings.Contains(text, "values.illness") || strings.Contains(text, "hepatitis") {
			t.Errorf("the audit log tells %s", text)
		}
	})
}

func TestProperties_requestID(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.as(admin)
		req := &permissionv1.UpdatePropertiesRequest{Parent: acme, Entity: sue, Values: values(t, `{"x": 1}`), RequestId: "r-1"}
		first, err := c.UpdateProperties(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		c.properties(t, sue, `{"x": 2}`)
		if again, err := c.UpdateProperties(t.Context(), req); err != nil || !proto.Equal(first, again) {
			t.Errorf("a retry: %v, %v", again, err)
		}
		req.Values = values(t, `{"x": 3}`)
		_, err = c.UpdateProperties(t.Context(), req)
		wantError(t, err, errs.Invalid, "REQUEST_ID_REUSED")
	})
}

func TestProperties_badInput(t *testing.T) {
	in := install(t, "bolt")
	r := in.start()
	in.seed(r)
	deep := `{"a": 1}`
	for range 20 {
		deep = `{"a": ` + deep + `}`
	}
	for _, test := range []struct {
		name, as, parent, entity, values string
		kind                             errs.Kind
		reason                           string
	}{
		{"another organisation", admin, "organizations/zeta", "organizations/zeta/staff/z", `{}`, errs.NotFound, "RESOURCE_NOT_FOUND"},
		{"another parent", admin, "organizations/zeta", sue, `{}`, errs.Invalid, "PARENT_MISMATCH"},
		{"a collection", admin, acme, acme + "/staff", `{}`, errs.Invalid, "RESOURCE_NAME_INVALID"},
		{"no name", admin, acme, "", `{}`, errs.Invalid, "RESOURCE_NAME_INVALID"},
		{"too much", admin, acme, sue, `{"x": "` + strings.Repeat("x", 33<<10) + `"}`, errs.Invalid, "PROPERTIES_TOO_LARGE"},
		{"too deep", admin, acme, sue, deep, errs.Invalid, "PROPERTIES_TOO_LARGE"},
		{"one who may not", carl, acme, carl, `{"level": "gold"}`, errs.Denied, "PERMISSION_DENIED"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := r.as(test.as).UpdateProperties(t.Context(), &permissionv1.UpdatePropertiesRequest{
				Parent: test.parent, Entity: test.entity, Values: values(t, test.values),
			})
			wantError(t, err, test.kind, test.reason)
		})
	}
	_, err := r.as(admin).UpdateProperties(t.Context(), &permissionv1.UpdatePropertiesRequest{Parent: acme, Entity: sue, Etag: "x"})
	wantError(t, err, errs.NotFound, "PROPERTIES_NOT_FOUND")
}
