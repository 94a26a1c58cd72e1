package access

import (
	"slices"
	"strings"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/condition"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/role"
	"guildhall.dev/services/permission/internal/subject"
)

// ResourceQuery is what Resources lists.
type ResourceQuery struct {
	// Subject is an account of the organisation.
	Subject, Permission string
	// Collection keeps what is directly in it and the names above it; "-" in
	// it is any id; "" keeps all.
	Collection string
	Attributes *permissionv1.Attributes
}

// ResourcePage is one page of resources.
type ResourcePage struct {
	Resources []*permissionv1.AccessibleResource
	// MoreUnderConditions says that a grant counts under a condition only, or is
	// refused by a rule of separation on a part of what it covers, and may allow
	// more of what is below it than is listed.
	MoreUnderConditions bool
	// Next is the name to go on behind; "" at the end.
	Next string
}

// Resources lists the resources that the subject may do it with, behind a
// name. The error is Invalid (PERMISSION_UNKNOWN), or that of the store.
func (s *State) Resources(q ResourceQuery, after string, limit int) (ResourcePage, error) {
	p, err := s.permission(q.Permission)
	if err != nil {
		return ResourcePage{}, err
	}
	holds, err := s.holdsOf(q, p)
	if err != nil {
		return ResourcePage{}, err
	}
	page := ResourcePage{MoreUnderConditions: holds.depends}
	names, more, err := s.resourceNames(q, holds, after)
	if err != nil {
		return page, err
	}
	for i, name := range names {
		if i == maxChecked || len(page.Resources) == limit {
			page.Next = names[i-1]
			return page, nil
		}
		a, err := s.ask(q.Subject, q.Permission, name, q.Attributes)
		if err != nil {
			return page, err
		}
		if a.Allowed {
			page.Resources = append(page.Resources, &permissionv1.AccessibleResource{
				Name: name, Grant: a.Grant, Role: a.Role, CoversAllBelow: holds.coverAllBelow(name, a),
			})
		}
	}
	if more != "" {
		page.Next = more
	}
	return page, nil
}

// holds are the grants that reach a subject, or may, and have the permission.
type holds struct {
	allows []decide.Hold
	// always are the resources of those that count whatever is asked about, and
	// depends says that there are others.
	always  map[string]bool
	depends bool
	// requiring are the roles that need a certificate on some resources.
	requiring map[string]bool
	// makers are the holder forms that the subject is reached by for some
	// resources only. Grants to holders come last, when these are known.
	makers map[string]bool
	// denied are the resources of those that deny, in order, and conditional
	// those of them for which that depends on what is asked about.
	denied      []string
	conditional []string
	// separated are the rules of separation that may refuse it.
	separated []separated
}

func (s *State) holdsOf(q ResourceQuery, p role.Permission) (*holds, error) {
	names, err := s.rules.Names(s.facts, s.organization, q.Subject)
	if err != nil {
		return nil, err
	}
	all := &holds{always: make(map[string]bool), makers: make(map[string]bool)}
	if all.requiring, err = s.rules.Requiring(s.facts, s.organization); err != nil {
		return nil, err
	}
	for _, name := range names {
		held, err := s.facts.Subject(name.Name)
		if err != nil {
			return nil, err
		}
		for _, h := range held.Holds() {
			if !h.Deny && speaksOf(h, "resource") {
				all.makers[subject.Holders(h.Resource, h.Role)] = true
			}
			gives, err := s.gives(h.Role, p)
			if err != nil {
				return nil, err
			}
			if gives && !s.expired(h.Expires) {
				s.add(all, q, h, name.DenyOnly)
			}
		}
	}
	slices.Sort(all.denied)
	return all, s.separate(all, q, p, names)
}

