package api

import (
	"context"
	"slices"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/fieldmask"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/revision"
	"guildhall.dev/services/permission/internal/role"
)

// Types of the events of roles.
const (
	roleCreated = "guildhall.permission.role.created.v1"
	roleUpdated = "guildhall.permission.role.updated.v1"
	roleDeleted = "guildhall.permission.role.deleted.v1"
)

type roles struct{ Config }

// CreateRole implements permissionv1.RoleServiceServer.
func (s *roles) CreateRole(ctx context.Context, req *permissionv1.CreateRoleRequest) (*permissionv1.Role, error) {
	if _, err := organization.Parse("parent", req.GetParent()); err != nil {
		return nil, err
	}
	if id := req.GetRoleId(); id != "" {
		if err := resource.CheckID("role_id", id); err != nil {
			return nil, err
		}
	}
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.Role, error) {
		r := proto.CloneOf(req.GetRole())
		r.Name, r.ConsistencyToken = req.GetParent()+"/roles/"+idOr(req.GetRoleId(), tx), ""
		created, v, err := s.Roles.Create(tx, tx.Time, caller(ctx).Name, r)
		if err != nil {
			return nil, err
		}
		recordRole(tx, roleCreated, v, nil, created)
		return s.changedRole(created, v), nil
	})
}

// GetRole implements permissionv1.RoleServiceServer.
func (s *roles) GetRole(ctx context.Context, req *permissionv1.GetRoleRequest) (found *permissionv1.Role, err error) {
	if _, err := role.Pattern.Parse("name", req.GetName()); err != nil {
		return nil, err
	}
	err = s.Journal.Store.View(ctx, func(r kv.Reader) error {
		found, err = s.Roles.Get(r, req.GetName())
		return err
	})
	return found, err
}

// ListRoles implements permissionv1.RoleServiceServer.
func (s *roles) ListRoles(ctx context.Context, req *permissionv1.ListRolesRequest) (*permissionv1.ListRolesResponse, error) {
	if _, err := organization.Parse("parent", req.GetParent()); err != nil {
		return nil, err
	}
	l, err := s.list(ctx, req.GetPageSize(), req.GetPageToken(), "ListRoles", req.GetParent())
	if err != nil {
		return nil, err
	}
	resp := &permissionv1.ListRolesResponse{}
	err = s.Journal.Store.View(ctx, func(r kv.Reader) error {
		found, next, err := s.Roles.List(r, req.GetParent(), l.after, l.size)
		resp.Roles, resp.NextPageToken = found, s.next(l, next)
		return err
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// UpdateRole implements permissionv1.RoleServiceServer.
func (s *roles) UpdateRole(ctx context.Context, req *permissionv1.UpdateRoleRequest) (*permissionv1.Role, error) {
	name := req.GetRole().GetName()
	if _, err := role.Pattern.Parse("role.name", name); err != nil {
		return nil, err
	}
	paths, err := fieldmask.Paths(req.GetUpdateMask(), req.GetRole(), "display_name", "description", "permissions", "levels", "included_roles")
	if err != nil {
		return nil, err
	}
	updated, err := change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.Role, error) {
		old, err := s.Roles.Get(tx, name)
		if err != nil {
			return nil, err
		}
		return s.update(ctx, tx, old, merge(old, req.GetRole(), paths), req.GetRole().GetEtag())
	})
	s.KeepRefusal(ctx, name, err)
	return updated, err
}

// update makes a role what it is to be. Permissions that this adds are given to
// all who hold the role, the caller maybe among them; so the caller must hold
// them, on the whole organisation and without an end. To whom the role is
// denied, see redefine.
func (s *roles) update(ctx context.Context, tx *change.Tx, old, now *permissionv1.Role, etag string) (stored *permissionv1.Role, err error) {
	by, home := caller(ctx), role.OrganizationOf(now.GetName())
	added, removed, err := s.Roles.Difference(tx, old, now)
	if err != nil {
		return nil, err
	}
	// Before the update: after it, whoever holds the role holds them.
	if err := s.mayGive(tx, by, home, added, 0); err != nil {
		return nil, err
	}
	var affected []string
	if len(added)+len(removed) > 0 {
		if affected, err = s.Roles.Affected(tx, home, now.GetName()); err != nil {
			return nil, err
		}
	}
	err = s.redefine(tx, by, home, affected, func() error {
		var v revision.Revision
		if stored, v, err = s.Roles.Update(tx, tx.Time, by.Name, now, etag); err == nil {
			recordRole(tx, roleUpdated, v, old, stored)
			stored = s.changedRole(stored, v)
		}
		return err
	})
	return stored, err
}

// merge returns the role with the fields of the paths taken from the other.
func merge(old, from *permissionv1.Role, paths []string) *permissionv1.Role {
	r := proto.CloneOf(old)
	for _, path := range paths {
		switch path {
		case "display_name":
			r.DisplayName = from.GetDisplayName()
		case "description":
			r.Description = from.GetDescription()
		case "permissions":
			r.Permissions = slices.Clone(from.GetPermissions())
		case "levels":
			r.Levels = proto.CloneOf(from).GetLevels()
		case "included_roles":
			r.IncludedRoles = slices.Clone(from.GetIncludedRoles())
		}
	}
	return r
}

// DeleteRole implements permissionv1.RoleServiceServer.
func (s *roles) DeleteRole(ctx context.Context, req *permissionv1.DeleteRoleRequest) (*permissionv1.Role, error) {
	name := req.GetName()
	if _, err := role.Pattern.Parse("name", name); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.Role, error) {
		return s.delete(tx, name, req.GetEtag())
	})
}

// delete deletes a role that no grant gives.
func (s *roles) delete(tx *change.Tx, name, etag string) (*permissionv1.Role, error) {
	used, err := s.Grants.Uses(tx, role.OrganizationOf(name), name)
	if err != nil {
		return nil, err
	}
	if used {
		return nil, errs.New(errs.Precondition, "ROLE_IN_USE", "grants give this role; delete them first", errs.Meta("resource", name))
	}
	deleted, v, err := s.Roles.Delete(tx, tx.Time, name, etag)
	if err != nil {
		return nil, err
	}
	recordRole(tx, roleDeleted, v, deleted, nil)
	return s.changedRole(deleted, v), nil
}

// recordRole records a change of a role; old or now is nil.
func recordRole(tx *change.Tx, kind string, v revision.Revision, old, now *permissionv1.Role) {
	c := change.Change{Type: kind, Data: &permissionv1.RoleChanged{Revision: v.Number}}
	switch {
	case old == nil:
		c.Resource, c.ChangedFields = now.GetName(), change.ChangedFields(nil, now)
	case now == nil:
		c.Resource = old.GetName()
	default:
		c.Resource, c.ChangedFields = now.GetName(), change.ChangedFields(old, now)
	}
	tx.Record(c)
}

// idOr returns the id that the client chose, or a new one.
func idOr(id string, tx *change.Tx) string {
	if id != "" {
		return id
	}
	return tx.NewID()
}
