package permission_test

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/errs"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

func recordType() *permissionv1.ResourceType {
	return &permissionv1.ResourceType{Collection: "records", DisplayName: "Record", Actions: []*permissionv1.ResourceAction{
		{Id: "read", Level: permissionv1.Level_LEVEL_READ}, {Id: "write", Level: permissionv1.Level_LEVEL_EDIT},
	}}
}

func (c *client) declare(t testing.TB) *permissionv1.ResourceType {
	t.Helper()
	created, err := c.CreateResourceType(t.Context(), &permissionv1.CreateResourceTypeRequest{
		Parent: acme, ResourceTypeId: "record", ResourceType: recordType(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return created
}

func (c *client) actions(t testing.TB, etag string, actions ...*permissionv1.ResourceAction) (*permissionv1.ResourceType, error) {
	t.Helper()
	return c.UpdateResourceType(t.Context(), &permissionv1.UpdateResourceTypeRequest{
		ResourceType: &permissionv1.ResourceType{Name: acme + "/resourceTypes/record", Actions: actions, Etag: etag},
		UpdateMask:   &fieldmaskpb.FieldMask{Paths: []string{"actions"}},
	})
}

const record2 = acme + "/records/record-2"

func TestResourceTypes_makePermissionsToAskAbout(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c, gateway := r.as(admin), r.asService("gateway")
		// Not even an administrator has what nobody has declared.
		gateway.wantMay(t, false, admin, "custom.records.read", record2)
		declared := c.declare(t)
		gateway.wantMay(t, true, admin, "custom.records.read", record2)
		gateway.wantMay(t, false, admin, "custom.records.burn", record2)
		gateway.wantMay(t, false, sue, "custom.records.read", record2)
		reader := c.role(t, "reader", "custom.records.read")
		g := c.grant(t, sue, reader.GetName(), record2)
		gateway.wantMay(t, true, sue, "custom.records.read", record2)
		gateway.wantMay(t, false, sue, "custom.records.write", record2)
		gateway.wantMay(t, false, sue, "custom.records.read", acme+"/records/record-1")

		_, err := c.DeleteResourceType(t.Context(), &permissionv1.DeleteResourceTypeRequest{Name: declared.GetName()})
		wantError(t, err, errs.Precondition, "RESOURCE_TYPE_IN_USE")
		c.revoke(t, g.GetName())
		if _, err := c.DeleteRole(t.Context(), &permissionv1.DeleteRoleRequest{Name: reader.GetName()}); err != nil {
			t.Fatal(err)
		}
		_, err = c.DeleteResourceType(t.Context(), &permissionv1.DeleteResourceTypeRequest{Name: declared.GetName(), Etag: "stale"})
		wantError(t, err, errs.Conflict, "ETAG_MISMATCH")
		if _, err := c.DeleteResourceType(t.Context(), &permissionv1.DeleteResourceTypeRequest{Name: declared.GetName(), Etag: declared.GetEtag()}); err != nil {
			t.Fatal(err)
		}
		gateway.wantMay(t, false, admin, "custom.records.read", record2)
	})
}

// Who may change types, and no more, gets nothing by changing one.
func TestUpdateResourceType_givesNothingTheCallerLacks(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c, gateway := r.as(admin), r.asService("gateway")
		c.declare(t)
		typist, err := c.CreateRole(t.Context(), &permissionv1.CreateRoleRequest{Parent: acme, RoleId: "typist", Role: &permissionv1.Role{
			DisplayName: "Typist", Permissions: []string{"permission.resourceTypes.update"},
			Levels: []*permissionv1.CollectionLevel{{Collection: "custom.records", Level: permissionv1.Level_LEVEL_READ}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		c.grant(t, sue, typist.GetName(), acme)
		gateway.wantMay(t, true, sue, "custom.records.read", record2)
		read, write := recordType().GetActions()[0], recordType().GetActions()[1]
		write.Level = permissionv1.Level_LEVEL_READ
		burn := &permissionv1.ResourceAction{Id: "burn", Level: permissionv1.Level_LEVEL_READ}
		for _, actions := range [][]*permissionv1.ResourceAction{{read, write}, {read, burn}} {
			_, err := r.as(sue).actions(t, "", actions...)
			wantError(t, err, errs.Denied, "GRANT_EXCEEDS_CALLER")
		}
		if _, err := r.as(sue).actions(t, "", read); err != nil {
			t.Errorf("to take away: %v", err)
		}
		if _, err := c.actions(t, "", read, burn); err != nil {
			t.Errorf("an administrator: %v", err)
		}
		gateway.wantMay(t, true, sue, "custom.records.burn", record2)
		_, err = c.actions(t, "stale", read)
		wantError(t, err, errs.Conflict, "ETAG_MISMATCH")
	})
}

func TestCreateResourceType_requestID(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.as(admin)
		req := &permissionv1.CreateResourceTypeRequest{Parent: acme, ResourceTypeId: "record", ResourceType: recordType(), RequestId: "r-1"}
		first, err := c.CreateResourceType(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := c.CreateResourceType(t.Context(), req); err != nil || !proto.Equal(first, again) {
			t.Errorf("a retry: %v, %v", again, err)
		}
		got, err := c.GetResourceType(t.Context(), &permissionv1.GetResourceTypeRequest{Name: first.GetName()})
		if err != nil || !proto.Equal(got, first) {
			t.Errorf("got %v, %v", got, err)
		}
		req.ResourceTypeId = "other"
		_, err = c.CreateResourceType(t.Context(), req)
		wantError(t, err, errs.Invalid, "REQUEST_ID_REUSED")
	})
}

func TestResourceTypes_badInput(t *testing.T) {
	in := install(t, "bolt")
	r := in.start()
	in.seed(r)
	c := r.as(admin)
	create := func(c *client, parent, id string, change func(*permissionv1.ResourceType)) error {
		declared := recordType()
		change(declared)
		_, err := c.CreateResourceType(t.Context(), &permissionv1.CreateResourceTypeRequest{Parent: parent, ResourceTypeId: id, ResourceType: declared})
		return err
	}
	for _, test := range []struct {
		name, parent, id string
		change           func(*permissionv1.ResourceType)
		kind             errs.Kind
		reason           string
	}{
		{"an id with capitals", acme, "Record", func(*permissionv1.ResourceType) {}, errs.Invalid, "RESOURCE_NAME_INVALID"},
		{"another organisation", "organizations/zeta", "record", func(*permissionv1.ResourceType) {}, errs.NotFound, "RESOURCE_NOT_FOUND"},
		{"no collection", acme, "record", func(d *permissionv1.ResourceType) { d.Collection = "" }, errs.Invalid, "VALIDATION_FAILED"},
		{"a collection with a dash", acme, "record", func(d *permissionv1.ResourceType) { d.Collection = "my-records" }, errs.Invalid, "VALIDATION_FAILED"},
		{"a collection of the suite", acme, "record", func(d *permissionv1.ResourceType) { d.Collection = "customers" }, errs.Invalid, "RESOURCE_TYPE_COLLECTION_RESERVED"},
		{"an action without a level", acme, "record", func(d *permissionv1.ResourceType) { d.Actions[0].Level = 0 }, errs.Invalid, "VALIDATION_FAILED"},
		{"an action with a dot", acme, "record", func(d *permissionv1.ResourceType) { d.Actions[0].Id = "read.all" }, errs.Invalid, "VALIDATION_FAILED"},
		{"an action twice", acme, "record", func(d *permissionv1.ResourceType) { d.Actions[0].Id = "write" }, errs.Invalid, "RESOURCE_TYPE_ACTION_REPEATED"},
	} {
		t.Run(test.name, func(t *testing.T) { wantError(t, create(c, test.parent, test.id, test.change), test.kind, test.reason) })
	}
	wantError(t, create(r.as(sue), acme, "record", func(*permissionv1.ResourceType) {}), errs.Denied, "PERMISSION_DENIED")
	_, err := c.UpdateResourceType(t.Context(), &permissionv1.UpdateResourceTypeRequest{
		ResourceType: &permissionv1.ResourceType{Name: acme + "/resourceTypes/record", Collection: "files"},
		UpdateMask:   &fieldmaskpb.FieldMask{Paths: []string{"collection"}},
	})
	wantError(t, err, errs.Invalid, "UPDATE_MASK_INVALID")
	_, err = c.actions(t, "")
	wantError(t, err, errs.NotFound, "RESOURCE_TYPE_NOT_FOUND")
}

func TestListResourceTypes_andTheirPermissions(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.as(admin)
		c.declare(t)
		for _, id := range []string{"file", "archive"} {
			declared := recordType()
			declared.Collection = id + "s"
			if _, err := c.CreateResourceType(t.Context(), &permissionv1.CreateResourceTypeRequest{Parent: acme, ResourceTypeId: id, ResourceType: declared}); err != nil {
				t.Fatal(err)
			}
		}
		var ids []string
		for token := ""; ; {
			page, err := c.ListResourceTypes(t.Context(), &permissionv1.ListResourceTypesRequest{Parent: acme, PageSize: 2, PageToken: token})
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range page.GetResourceTypes() {
				ids = append(ids, d.GetCollection())
			}
			if token = page.GetNextPageToken(); token == "" {
				break
			}
		}
		if want := []string{"archives", "files", "records"}; !slices.Equal(ids, want) {
			t.Errorf("listed %v, want %v", ids, want)
		}
		levels := make(map[string]permissionv1.Level)
		var names []string
		for token := ""; ; {
			page, err := r.as(carl).ListPermissions(t.Context(), &permissionv1.ListPermissionsRequest{Parent: acme, PageSize: 9, PageToken: token})
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range page.GetPermissions() {
				names, levels[p.GetName()] = append(names, p.GetName()), p.GetLevel()
			}
			if token = page.GetNextPageToken(); token == "" {
				break
			}
		}
		if !slices.IsSorted(names) || len(levels) != len(names) {
			t.Error("not by name, or not each once")
		}
		for name, want := range map[string]permissionv1.Level{
			"custom.archives.write": permissionv1.Level_LEVEL_EDIT, "identity.staff.get": permissionv1.Level_LEVEL_READ,
			"identity.staff.delete": permissionv1.Level_LEVEL_MANAGE, "custom.records.read": permissionv1.Level_LEVEL_READ,
		} {
			if levels[name] != want {
				t.Errorf("%s is of %s, want %s", name, levels[name], want)
			}
		}
	})
}
