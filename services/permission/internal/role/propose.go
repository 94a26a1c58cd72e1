package role

import (
	"slices"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// Why returns the way by inclusion from the role to the nearest one that has
// the permission by itself, both ends included; nil when it does not have it.
func (s *Roles) Why(r kv.Reader, name string, p Permission) ([]string, error) {
	f := s.family(r)
	all, err := f.below(name)
	if err != nil {
		return nil, err
	}
	for _, below := range all {
		own := &permissionv1.Role{Name: below}
		if one := f.known[below]; one != nil {
			own = proto.CloneOf(one)
			own.IncludedRoles = nil
		}
		set, err := s.expand(r, own)
		if err != nil {
			return nil, err
		}
		switch {
		case !set.Has(p):
		case below == name:
			return []string{name}, nil
		default:
			return f.path(name, below, make(map[string]bool)), nil
		}
	}
	return nil, nil
}

// Proposed are custom roles as they would be after changes that are not made.
type Proposed struct {
	roles *Roles
	as    []*permissionv1.Role
}

// Propose returns the roles of the store with the given ones in the place of
// theirs. Errors are those of Get and of Update for one that cannot be.
func (s *Roles) Propose(r kv.Reader, as ...*permissionv1.Role) (*Proposed, error) {
	for _, role := range as {
		if _, err := s.Get(r, role.GetName()); err != nil {
			return nil, err
		}
		if err := s.check(r, role); err != nil {
			return nil, err
		}
	}
	return &Proposed{s, slices.Clone(as)}, nil
}

// Set is Roles.Set with the proposed roles: those that include one of them
// change with it.
func (p *Proposed) Set(r kv.Reader, name string) (Set, error) {
	if len(p.as) == 0 || IsBuiltIn(name) || !Pattern.Matches(name) {
		return p.roles.Set(r, name)
	}
	return p.roles.expandIn(r, p.roles.family(r, p.as...), name)
}
