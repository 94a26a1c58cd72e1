package roles

import (
	"context"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/fieldmask"
	"guildhall.dev/pkg/journal"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/edit"
	"guildhall.dev/services/permission/internal/role"
	"guildhall.dev/services/permission/internal/subject"
)

// roles implements permissionv1.RoleServiceServer.
type roles struct{ Config }

// CreateRole implements permissionv1.RoleServiceServer.
func (s *roles) CreateRole(ctx context.Context, req *permissionv1.CreateRoleRequest) (*permissionv1.Role, error) {
	if err := subject.Organization.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.Role, error) {
		id, err := tx.IDOr("role_id", req.GetRoleId())
		if err != nil {
			return nil, err
		}
		r := proto.CloneOf(req.GetRole())
		r.Name, r.ConsistencyToken = req.GetParent()+"/roles/"+id, ""
		return s.Edits.CreateRole(tx, authn.CallerOf(ctx), r)
	})
}

// GetRole implements permissionv1.RoleServiceServer.
func (s *roles) GetRole(ctx context.Context, req *permissionv1.GetRoleRequest) (*permissionv1.Role, error) {
	if err := role.Pattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	return journal.Read(ctx, s.Journal, func(r kv.Reader) (*permissionv1.Role, error) {
		return s.Roles.Get(r, req.GetName())
	})
}

// ListRoles implements permissionv1.RoleServiceServer.
func (s *roles) ListRoles(ctx context.Context, req *permissionv1.ListRolesRequest) (*permissionv1.ListRolesResponse, error) {
	if err := subject.Organization.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	found, next, err := journal.List(ctx, s.Journal, req, []string{"ListRoles", req.GetParent()},
		func(r kv.Reader, after []byte, limit int) ([]*permissionv1.Role, []byte, error) {
			return s.Roles.List(r, req.GetParent(), after, limit)
		})
	if err != nil {
		return nil, err
	}
	return &permissionv1.ListRolesResponse{Roles: found, NextPageToken: next}, nil
}

// UpdateRole implements permissionv1.RoleServiceServer.
func (s *roles) UpdateRole(ctx context.Context, req *permissionv1.UpdateRoleRequest) (*permissionv1.Role, error) {
	name := req.GetRole().GetName()
	if err := role.Pattern.Check("role.name", name); err != nil {
		return nil, err
	}
	paths, err := fieldmask.Paths(req.GetUpdateMask(), req.GetRole(), edit.RoleFields()...)
	if err != nil {
		return nil, err
	}
	updated, err := change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.Role, error) {
		old, err := s.Roles.Get(tx, name)
		if err != nil {
			return nil, err
		}
		return s.Edits.UpdateRole(tx, authn.CallerOf(ctx), old, edit.MergeRole(old, req.GetRole(), paths), req.GetRole().GetEtag())
	})
	s.Journal.KeepRefusal(ctx, name, err)
	return updated, err
}

// DeleteRole implements permissionv1.RoleServiceServer.
func (s *roles) DeleteRole(ctx context.Context, req *permissionv1.DeleteRoleRequest) (*permissionv1.Role, error) {
	name := req.GetName()
	if err := role.Pattern.Check("name", name); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.Role, error) {
		return s.Edits.DeleteRole(tx, name, req.GetEtag())
	})
}
