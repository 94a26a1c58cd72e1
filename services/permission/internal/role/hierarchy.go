package role

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// Bounds of what roles include. They bound the work of loading a role, and of
// naming all that a change of one touches.
const (
	// MaxDepth is how many steps lead from a role to one that it includes.
	MaxDepth = 8
	// MaxIncluded is how many roles one has in it, at any depth.
	MaxIncluded = 200
	// MaxIncluding is how many roles one is in, at any depth.
	MaxIncluding = 1000
)

// uses is the index of what roles are made of, so that nothing goes away under
// a role: included roles, custom permissions ("custom.records.read") and levels
// of custom collections ("custom.records"), in one organisation each.
const uses = "uses"

func usesOf(r *permissionv1.Role) []kv.Key {
	var keys []kv.Key
	add := func(thing string) { keys = append(keys, usesKey(OrganizationOf(r.GetName()), thing)) }
	for _, name := range r.GetIncludedRoles() {
		add(name)
	}
	for _, p := range r.GetPermissions() {
		if IsCustom(p) {
			add(p)
		}
	}
	for _, l := range r.GetLevels() {
		if isCustomCollection(l.GetCollection()) {
			add(l.GetCollection())
		}
	}
	return keys
}

func usesKey(organization, thing string) kv.Key {
	return kv.Key{kv.String(organization), kv.String(thing)}
}

// Including returns up to limit roles of the organisation that are themselves
// made of the thing: a role, a custom permission or a custom collection.
func (s *Roles) Including(r kv.Reader, organization, thing string, limit int) ([]*permissionv1.Role, error) {
	page, err := s.table.List(r, kv.Query{Index: uses, Prefix: usesKey(organization, thing), Limit: limit})
	if err != nil {
		return nil, err
	}
	roles := make([]*permissionv1.Role, len(page.Records))
	for i, rec := range page.Records {
		roles[i] = rec.Value
	}
	return roles, nil
}

// above returns all roles that mean something else when one of the things
// does: those made of one of them, and those that include these, at any depth.
func (s *Roles) above(r kv.Reader, organization string, things ...string) (map[string]*permissionv1.Role, error) {
	found := make(map[string]*permissionv1.Role)
	for len(things) > 0 {
		thing := things[0]
		things = things[1:]
		for rec, err := range s.table.Scan(r, kv.Query{Index: uses, Prefix: usesKey(organization, thing)}) {
			if err != nil {
				return nil, err
			}
			if name := rec.Value.GetName(); found[name] == nil {
				found[name] = rec.Value
				things = append(things, name)
			}
		}
	}
	return found, nil
}

// Affected returns the names of all roles that mean something else when one of
// the things does, each a role or a custom collection; a role among them is one
// that does.
func (s *Roles) Affected(r kv.Reader, organization string, things ...string) ([]string, error) {
	above, err := s.above(r, organization, things...)
	if err != nil {
		return nil, err
	}
	names := slices.Collect(maps.Keys(above))
	for _, thing := range things {
		if Pattern.Matches(thing) {
			names = append(names, thing)
		}
	}
	slices.Sort(names)
	return names, nil
}

// family is what one reading of roles and those that they include has found.
// A built-in role includes nothing, and is not read.
type family struct {
	roles  *Roles
	reader kv.Reader
	known  map[string]*permissionv1.Role // nil for one that is not there
}

func (s *Roles) family(r kv.Reader, known ...*permissionv1.Role) *family {
	f := &family{roles: s, reader: r, known: make(map[string]*permissionv1.Role)}
	for _, role := range known {
		f.known[role.GetName()] = role
	}
	return f
}

// below returns the names of all roles that the one named includes, at any
// depth, each once and itself first. It reads each depth in one go.
func (f *family) below(name string) ([]string, error) {
	all, seen := []string{name}, map[string]bool{name: true}
	for fresh := all; len(fresh) > 0; {
		if err := f.load(fresh); err != nil {
			return nil, err
		}
		var next []string
		for _, n := range fresh {
			for _, included := range f.known[n].GetIncludedRoles() {
				if !seen[included] {
					seen[included] = true
					next = append(next, included)
				}
			}
		}
		all, fresh = append(all, next...), next
	}
	return all, nil
}

