package roles

import (
	"context"
	"slices"
	"strings"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/journal"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/resourcetype"
	"guildhall.dev/services/permission/internal/role"
	"guildhall.dev/services/permission/internal/subject"
)

// ListPermissions implements permissionv1.RoleServiceServer.
func (s *roles) ListPermissions(ctx context.Context, req *permissionv1.ListPermissionsRequest) (*permissionv1.ListPermissionsResponse, error) {
	if err := mayListCustom(ctx, req.GetParent()); err != nil {
		return nil, err
	}
	found, next, err := journal.List(ctx, s.Journal, req, []string{"ListPermissions", req.GetParent()},
		func(r kv.Reader, after []byte, limit int) ([]*permissionv1.Permission, []byte, error) {
			custom, err := s.customPermissions(r, req.GetParent())
			if err != nil {
				return nil, nil, err
			}
			page, next := behind(append(custom, suitePermissions(s.Roles.Catalogue().Permissions())...), string(after), limit)
			return page, next, nil
		})
	if err != nil {
		return nil, err
	}
	return &permissionv1.ListPermissionsResponse{Permissions: found, NextPageToken: next}, nil
}

// behind returns a page of the permissions by name, behind one, and where the
// next page starts, nil at the end.
func behind(all []*permissionv1.Permission, after string, limit int) (page []*permissionv1.Permission, next []byte) {
	slices.SortFunc(all, func(a, b *permissionv1.Permission) int { return strings.Compare(a.GetName(), b.GetName()) })
	start, found := slices.BinarySearchFunc(all, after, func(p *permissionv1.Permission, name string) int {
		return strings.Compare(p.GetName(), name)
	})
	if found {
		start++
	}
	end := min(start+limit, len(all))
	if end < len(all) {
		next = []byte(all[end-1].GetName())
	}
	return all[start:end], next
}

func suitePermissions(all []authz.Permission) []*permissionv1.Permission {
	shown := make([]*permissionv1.Permission, len(all))
	for i, p := range all {
		shown[i] = &permissionv1.Permission{Name: p.Name, Methods: p.Methods, Level: role.LevelOf(p)}
	}
	return shown
}

// mayListCustom refuses to list what another's organisation declares: the RPC
// asks for no permission.
func mayListCustom(ctx context.Context, parent string) error {
	if parent == "" {
		return nil
	}
	if err := subject.Organization.Check("parent", parent); err != nil {
		return err
	}
	if by := authn.CallerOf(ctx); by.Kind() != authn.System && by.Organization() != parent {
		return errs.NotFoundName("RESOURCE_NOT_FOUND", parent)
	}
	return nil
}

// customPermissions returns what an organisation's resource types declare; ""
// declares nothing.
func (s *roles) customPermissions(r kv.Reader, parent string) (custom []*permissionv1.Permission, err error) {
	if parent == "" {
		return nil, nil
	}
	types, _, err := s.Roles.Types().List(r, parent, nil, resourcetype.Max)
	for _, t := range types {
		for _, a := range t.GetActions() {
			custom = append(custom, &permissionv1.Permission{Name: a.GetPermission(), Level: a.GetLevel()})
		}
	}
	return custom, err
}
