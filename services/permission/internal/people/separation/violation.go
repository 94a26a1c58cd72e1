package separation

import (
	"slices"
	"time"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/subject"
)

// MaxMembers is how many members of a team are looked at for one grant, or for
// one name of a simulation. What the others may do is looked at with each check.
const MaxMembers = 1000

// Refuse returns Precondition (SEPARATION_VIOLATION) when somebody would hold a
// forbidden pair by the grant, with the rule, the account and the grant that
// conflicts. It is for Grants.Separate. A grant that denies gives nobody
// anything; of one to a class, a segment or holders it knows no members, and
// looks at what the name itself holds.
func (s *Separations) Refuse(r kv.Reader, at time.Time, g *permissionv1.Grant) error {
	organization := subject.OrganizationOf(g.GetName())
	rules, err := s.pairs(r, organization)
	if err != nil || rules == nil || g.GetEffect() == permissionv1.Effect_EFFECT_DENY {
		return err
	}
	found, _, err := s.would(r, rules, at, g, true)
	if err != nil || len(found) == 0 {
		return err
	}
	v := found[0]
	conflicting := v.First
	if conflicting == g.GetName() {
		conflicting = v.Second
	}
	return errs.New(errs.Precondition, "SEPARATION_VIOLATION",
		"the grant would give somebody both sides of a forbidden pair; end the other grant first, or exempt the account from the rule",
		errs.Meta("rule", v.Rule), errs.Meta("subject", v.Subject), errs.Meta("grant", conflicting))
}

// pairs returns the rules that forbid pairs; nil when there are none.
func (s *Separations) pairs(r kv.Reader, organization string) (*decide.Separation, error) {
	rules, err := s.Of(r, organization)
	if err != nil {
		return nil, err
	}
	return decide.NewSeparation(slices.DeleteFunc(rules, func(v *permissionv1.SeparationRule) bool {
		return v.GetForbiddenPair() == nil
	})), nil
}

// would returns the violations that a grant would make, or the first; and how
// many members of the team were not looked at.
func (s *Separations) would(r kv.Reader, rules *decide.Separation, at time.Time, g *permissionv1.Grant, first bool) (found []decide.Violation, unseen int, err error) {
	organization := subject.OrganizationOf(g.GetName())
	facts, extra := s.Loader.Snapshot(r), decide.HoldOf(g)
	names, unseen, err := s.members(r, g.GetSubject())
	if err != nil {
		return nil, 0, err
	}
	for _, name := range names {
		more, err := s.Rules.Violations(facts, rules, organization, name, &extra, at)
		if err != nil {
			return nil, 0, err
		}
		if found = append(found, more...); first && len(found) > 0 {
			break
		}
	}
	return found, unseen, nil
}

// members returns whom a grant to the name reaches: the members of a team, up to
// MaxMembers, in order and each once, and else the name itself.
func (s *Separations) members(r kv.Reader, name string) (names []string, unseen int, err error) {
	if !subject.IsTeam(name) {
		return []string{name}, 0, nil
	}
	seen := make(map[string]bool)
	for account, err := range s.Loader.Subjects.Members(r, name) {
		if err != nil {
			return nil, 0, err
		}
		switch {
		case seen[account]:
		case len(names) == MaxMembers:
			unseen++
		default:
			seen[account] = true
			names = append(names, account)
		}
	}
	slices.Sort(names)
	return names, unseen, nil
}

// Simulate returns the violations that a grant would make.
func (s *Separations) Simulate(r kv.Reader, at time.Time, g *permissionv1.Grant) (found []*permissionv1.SeparationViolation, unseen int, err error) {
	if err := s.Loader.Grants.CheckTarget(r, subject.OrganizationOf(g.GetName()), g.GetSubject(), g.GetResource()); err != nil {
		return nil, 0, err
	}
	if err := s.checkRoles(r, subject.OrganizationOf(g.GetName()), []string{g.GetRole()}); err != nil {
		return nil, 0, err
	}
	rules, err := s.pairs(r, subject.OrganizationOf(g.GetName()))
	if err != nil || rules == nil {
		return nil, 0, err
	}
	all, unseen, err := s.would(r, rules, at, g, false)
	return shownViolations(all), unseen, err
}

// Existing returns the violations among those who hold grants by the names of
// one page, and where the next one starts, nil at the end. An account is looked
// at where it holds a grant itself, or else with the first of its teams that
// does.
func (s *Separations) Existing(r kv.Reader, at time.Time, organization string, after []byte, limit int) (found []*permissionv1.SeparationViolation, unseen int, next []byte, err error) {
	rules, err := s.pairs(r, organization)
	if err != nil || rules == nil {
		return nil, 0, nil, err
	}
	names, next, err := s.Loader.Grants.Subjects(r, organization, after, limit)
	if err != nil {
		return nil, 0, nil, err
	}
	facts := s.Loader.Snapshot(r)
	for _, name := range names {
		accounts, more, err := s.members(r, name)
		if err != nil {
			return nil, 0, nil, err
		}
		unseen += more
		for _, account := range accounts {
			if place, err := s.placeOf(facts, account, name); err != nil || place != name {
				if err != nil {
					return nil, 0, nil, err
				}
				continue
			}
			violations, err := s.Rules.Violations(facts, rules, organization, account, nil, at)
			if err != nil {
				return nil, 0, nil, err
			}
			found = append(found, shownViolations(violations)...)
		}
	}
	return found, unseen, next, nil
}

// placeOf returns the name with which an account is looked at, that holds
// grants by the one given.
func (s *Separations) placeOf(facts decide.Facts, account, name string) (string, error) {
	if account == name {
		return name, nil
	}
	own, err := facts.Subject(account)
	if err != nil || len(own.Holds()) > 0 {
		return account, err
	}
	return s.Rules.FirstTeam(facts, account)
}

func shownViolations(found []decide.Violation) []*permissionv1.SeparationViolation {
	out := make([]*permissionv1.SeparationViolation, len(found))
	for i, v := range found {
		out[i] = &permissionv1.SeparationViolation{Rule: v.Rule, Subject: v.Subject, FirstGrant: v.First, SecondGrant: v.Second}
	}
	return out
}
