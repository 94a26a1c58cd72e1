package access

import (
	"slices"
	"strings"

	"guildhall.dev/pkg/authn"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/condition"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/role"
	"guildhall.dev/services/permission/internal/subject"
)

// reach is whom the grants on a resource, and on the names above it, may reach.
type reach struct {
	// names are the candidates: accounts, and classes that some grant allows.
	names *names
	// suspects are the accounts that something is denied to, or may be.
	suspects *names
	classes  map[string]*class
}

// class is all accounts of a kind.
type class struct {
	name, collection string
	kind             authn.Kind
	// always and sometimes say that a grant allows it to all of the kind,
	// whoever they are, or under a condition; denied and perhapsDenied that one
	// denies it so.
	always, sometimes, denied, perhapsDenied bool
}

// outlook is what is known of whether a grant counts for an account of which
// nothing is known.
type outlook uint8

const (
	counts outlook = iota
	depends
	countsNot
)

// and returns the outlook of what counts only if both do.
func (o outlook) and(p outlook) outlook { return max(o, p) }

// outlook returns whether the grant counts for whoever it reaches. Only a role
// that needs a certificate, and a condition that speaks of the subject, depend
// on who that is.
func (s *State) outlook(q SubjectQuery, g *permissionv1.Grant, deny bool) outlook {
	expression := g.GetCondition().GetExpression()
	switch {
	case !deny && q.requiring[g.GetRole()]:
		return depends
	case expression == "":
		return counts
	case strings.Contains(expression, "subject"):
		return depends
	case s.holds(expression, deny, condition.Request{
		Time: s.now, Resource: q.Resource, Action: q.Permission, Attributes: q.Attributes, Stored: s.facts.Properties,
	}):
		return counts
	default:
		return countsNot
	}
}

// making is outlook for a grant that makes holders, which takes no certificate.
func (s *State) making(q SubjectQuery, g *permissionv1.Grant, deny bool) outlook {
	q.requiring = nil
	return s.outlook(q, g, deny)
}

// grantPage is how many grants are read at once.
const grantPage = 500

// reach looks at all grants that have the permission and cover the resource.
func (s *State) reach(q SubjectQuery, p role.Permission, after string) (*reach, error) {
	found := &reach{names: newNames(after, maxChecked), suspects: newNames("", maxSuspects), classes: make(map[string]*class)}
	for _, c := range kinds(s.organization) {
		found.classes[c.name] = c
	}
	for _, on := range above(q.Resource) {
		for g, err := range s.grantsOn(on) {
			if err != nil {
				return nil, err
			}
			gives, err := s.gives(g.GetRole(), p)
			if err != nil {
				return nil, err
			}
			if !gives || s.expired(g.GetExpireTime().GetSeconds()) {
				continue
			}
			if err := s.expand(found, q, g, g.GetSubject(), s.outlook(q, g, grant.Denies(g))); err != nil {
				return nil, err
			}
		}
		if subject.IsAccount(on) {
			found.names.add(on) // it holds roles/self there
		}
	}
	for _, account := range q.separation.exempt {
		found.names.add(account) // what others are refused
	}
	return found, s.addClasses(found)
}

// grantsOn yields the grants on exactly the resource.
func (s *State) grantsOn(resource string) func(func(*permissionv1.Grant, error) bool) {
	return func(yield func(*permissionv1.Grant, error) bool) {
		for after := []byte(nil); ; {
			page, next, err := s.loader.Grants.List(s.reader, s.organization, grant.Filter{Resource: resource}, after, grantPage)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, g := range page {
				if !yield(g, nil) {
					return
				}
			}
			if after = next; next == nil {
				return
			}
		}
	}
}

// expand adds whom a grant reaches by a subject: its own, or that of a grant
// that makes holders.
func (s *State) expand(found *reach, q SubjectQuery, g *permissionv1.Grant, name string, o outlook) error {
	deny := grant.Denies(g)
	switch {
	case subject.IsAccount(name):
		found.account(name, deny)
	case subject.IsTeam(name), subject.IsSegment(name):
		for account, err := range s.loader.Subjects.Reached(s.reader, name) {
			if err != nil {
				return err
			}
			found.account(account, deny)
		}
	case subject.IsClass(name):
		for _, c := range found.classes {
			if name == subject.Everyone(s.organization) || name == c.name {
				c.reached(deny, o)
			}
		}
	default:
		return s.expandHolders(found, q, g, name, o)
	}
	return nil
}

// expandHolders adds whoever holds the role of a holder form.
func (s *State) expandHolders(found *reach, q SubjectQuery, g *permissionv1.Grant, form string, o outlook) error {
	on, held, ok := subject.ParseHolders(form)
	if !ok {
		return nil
	}
	for maker, err := range s.grantsOn(on) {
		if err != nil {
			return err
		}
		if maker.GetRole() != held || grant.Denies(maker) || s.expired(maker.GetExpireTime().GetSeconds()) {
			continue
		}
		if _, _, ok := subject.ParseHolders(maker.GetSubject()); ok {
			continue // what is held as a holder makes nobody one
		}
		if err := s.expand(found, q, g, maker.GetSubject(), o.and(s.making(q, maker, grant.Denies(g)))); err != nil {
			return err
		}
	}
	return nil
}

func (f *reach) account(name string, deny bool) {
	if deny {
		f.suspects.add(name)
		return
	}
	f.names.add(name)
}

func (c *class) reached(deny bool, o outlook) {
	switch {
	case o == countsNot:
	case deny && o == depends:
		c.perhapsDenied = true
	case deny:
		c.denied = true
	case o == depends:
		c.sometimes = true
	default:
		c.always = true
	}
}

// addClasses adds the classes that something allows it to and, of those for
// whom it depends on the account, the accounts of which something is known.
func (s *State) addClasses(found *reach) error {
	for _, c := range found.classes {
		if c.denied || !c.always && !c.sometimes {
			continue
		}
		found.names.add(c.name)
		if c.always && !c.perhapsDenied {
			continue
		}
		stored, more, err := s.loader.Properties.Under(s.reader, s.organization, s.organization+"/"+c.collection, found.names.after, maxChecked)
		if err != nil {
			return err
		}
		for _, name := range stored {
			found.names.add(name)
		}
		if more {
			found.names.cutBehind(stored[len(stored)-1])
		}
	}
	return nil
}

// names keeps the first names behind one, so that a page of many costs no more
// memory than a page.
type names struct {
	after string
	until string // behind which nothing is kept; "" is no bound
	most  int
	kept  []string
	// cut says that there were more.
	cut bool
}

func newNames(after string, most int) *names { return &names{after: after, most: most} }

// add keeps the name, unless there are enough before it.
func (n *names) add(name string) {
	if name <= n.after || n.until != "" && name > n.until {
		return
	}
	n.kept = append(n.kept, name)
	if len(n.kept) >= 2*n.most {
		n.settle()
	}
}

// cutBehind gives up what is behind the name, because others may be missing
// there.
func (n *names) cutBehind(name string) {
	if n.until == "" || name < n.until {
		n.until = name
	}
	n.cut = true
	n.kept = slices.DeleteFunc(n.kept, func(k string) bool { return k > n.until })
}

func (n *names) settle() {
	slices.Sort(n.kept)
	n.kept = slices.Compact(n.kept)
	if len(n.kept) > n.most {
		n.kept, n.cut = n.kept[:n.most], true
	}
}

// all returns what was kept, in order.
func (n *names) all() []string {
	n.settle()
	return n.kept
}
