package access

import (
	"strings"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/errs"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// SubjectQuery is what Subjects lists.
type SubjectQuery struct {
	Permission, Resource string
	Attributes           *permissionv1.Attributes
	// requiring are the roles that need a certificate, and separation what rules
	// have to say; Subjects sets both.
	requiring  map[string]bool
	separation separation
}

// Subjects lists who may do it with the resource, behind a name, and returns
// the name to go on behind; "" at the end. Errors are Invalid
// (PERMISSION_UNKNOWN, RESOURCE_FOREIGN), and those of the store.
func (s *State) Subjects(q SubjectQuery, after string, limit int) (found []*permissionv1.AllowedSubject, next string, err error) {
	p, err := s.permission(q.Permission)
	if err != nil {
		return nil, "", err
	}
	// "-" asks about the parent of its collection, as in a check.
	if collection, ok := strings.CutSuffix(q.Resource, "/-"); ok {
		q.Resource = above(collection)[1]
	}
	if q.Resource != authz.Installation && !within(q.Resource, s.organization) {
		return nil, "", errs.InvalidField("resource", "RESOURCE_FOREIGN", "name this organisation, or a resource of it")
	}
	if q.requiring, err = s.rules.Requiring(s.facts, s.organization); err != nil {
		return nil, "", err
	}
	rules, err := s.separating(q.Permission, p)
	if err != nil {
		return nil, "", err
	}
	q.separation = s.separationOn(rules, q.Resource)
	reached, err := s.reach(q, p, after)
	if err != nil {
		return nil, "", err
	}
	last := after
	for i, name := range reached.names.all() {
		if i == maxChecked || len(found) == limit {
			return found, last, nil
		}
		one, err := s.allowed(q, reached, name)
		if err != nil {
			return nil, "", err
		}
		if one != nil {
			found = append(found, one)
		}
		last = name
	}
	if reached.names.cut {
		return found, last, nil
	}
	return found, "", nil
}

// allowed returns the account or class of the name if it may do it; else nil.
func (s *State) allowed(q SubjectQuery, reached *reach, name string) (*permissionv1.AllowedSubject, error) {
	if class := reached.classes[name]; class != nil {
		return s.allowedClass(q, reached, class)
	}
	a, err := s.ask(name, q.Permission, q.Resource, q.Attributes)
	if err != nil || !a.Allowed {
		return nil, err
	}
	return &permissionv1.AllowedSubject{Name: name, Grant: a.Grant, Role: a.Role}, nil
}

// nobody is the id of an account of which nothing is known, to ask what holds
// for all of a kind: the nil UUID, which nobody is given.
const nobody = "00000000-0000-0000-0000-000000000000"

// allowedClass returns the class if all of it may do it, but for those it says,
// or if some of it may.
func (s *State) allowedClass(q SubjectQuery, reached *reach, c *class) (*permissionv1.AllowedSubject, error) {
	a, err := s.ask(s.organization+"/"+c.collection+"/"+nobody, q.Permission, q.Resource, q.Attributes)
	if err != nil {
		return nil, err
	}
	one := &permissionv1.AllowedSubject{Name: c.name, Grant: a.Grant, Role: a.Role}
	switch {
	case c.denied || !c.always && !c.sometimes || q.separation.twoPeople:
		return nil, nil
	case !c.always || c.perhapsDenied:
		one.Conditional = true
		return one, nil
	case !a.Allowed:
		return nil, nil
	case q.separation.perhaps:
		one.Conditional = true // for who does not hold the other side
		return one, nil
	}
	one.Excluded, one.MoreExcluded, err = s.excluded(q, reached, c)
	return one, err
}

// maxExcluded is how many accounts a class says it is without, and maxSuspects
// how many are looked at to find them.
const (
	maxExcluded = 100
	maxSuspects = 1000
)

// excluded returns the accounts of a class that are refused: of those to whom
// something is denied, and of those who may do nothing at all. more says that
// there may be others.
func (s *State) excluded(q SubjectQuery, reached *reach, c *class) (names []string, more bool, err error) {
	prefix := s.organization + "/" + c.collection + "/"
	suspects := newNames("", maxSuspects)
	for _, name := range reached.suspects.all() {
		if strings.HasPrefix(name, prefix) {
			suspects.add(name)
		}
	}
	for after := []byte(nil); ; {
		standings, next, err := s.loader.Subjects.Standings(s.reader, s.organization, after, maxSuspects)
		if err != nil {
			return nil, false, err
		}
		for _, one := range standings {
			if strings.HasPrefix(one.GetAccount(), prefix) {
				suspects.add(one.GetAccount())
			}
		}
		if after = next; next == nil || suspects.cut {
			break
		}
	}
	for _, name := range suspects.all() {
		a, err := s.ask(name, q.Permission, q.Resource, q.Attributes)
		if err != nil {
			return nil, false, err
		}
		if !a.Allowed && len(names) == maxExcluded {
			return names, true, nil
		}
		if !a.Allowed {
			names = append(names, name)
		}
	}
	return names, suspects.cut || reached.suspects.cut, nil
}

// kinds are the collections of accounts, and the names of the classes of all
// that is in them.
func kinds(organization string) []*class {
	return []*class{
		{name: organization + "/allStaff", collection: "staff", kind: authn.Staff},
		{name: organization + "/allCustomers", collection: "customers", kind: authn.Customer},
		{name: organization + "/serviceAccounts/-", collection: "serviceAccounts", kind: authn.ServiceAccount},
	}
}