// load reads those of the custom roles that are not known yet.
func (f *family) load(names []string) error {
	var keys []kv.Key
	var missing []string
	for _, name := range names {
		if _, ok := f.known[name]; !ok && !IsBuiltIn(name) {
			missing, keys = append(missing, name), append(keys, keyOf(name))
		}
	}
	if len(keys) == 0 {
		return nil
	}
	records, err := f.roles.table.GetMany(f.reader, keys)
	if err != nil {
		return err
	}
	for i, rec := range records {
		f.known[missing[i]] = rec.Value
	}
	return nil
}

// path returns the way by inclusion from one role to another, both ends
// included; nil when there is none. What is below from has been read.
func (f *family) path(from, to string, seen map[string]bool) []string {
	for _, included := range f.known[from].GetIncludedRoles() {
		if included == to {
			return []string{from, to}
		}
		if seen[included] {
			continue
		}
		seen[included] = true
		if rest := f.path(included, to, seen); rest != nil {
			return append([]string{from}, rest...)
		}
	}
	return nil
}

// depth returns how many steps the longest way down from a role has. What is
// below it has been read and holds no cycle.
func (f *family) depth(name string, known map[string]int) int {
	if d, ok := known[name]; ok {
		return d
	}
	deepest := 0
	for _, included := range f.known[name].GetIncludedRoles() {
		deepest = max(deepest, 1+f.depth(included, known))
	}
	known[name] = deepest
	return deepest
}

// checkIncluded refuses a role that includes what it cannot: errors are
// NotFound (ROLE_NOT_FOUND) and Invalid (ROLE_MANAGED, ROLE_CYCLE,
// ROLE_HIERARCHY_LIMIT).
func (s *Roles) checkIncluded(r kv.Reader, role *permissionv1.Role) error {
	if len(role.GetIncludedRoles()) == 0 {
		return nil
	}
	f := s.family(r, role)
	for i, name := range role.GetIncludedRoles() {
		if err := s.checkGivable(f, OrganizationOf(role.GetName()), name, fmt.Sprintf("role.included_roles[%d]", i)); err != nil {
			return err
		}
	}
	if _, err := f.below(role.GetName()); err != nil {
		return err
	}
	if path := f.path(role.GetName(), role.GetName(), make(map[string]bool)); path != nil {
		way := strings.Join(path, " > ")
		return errs.New(errs.Invalid, "ROLE_CYCLE", "the role would include itself: "+way,
			errs.Field("role.included_roles", "ROLE_CYCLE", "take out the role that leads back: "+way), errs.Meta("path", way))
	}
	return s.checkBounds(f, role)
}

// checkGivable refuses to include a role that nobody could grant by hand.
func (s *Roles) checkGivable(f *family, organization, name, field string) error {
	missing := errs.New(errs.NotFound, "ROLE_NOT_FOUND", "there is no such role that can be included; see ListRoles",
		errs.Field(field, "ROLE_NOT_FOUND", "name a role of ListRoles"))
	if IsBuiltIn(name) {
		switch _, ok := s.sets[name]; {
		case !ok, name == Self:
			return missing
		case s.managers[name] != "":
			return errs.InvalidField(field, "ROLE_MANAGED", "only a service gives this role, to those it concerns")
		}
		return nil
	}
	if !Pattern.Matches(name) || OrganizationOf(name) != organization {
		return missing
	}
	if err := f.load([]string{name}); err != nil {
		return err
	}
	if f.known[name] == nil {
		return missing
	}
	return nil
}

// checkBounds refuses what makes any role too large: this one, or one that it
// is in.
func (s *Roles) checkBounds(f *family, role *permissionv1.Role) error {
	refuse := errs.InvalidField("role.included_roles", "ROLE_HIERARCHY_LIMIT", fmt.Sprintf(
		"roles include each other at most %d deep, one has at most %d in it, and is in at most %d", MaxDepth, MaxIncluded, MaxIncluding))
	above, err := s.above(f.reader, OrganizationOf(role.GetName()), role.GetName())
	if err != nil {
		return err
	}
	if len(above) > MaxIncluding {
		return refuse
	}
	for name, r := range above {
		f.known[name] = r
	}
	above[role.GetName()] = role
	depths := make(map[string]int)
	for name := range above {
		below, err := f.below(name)
		if err != nil {
			return err
		}
		if len(below)-1 > MaxIncluded || f.depth(name, depths) > MaxDepth {
			return refuse
		}
	}
	for _, name := range slices.Sorted(slices.Values(role.GetIncludedRoles())) {
		in, err := s.Including(f.reader, OrganizationOf(role.GetName()), name, MaxIncluding)
		if err != nil {
			return err
		}
		if len(in) == MaxIncluding {
			return refuse
		}
	}
	return nil
}
