package role

import (
	"fmt"
	"slices"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// Declared returns the name under which Set gives all permissions that the
// resource types of an organisation declare. It is no role; it is asked for as
// one so that a check finds out what is declared the way it finds out what a
// role is, and hears of changes the same way.
func Declared(organization string) string { return organization + declaredSuffix }

const declaredSuffix = "/resourceTypes"

// Expand returns the names of all permissions that a role gives in an
// organisation: its own, those of its levels and those of the roles that it
// includes, as of now, sorted. The role may be one that is not stored.
func (s *Roles) Expand(r kv.Reader, organization string, role *permissionv1.Role) ([]string, error) {
	set, err := s.expand(r, role)
	if err != nil {
		return nil, err
	}
	names := slices.Collect(s.catalogue.Names(set))
	if set.anyCustom {
		declared, err := s.types.Permissions(r, organization)
		if err != nil {
			return nil, err
		}
		names = append(names, declared...)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Gives is Expand of the role named; none when there is no such role.
func (s *Roles) Gives(r kv.Reader, organization, name string) ([]string, error) {
	one, err := s.Get(r, name)
	if errs.Is(err, errs.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return s.Expand(r, organization, one)
}

// Difference returns the permissions, sorted, that a role gives after a change
// and not before, and those that it gave before and no more. Its errors are
// those of Update for the role as it is to be.
func (s *Roles) Difference(r kv.Reader, old, now *permissionv1.Role) (added, removed []string, err error) {
	if err := s.check(r, now); err != nil {
		return nil, nil, err
	}
	organization := OrganizationOf(now.GetName())
	before, err := s.Expand(r, organization, old)
	if err != nil {
		return nil, nil, err
	}
	after, err := s.Expand(r, organization, now)
	if err != nil {
		return nil, nil, err
	}
	return without(after, before), without(before, after), nil
}

// without returns those of the names that are not among the others; both are
// sorted.
func without(names, others []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		_, found := slices.BinarySearch(others, name)
		return found
	})
}

// expand returns the set of all that a role gives.
func (s *Roles) expand(r kv.Reader, role *permissionv1.Role) (Set, error) {
	f := s.family(r, role)
	all, err := f.below(role.GetName())
	if err != nil {
		return Set{}, err
	}
	var names []string
	anyCustom := false
	for _, name := range all {
		if IsBuiltIn(name) {
			names = slices.AppendSeq(names, s.catalogue.Names(s.sets[name]))
			anyCustom = anyCustom || s.sets[name].anyCustom
			continue
		}
		one := f.known[name]
		names = append(names, one.GetPermissions()...)
		for _, l := range one.GetLevels() {
			more, _, err := s.level(r, OrganizationOf(name), l)
			if err != nil {
				return Set{}, err
			}
			names = append(names, more...)
		}
	}
	set := s.catalogue.Of(names)
	set.anyCustom = anyCustom
	return set, nil
}

// level returns the names of a level's permissions, and whether the suite or
// the organisation has the collection.
func (s *Roles) level(r kv.Reader, organization string, l *permissionv1.CollectionLevel) (names []string, known bool, err error) {
	if !isCustomCollection(l.GetCollection()) {
		names, known = s.catalogue.level(l.GetCollection(), l.GetLevel())
		return names, known, nil
	}
	t, err := s.types.ByCollection(r, organization, l.GetCollection()[len(customPrefix):])
	for _, a := range t.GetActions() {
		if a.GetLevel() <= l.GetLevel() {
			names = append(names, a.GetPermission())
		}
	}
	return names, t != nil, err
}

// check refuses a role that cannot be: errors are Invalid (PERMISSION_UNKNOWN,
// COLLECTION_UNKNOWN) and those of checkIncluded.
func (s *Roles) check(r kv.Reader, role *permissionv1.Role) error {
	if err := s.checkPermissions(r, role); err != nil {
		return err
	}
	if err := s.checkLevels(r, role); err != nil {
		return err
	}
	return s.checkIncluded(r, role)
}

// checkPermissions refuses what neither the suite nor the organisation
// declares, with the index of each at fault.
func (s *Roles) checkPermissions(r kv.Reader, role *permissionv1.Role) error {
	var declared Set
	if slices.ContainsFunc(role.GetPermissions(), IsCustom) {
		var err error
		if declared, err = s.declared(r, OrganizationOf(role.GetName())); err != nil {
			return err
		}
	}
	var faults []errs.Option
	for i, name := range role.GetPermissions() {
		if p, ok := s.catalogue.Lookup(name); !ok || p.IsCustom() && !declared.Has(p) {
			faults = append(faults, errs.Field(fmt.Sprintf("role.permissions[%d]", i), "PERMISSION_UNKNOWN", "name a permission of ListPermissions"))
		}
	}
	if faults == nil {
		return nil
	}
	return errs.New(errs.Invalid, "PERMISSION_UNKNOWN", "the role names permissions that do not exist; see ListPermissions", faults...)
}

func (s *Roles) checkLevels(r kv.Reader, role *permissionv1.Role) error {
	for i, l := range role.GetLevels() {
		_, known, err := s.level(r, OrganizationOf(role.GetName()), l)
		if err != nil {
			return err
		}
		if !known {
			return errs.InvalidField(fmt.Sprintf("role.levels[%d].collection", i), "COLLECTION_UNKNOWN",
				"name a permission of ListPermissions without its last part, as in groupchat.messages")
		}
	}
	return nil
}

// declared returns the set of what the organisation's resource types declare.
func (s *Roles) declared(r kv.Reader, organization string) (Set, error) {
	names, err := s.types.Permissions(r, organization)
	return s.catalogue.Of(names), err
}
