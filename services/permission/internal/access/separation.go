package access

import (
	"slices"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/role"
	"guildhall.dev/services/permission/internal/subject"
)

// separating returns the organisation's rules of separation that may refuse the
// permission: two-person rules that name it, and pairs whose second side gives
// it.
func (s *State) separating(name string, p role.Permission) (rules []*permissionv1.SeparationRule, err error) {
	holders, err := s.facts.Subject(subject.AllHolders(s.organization))
	if err != nil {
		return nil, err
	}
	for _, r := range holders.Separation() {
		may := slices.Contains(r.GetTwoPerson().GetPermissions(), name)
		if second := r.GetForbiddenPair().GetSecond(); second != nil {
			if may, err = s.sideGives(second, name, p); err != nil {
				return nil, err
			}
		}
		if may {
			rules = append(rules, r)
		}
	}
	return rules, nil
}

// sideGives reports whether one side of a pair gives the permission.
func (s *State) sideGives(side *permissionv1.SeparationSide, name string, p role.Permission) (bool, error) {
	if slices.Contains(side.GetPermissions(), name) {
		return true, nil
	}
	for _, one := range side.GetRoles() {
		if gives, err := s.gives(one, p); err != nil || gives {
			return gives, err
		}
	}
	return false, nil
}

// scope returns where a rule holds.
func (s *State) scope(r *permissionv1.SeparationRule) string {
	if r.GetResource() != "" {
		return r.GetResource()
	}
	return s.organization
}

// separated is a rule that may refuse an account the permission.
type separated struct {
	scope string
	// firsts are the resources on which the account holds the first side of a
	// pair; nil of a rule that takes two people, which refuses all in its scope.
	firsts []string
}

// separatedFrom returns the rules that may refuse the account what they are
// about: those that do not exempt it and of whose pair it holds the first side.
func (s *State) separatedFrom(rules []*permissionv1.SeparationRule, account string, names []decide.Name) (out []separated, err error) {
	for _, r := range rules {
		if decide.Exempt(r, account, s.now.Unix()) {
			continue
		}
		one := separated{scope: s.scope(r)}
		if pair := r.GetForbiddenPair(); pair != nil {
			if one.firsts, err = s.heldOf(pair.GetFirst(), names); err != nil {
				return nil, err
			}
			if one.firsts == nil {
				continue
			}
		}
		out = append(out, one)
	}
	return out, nil
}

// heldOf returns the resources on which one side of a pair is held by any of
// the names, as a check sees it: also under a condition, and not as a holder.
func (s *State) heldOf(side *permissionv1.SeparationSide, names []decide.Name) (resources []string, err error) {
	for _, name := range names {
		if name.DenyOnly || name.Name == subject.AllHolders(s.organization) {
			continue
		}
		held, err := s.facts.Subject(name.Name)
		if err != nil {
			return nil, err
		}
		for _, h := range held.Holds() {
			if h.Deny || s.expired(h.Expires) {
				continue
			}
			gives, err := s.rules.Gives(s.facts, side, h.Role)
			if err != nil {
				return nil, err
			}
			if gives {
				resources = append(resources, h.Resource)
			}
		}
	}
	return resources, nil
}

// reachesBelow reports whether the rule may refuse something below the name.
func (r separated) reachesBelow(name string) bool {
	return decide.Overlap(r.scope, name) &&
		(r.firsts == nil || slices.ContainsFunc(r.firsts, func(on string) bool { return decide.Overlap(on, name) }))
}

// splits reports whether the rule may refuse the name and not all that is below
// it: the first side of its pair is held on a part of it.
func (r separated) splits(name string) bool {
	return within(name, r.scope) && slices.ContainsFunc(r.firsts, func(on string) bool { return on != name && within(on, name) })
}

// separation is what the rules make of a list of subjects.
type separation struct {
	// exempt are accounts for which some rule does not hold.
	exempt []string
	// twoPeople says that nobody else is allowed it without an approval, and
	// perhaps that who holds another role may be refused.
	twoPeople, perhaps bool
}

func (s *State) separationOn(rules []*permissionv1.SeparationRule, resource string) (out separation) {
	for _, r := range rules {
		if !within(resource, s.scope(r)) {
			continue
		}
		for _, e := range r.GetExemptions() {
			if decide.Exempt(r, e.GetSubject(), s.now.Unix()) {
				out.exempt = append(out.exempt, e.GetSubject())
			}
		}
		out.twoPeople = out.twoPeople || r.GetTwoPerson() != nil
		out.perhaps = out.perhaps || r.GetForbiddenPair() != nil
	}
	return out
}
