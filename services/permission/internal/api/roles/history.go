package roles

import (
	"context"
	"slices"
	"strings"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/journal"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/role"
	"guildhall.dev/services/permission/internal/subject"
)

// maxCounted bounds what GetRoleUsage reads, as its comment promises.
const (
	maxCounted          = 10_000
	maxCountedIncluding = 1000
)

// GetRoleRevision implements permissionv1.RoleServiceServer.
func (s *roles) GetRoleRevision(ctx context.Context, req *permissionv1.GetRoleRevisionRequest) (*permissionv1.RoleRevision, error) {
	if err := role.RevisionPattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	return journal.Read(ctx, s.Journal, func(r kv.Reader) (*permissionv1.RoleRevision, error) {
		return s.Roles.Revision(r, req.GetName())
	})
}

// ListRoleRevisions implements permissionv1.RoleServiceServer.
func (s *roles) ListRoleRevisions(ctx context.Context, req *permissionv1.ListRoleRevisionsRequest) (*permissionv1.ListRoleRevisionsResponse, error) {
	if err := role.Pattern.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	found, next, err := journal.List(ctx, s.Journal, req, []string{"ListRoleRevisions", req.GetParent()},
		func(r kv.Reader, after []byte, limit int) ([]*permissionv1.RoleRevision, []byte, error) {
			return s.Roles.Revisions(r, req.GetParent(), after, limit)
		})
	if err != nil {
		return nil, err
	}
	return &permissionv1.ListRoleRevisionsResponse{RoleRevisions: found, NextPageToken: next}, nil
}

// RollbackRole implements permissionv1.RoleServiceServer.
func (s *roles) RollbackRole(ctx context.Context, req *permissionv1.RollbackRoleRequest) (*permissionv1.Role, error) {
	if err := role.Pattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	rolled, err := change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.Role, error) {
		old, err := s.Roles.Get(tx, req.GetName())
		if err != nil {
			return nil, err
		}
		to, err := s.Roles.Revision(tx, req.GetName()+"/revisions/"+req.GetRevisionId())
		if err != nil {
			return nil, err
		}
		return s.Edits.UpdateRole(tx, authn.CallerOf(ctx), old, role.Restored(old, to), req.GetEtag())
	})
	s.Journal.KeepRefusal(ctx, req.GetName(), err)
	return rolled, err
}

// CompareRoles implements permissionv1.RoleServiceServer.
func (s *roles) CompareRoles(ctx context.Context, req *permissionv1.CompareRolesRequest) (*permissionv1.CompareRolesResponse, error) {
	if err := subject.Organization.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	return journal.Read(ctx, s.Journal, func(r kv.Reader) (*permissionv1.CompareRolesResponse, error) {
		left, err := s.permissionsOf(r, req.GetParent(), "left", req.GetLeft())
		if err != nil {
			return nil, err
		}
		right, err := s.permissionsOf(r, req.GetParent(), "right", req.GetRight())
		if err != nil {
			return nil, err
		}
		resp := &permissionv1.CompareRolesResponse{}
		for _, p := range left {
			if slices.Contains(right, p) {
				resp.Both = append(resp.Both, p)
			} else {
				resp.LeftOnly = append(resp.LeftOnly, p)
			}
		}
		for _, p := range right {
			if !slices.Contains(left, p) {
				resp.RightOnly = append(resp.RightOnly, p)
			}
		}
		return resp, nil
	})
}

// permissionsOf returns all that a role, or a revision of one, allows in the
// organisation.
func (s *roles) permissionsOf(r kv.Reader, parent, field, name string) ([]string, error) {
	var found *permissionv1.Role
	var err error
	switch {
	case role.RevisionPattern.Matches(name) && inside(name, parent):
		var v *permissionv1.RoleRevision
		if v, err = s.Roles.Revision(r, name); err == nil {
			found = v.GetRole()
		}
	default:
		found, err = s.roleOf(r, parent, field, name)
	}
	if err != nil {
		return nil, err
	}
	return s.Roles.Expand(r, parent, found)
}

// roleOf returns a role that is built in or of the organisation.
func (s *roles) roleOf(r kv.Reader, parent, field, name string) (*permissionv1.Role, error) {
	missing := errs.New(errs.NotFound, "ROLE_NOT_FOUND", "there is no such role; see ListRoles",
		errs.Field(field, "ROLE_NOT_FOUND", "name a role of ListRoles"))
	if !role.IsBuiltIn(name) && !(role.Pattern.Matches(name) && inside(name, parent)) {
		return nil, missing
	}
	found, err := s.Roles.Get(r, name)
	if errs.Is(err, errs.NotFound) {
		return nil, missing
	}
	return found, err
}

// inside reports whether the name is below an organisation's.
func inside(name, parent string) bool { return strings.HasPrefix(name, parent+"/") }

// GetRoleUsage implements permissionv1.RoleServiceServer.
func (s *roles) GetRoleUsage(ctx context.Context, req *permissionv1.GetRoleUsageRequest) (*permissionv1.RoleUsage, error) {
	if err := subject.Organization.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	return journal.Read(ctx, s.Journal, func(r kv.Reader) (*permissionv1.RoleUsage, error) {
		found, err := s.roleOf(r, req.GetParent(), "role", req.GetRole())
		if err != nil {
			return nil, err
		}
		grants, err := s.Grants.Count(r, req.GetParent(), found.GetName(), maxCounted+1)
		if err != nil {
			return nil, err
		}
		including, err := s.Roles.Including(r, req.GetParent(), found.GetName(), maxCountedIncluding)
		if err != nil {
			return nil, err
		}
		usage := &permissionv1.RoleUsage{
			Role: found.GetName(), GrantCount: int64(min(grants, maxCounted)), MoreGrants: grants > maxCounted,
			IncludingRoleCount: int64(len(including)), UpdateTime: found.GetUpdateTime(),
		}
		if found.GetBuiltIn() {
			return usage, nil
		}
		last, _, err := s.Roles.Revisions(r, found.GetName(), nil, 1)
		if len(last) > 0 {
			usage.Author = last[0].GetAuthor()
		}
		return usage, err
	})
}
