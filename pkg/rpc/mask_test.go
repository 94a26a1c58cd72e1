package rpc

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"

	"guildhall.dev/pkg/errs"
)

func TestUpdate_onlyMaskedFieldsAreValidated(t *testing.T) {
	v, err := NewValidator()
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 3000) // a description has at most 2000
	for name, c := range map[string]struct {
		role  *permissionv1.Role
		paths []string
		field string // at fault; "" for none
	}{
		"one good field":             {&permissionv1.Role{Description: "x"}, []string{"description"}, ""},
		"one bad field":              {&permissionv1.Role{Description: long}, []string{"description"}, "role.description"},
		"a bad field that is masked": {&permissionv1.Role{Description: "x"}, []string{"description", "display_name"}, "role.display_name"},
		"a bad field beside it":      {&permissionv1.Role{Description: long, DisplayName: "x"}, []string{"display_name"}, ""},
		"items of a list":            {&permissionv1.Role{Permissions: []string{"x"}}, []string{"permissions"}, "role.permissions[0]"},
		"no mask, one good field":    {&permissionv1.Role{Description: "x"}, nil, ""},
		"no mask, one bad field":     {&permissionv1.Role{Description: long}, nil, "role.description"},
		"everything":                 {&permissionv1.Role{Description: "x"}, []string{"*"}, "role.display_name"},
		"a field that is not there":  {&permissionv1.Role{}, []string{"nome"}, "update_mask"},
		"past a scalar":              {&permissionv1.Role{}, []string{"display_name.x"}, "update_mask"},
		"past a list":                {&permissionv1.Role{}, []string{"permissions.x"}, "update_mask"},
		"into a message":             {&permissionv1.Role{}, []string{"create_time.seconds"}, ""},
		"into a message and wrong":   {&permissionv1.Role{}, []string{"create_time", "create_time.nome"}, "update_mask"},
		"an empty path":              {&permissionv1.Role{}, []string{""}, "update_mask"},
		"no resource":                {nil, []string{"description"}, "role"},
	} {
		t.Run(name, func(t *testing.T) {
			request := &permissionv1.UpdateRoleRequest{Role: c.role}
			if c.paths != nil {
				request.UpdateMask = &fieldmaskpb.FieldMask{Paths: c.paths}
			}
			err := v.validateRequest(permissionv1.RoleService_UpdateRole_FullMethodName, request)
			switch {
			case c.field == "" && err != nil:
				t.Errorf("got %v", err)
			case c.field != "" && (!errs.Is(err, errs.Invalid) || errs.From(err).Violations[0].Field != c.field):
				t.Errorf("got %v, want a violation of %s", err, c.field)
			}
		})
	}
}

func TestUpdate_otherFieldsOfTheRequestAreValidated(t *testing.T) {
	v, err := NewValidator()
	if err != nil {
		t.Fatal(err)
	}
	err = v.validateRequest(permissionv1.RoleService_UpdateRole_FullMethodName, &permissionv1.UpdateRoleRequest{
		Role: &permissionv1.Role{}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"description"}},
		RequestId: strings.Repeat("x", 65),
	})
	if !errs.Is(err, errs.Invalid) || errs.From(err).Violations[0].Field != "request_id" {
		t.Errorf("got %v, want a violation of request_id", err)
	}
	// The merged resource is the handler's to validate, whole.
	if err := v.Validate(&permissionv1.Role{Description: "x"}); !errs.Is(err, errs.Invalid) {
		t.Errorf("the merged resource: %v", err)
	}
}

func TestUpdateOf_knowsStandardUpdatesOnly(t *testing.T) {
	update, other := (&permissionv1.UpdateRoleRequest{}).ProtoReflect().Descriptor(), (&permissionv1.CreateRoleRequest{}).ProtoReflect().Descriptor()
	if _, ok := updateOf("/x.Y/UpdateRole", update); !ok {
		t.Error("a standard update is not known")
	}
	if shape, ok := updateOf("/x.Y/UpdateCustomRole", update); !ok || shape.resource.Name() != "role" {
		t.Error("the single message of an update is not its resource")
	}
	for _, c := range []struct {
		method string
		ok     bool
	}{{"/x.Update/SetRole", false}, {"/x.Y/BatchUpdateRole", false}} {
		if _, ok := updateOf(c.method, update); ok != c.ok {
			t.Errorf("%s: got %v", c.method, ok)
		}
	}
	if _, ok := updateOf("/x.Y/UpdateRole", other); ok {
		t.Error("an update without a mask is taken for a standard one")
	}
}

func TestUpdate_throughTheChain(t *testing.T) {
	s := newSuite(t)
	client := permissionv1.NewRoleServiceClient(s.dial(nil))
	request := &permissionv1.UpdateRoleRequest{
		Role:       &permissionv1.Role{Name: roleName, Description: "x"},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"description"}},
	}
	got, err := client.UpdateRole(as(t.Context(), s.token(time.Minute)), request)
	if err != nil || !proto.Equal(got, request.GetRole()) {
		t.Errorf("got %v, %v", got, err)
	}
}
