package api

import (
	"context"
	"slices"
	"strings"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/resourcetype"
	"guildhall.dev/services/permission/internal/role"
)

// ListPermissions implements permissionv1.RoleServiceServer.
func (s *roles) ListPermissions(ctx context.Context, req *permissionv1.ListPermissionsRequest) (*permissionv1.ListPermissionsResponse, error) {
	custom, err := s.customPermissions(ctx, req.GetParent())
	if err != nil {
		return nil, err
	}
	l, err := s.list(ctx, req.GetPageSize(), req.GetPageToken(), "ListPermissions", req.GetParent())
	if err != nil {
		return nil, err
	}
	all := append(custom, suitePermissions(s.Roles.Catalogue().Permissions())...)
	slices.SortFunc(all, func(a, b *permissionv1.Permission) int { return strings.Compare(a.GetName(), b.GetName()) })
	start, found := slices.BinarySearchFunc(all, string(l.after), func(p *permissionv1.Permission, name string) int {
		return strings.Compare(p.GetName(), name)
	})
	if found {
		start++
	}
	end := min(start+l.size, len(all))
	resp := &permissionv1.ListPermissionsResponse{Permissions: all[start:end]}
	if end < len(all) {
		resp.NextPageToken = s.next(l, []byte(all[end-1].GetName()))
	}
	return resp, nil
}

func suitePermissions(all []authz.Permission) []*permissionv1.Permission {
	shown := make([]*permissionv1.Permission, len(all))
	for i, p := range all {
		shown[i] = &permissionv1.Permission{Name: p.Name, Methods: p.Methods, Level: role.LevelOf(p)}
	}
	return shown
}

// customPermissions returns what an organisation's resource types declare. The
// RPC asks for no permission, so it tells nobody about another's organisation.
func (s *roles) customPermissions(ctx context.Context, parent string) (custom []*permissionv1.Permission, err error) {
	if parent == "" {
		return nil, nil
	}
	if _, err := organization.Parse("parent", parent); err != nil {
		return nil, err
	}
	if by := caller(ctx); by.Kind() != authn.System && by.Organization() != parent {
		return nil, errs.NotFoundName("RESOURCE_NOT_FOUND", parent)
	}
	err = s.Journal.Store.View(ctx, func(r kv.Reader) error {
		custom = nil
		types, _, err := s.Roles.Types().List(r, parent, nil, resourcetype.Max)
		for _, t := range types {
			for _, a := range t.GetActions() {
				custom = append(custom, &permissionv1.Permission{Name: a.GetPermission(), Level: a.GetLevel()})
			}
		}
		return err
	})
	return custom, err
}
