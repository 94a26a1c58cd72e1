package access

import (
	"slices"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/role"
)

// Permissions lists what the account may do with the resource, behind a name,
// and the name to go on behind; "" at the end.
func (s *State) Permissions(account, resource string, attributes *permissionv1.Attributes, after string, limit int) (found []*permissionv1.EffectivePermission, next string, err error) {
	var names []string
	for _, p := range s.loader.Roles.Catalogue().Permissions() {
		names = append(names, p.Name)
	}
	declared, err := s.facts.Role(role.Declared(s.organization))
	if err != nil {
		return nil, "", err
	}
	names = slices.AppendSeq(names, s.loader.Roles.Catalogue().Names(declared))
	slices.Sort(names)
	last := after
	for _, name := range names {
		if name <= after {
			continue
		}
		if len(found) == limit {
			return found, last, nil
		}
		a, err := s.ask(account, name, resource, attributes)
		if err != nil {
			return nil, "", err
		}
		if a.Allowed {
			found = append(found, &permissionv1.EffectivePermission{Permission: name, Grant: a.Grant, Role: a.Role})
		}
		last = name
	}
	return found, "", nil
}