// separate adds the rules of separation that may refuse what is held.
func (s *State) separate(all *holds, q ResourceQuery, p role.Permission, names []decide.Name) error {
	rules, err := s.separating(q.Permission, p)
	if err != nil || rules == nil {
		return err
	}
	if all.separated, err = s.separatedFrom(rules, q.Subject, names); err != nil {
		return err
	}
	for _, r := range all.separated {
		all.depends = all.depends || slices.ContainsFunc(all.allows, func(h decide.Hold) bool { return r.splits(h.Resource) })
	}
	return nil
}

// speaksOf reports whether the grant has a condition that may look at the
// variable.
func speaksOf(h decide.Hold, variable string) bool { return strings.Contains(h.Condition, variable) }

// add adds a grant. Of one to holders it is not known here whether it reaches
// the subject.
func (s *State) add(all *holds, q ResourceQuery, h decide.Hold, denyOnly bool) {
	depends := h.Holders != ""
	if h.Condition != "" {
		depends = depends || speaksOf(h, "resource")
		if !speaksOf(h, "resource") && !s.holds(h.Condition, h.Deny, condition.Request{
			Time: s.now, Subject: q.Subject, Action: q.Permission, Attributes: q.Attributes, Stored: s.facts.Properties,
		}) {
			return
		}
	}
	required := !h.Deny && all.requiring[h.Role]
	depends = depends || required
	about := speaksOf(h, "resource") || all.makers[h.Holders] || required
	all.depends = all.depends || about && !h.Deny && !denyOnly
	switch {
	case h.Deny:
		all.denied = append(all.denied, h.Resource)
		if depends {
			all.conditional = append(all.conditional, h.Resource)
		}
	case !denyOnly:
		all.allows = append(all.allows, h)
		if !depends {
			all.always[h.Resource] = true
		}
	}
}

// coverAllBelow reports whether all below a name that is allowed is allowed
// too: by a grant that counts whatever is asked about, and with nothing denied
// there, by a grant or a rule, or under a condition.
func (a *holds) coverAllBelow(name string, answer decide.Answer) bool {
	covered := answer.Role == role.Self
	for _, n := range above(name) {
		covered = covered || a.always[n]
	}
	if !covered || slices.ContainsFunc(a.conditional, func(on string) bool { return within(name, on) }) ||
		slices.ContainsFunc(a.separated, func(r separated) bool { return r.reachesBelow(name) }) {
		return false
	}
	// What is below a name stands together behind it.
	i, _ := slices.BinarySearch(a.denied, name+"/")
	return i == len(a.denied) || !strings.HasPrefix(a.denied[i], name+"/")
}

// resourceNames returns the candidates behind a name, in order, and the name
// up to which they were looked for when that is not all.
func (s *State) resourceNames(q ResourceQuery, h *holds, after string) (names []string, upTo string, err error) {
	stored, more, err := s.loader.Properties.Names(s.reader, s.organization, after, maxChecked)
	if err != nil {
		return nil, "", err
	}
	if more {
		upTo = stored[len(stored)-1]
	}
	wanted := collection(q.Collection)
	add := func(name string) {
		if name > after && (upTo == "" || name <= upTo) && wanted.keeps(name) {
			names = append(names, name)
		}
	}
	for _, name := range stored {
		if slices.ContainsFunc(h.allows, func(h decide.Hold) bool { return within(name, h.Resource) }) {
			add(name)
		}
	}
	for _, hold := range h.allows {
		add(hold.Resource)
	}
	if subject.IsAccount(q.Subject) {
		add(q.Subject)
	}
	slices.Sort(names)
	return slices.Compact(names), upTo, nil
}

// collection is the pattern of a collection: "organizations/acme/groups".
type collection string

// keeps reports whether the name is directly in the collection, or above it.
func (c collection) keeps(name string) bool {
	if c == "" {
		return true
	}
	want, have := strings.Split(string(c), "/"), strings.Split(name, "/")
	if len(have) > len(want)+1 {
		return false
	}
	for i, segment := range have {
		if i < len(want) && segment != want[i] && (want[i] != "-" || i%2 == 0) {
			return false
		}
	}
	return true
}
