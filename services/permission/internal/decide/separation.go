package decide

import (
	"slices"
	"time"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/subject"
)

// Separation is an organisation's rules of separation of duties. It is
// read-only and shared.
type Separation struct {
	rules []*permissionv1.SeparationRule
	// twoPerson has the permissions of rules that want an approval, so that
	// others cost one look-up.
	twoPerson map[string]bool
}

// NewSeparation returns the rules; nil when there are none. It keeps them.
func NewSeparation(rules []*permissionv1.SeparationRule) *Separation {
	if len(rules) == 0 {
		return nil
	}
	s := &Separation{rules: rules, twoPerson: make(map[string]bool)}
	for _, r := range rules {
		for _, p := range r.GetTwoPerson().GetPermissions() {
			s.twoPerson[p] = true
		}
	}
	return s
}

// Separate gives the subject of all holder forms the organisation's rules,
// before it is shared.
func (s *Subject) Separate(rules []*permissionv1.SeparationRule) {
	s.with(common{NewSeparation(rules), s.common.restricts()})
}

// Separation returns the rules that Separate gave.
func (s *Subject) Separation() []*permissionv1.SeparationRule {
	if separation := s.common.separates(); separation != nil {
		return separation.rules
	}
	return nil
}

// Unseparated returns the facts as they would be without rules of separation:
// to explain what one of them takes away.
func Unseparated(facts Facts) Facts { return unseparated{facts} }

type unseparated struct{ Facts }

// Subject implements Facts.
func (f unseparated) Subject(name string) (*Subject, error) {
	s, err := f.Facts.Subject(name)
	if err != nil || s.common.separates() == nil {
		return s, err
	}
	bare := Compile(name, s.Facts(), s.Holds())
	bare.with(common{fields: s.common.restricts()})
	return bare, nil
}

// holdsOn reports whether a rule holds on the resource for the account.
func holdsOn(r *permissionv1.SeparationRule, account, resource string, now int64) bool {
	if on := r.GetResource(); on != "" && !within(resource, on) {
		return false
	}
	return !Exempt(r, account, now)
}

// Exempt reports whether a rule exempts the account at the Unix second.
func Exempt(r *permissionv1.SeparationRule, account string, now int64) bool {
	return slices.ContainsFunc(r.GetExemptions(), func(e *permissionv1.SeparationExemption) bool {
		return e.GetSubject() == account && now < e.GetExpireTime().GetSeconds()
	})
}

// separate looks at an answer of yes by the organisation's rules.
func (q *query) separate(a Answer) (Answer, error) {
	separation := q.holders.common.separation
	for _, r := range separation.rules {
		pair := r.GetForbiddenPair()
		if pair == nil || !holdsOn(r, q.question.Subject, q.question.Resource, q.now.Unix()) {
			continue
		}
		named := slices.Contains(pair.GetSecond().GetPermissions(), q.question.Permission)
		for named || slices.Contains(pair.GetSecond().GetRoles(), a.Role) {
			first, err := q.holding(pair.GetFirst(), q.question.Resource)
			if err != nil {
				return Answer{}, err
			}
			if first == "" {
				break
			}
			separated := Answer{Grant: first, Denial: permissionv1.Denial_DENIAL_SEPARATED, Rule: r.GetName()}
			if named {
				return separated, nil
			}
			// Another role may give it that is on no side.
			q.without = append(q.without, a.Role)
			again, err := q.decide()
			if err != nil {
				return Answer{}, err
			}
			if !again.Allowed {
				return separated, nil
			}
			a = again
		}
	}
	if q.lasting || !separation.twoPerson[q.question.Permission] {
		return a, nil
	}
	return q.approve(a, separation.rules)
}

// holding returns a grant that gives the subject one side of a pair on a
// resource that overlaps with the one given; "" for none. What is held under a
// condition counts: it is there to be had.
func (q *query) holding(side *permissionv1.SeparationSide, resource string) (string, error) {
	for _, s := range q.sources {
		if s.denyOnly {
			continue
		}
		for _, r := range s.subject.rows {
			if r.deny || q.expired(r, deny) {
				continue
			}
			h := s.subject.hold(r)
			if !Overlap(h.Resource, resource) {
				continue
			}
			gives, err := q.rules.Gives(q.facts, side, h.Role)
			if err != nil || gives {
				return h.Grant, err
			}
		}
	}
	return "", nil
}

// Overlap reports whether one of two resources is the other or above it.
func Overlap(a, b string) bool { return within(a, b) || within(b, a) }

// Gives reports whether a role gives one side of a pair.
func (d *Rules) Gives(facts Facts, side *permissionv1.SeparationSide, name string) (bool, error) {
	if slices.Contains(side.GetRoles(), name) {
		return true, nil
	}
	if len(side.GetPermissions()) == 0 {
		return false, nil
	}
	set, err := facts.Role(name)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(side.GetPermissions(), func(p string) bool {
		known, ok := d.catalogue.Lookup(p)
		return ok && set.Has(known)
	}), nil
}

// approve looks for the approval that a rule wants.
func (q *query) approve(a Answer, rules []*permissionv1.SeparationRule) (Answer, error) {
	i := slices.IndexFunc(rules, func(r *permissionv1.SeparationRule) bool {
		return slices.Contains(r.GetTwoPerson().GetPermissions(), q.question.Permission) &&
			holdsOn(r, q.question.Subject, q.question.Resource, q.now.Unix())
	})
	if i < 0 {
		return a, nil
	}
	if q.question.Approval != "" {
		approvals, err := q.facts.Subject(subject.Approvals(q.question.Subject))
		if err != nil {
			return Answer{}, err
		}
		for _, r := range approvals.on(levelOf(relative(q.organization, q.question.Resource))) {
			if h := approvals.hold(r); h.Grant == q.question.Approval && h.Role == q.question.Permission && !q.expired(r, allow) {
				a.SingleUse = h.Condition == SingleUse
				return a, nil
			}
		}
	}
	return Answer{Denial: permissionv1.Denial_DENIAL_APPROVAL_NEEDED, Rule: rules[i].GetName()}, nil
}

// SingleUse stands where a grant has its condition, in the Hold of an approval
// that is for a single use.
const SingleUse = "single use"

// Violation is a forbidden pair that an account holds.
type Violation struct {
	Rule, Subject string
	// First and Second are names of grants.
	First, Second string
}

// Violations returns the forbidden pairs of which the account holds both sides,
// one for each rule and grant of the second side. With an extra grant that it
// would hold besides, only those that this one has part in.
func (d *Rules) Violations(facts Facts, rules *Separation, organization, account string, extra *Hold, now time.Time) ([]Violation, error) {
	if rules == nil {
		return nil, nil
	}
	by, err := d.probe(facts, organization, account, now)
	if err != nil {
		return nil, err
	}
	holds := by.allowing()
	if extra != nil {
		holds = append(holds, *extra)
	}
	var out []Violation
	for _, r := range rules.rules {
		pair := r.GetForbiddenPair()
		if pair == nil {
			continue
		}
		var sides [2][]Hold
		for i, side := range []*permissionv1.SeparationSide{pair.GetFirst(), pair.GetSecond()} {
			for _, h := range holds {
				if !Overlap(h.Resource, scopeOf(r, organization)) {
					continue
				}
				gives, err := d.Gives(facts, side, h.Role)
				if err != nil {
					return nil, err
				}
				if gives {
					sides[i] = append(sides[i], h)
				}
			}
		}
		out = append(out, pairsOf(r, account, sides, extra, now.Unix())...)
	}
	return out, nil
}

// pairsOf returns the violations among what gives the two sides.
func pairsOf(r *permissionv1.SeparationRule, account string, sides [2][]Hold, extra *Hold, now int64) (out []Violation) {
	for _, second := range sides[1] {
		for _, first := range sides[0] {
			if extra != nil && first.Grant != extra.Grant && second.Grant != extra.Grant {
				continue
			}
			// One grant that gives both is a violation too. Where the rule holds
			// is where both are: on the lower of the two.
			lower := first.Resource
			if within(second.Resource, lower) {
				lower = second.Resource
			}
			if on := r.GetResource(); on != "" && within(on, lower) {
				lower = on
			}
			if Overlap(first.Resource, second.Resource) && holdsOn(r, account, lower, now) {
				out = append(out, Violation{Rule: r.GetName(), Subject: account, First: first.Grant, Second: second.Grant})
				break
			}
		}
	}
	return out
}

func scopeOf(r *permissionv1.SeparationRule, organization string) string {
	if on := r.GetResource(); on != "" {
		return on
	}
	return organization
}

// allowing returns what the sources of the query give now.
func (q *query) allowing() (holds []Hold) {
	for _, s := range q.sources {
		if s.denyOnly {
			continue
		}
		for _, r := range s.subject.rows {
			if !r.deny && !q.expired(r, deny) {
				holds = append(holds, s.subject.hold(r))
			}
		}
	}
	return holds
}

// FirstTeam returns the first by name of the teams by which the account holds
// grants, those above its own included; "" for none.
func (d *Rules) FirstTeam(facts Facts, account string) (string, error) {
	by, err := d.probe(facts, subject.OrganizationOf(account), account, time.Time{})
	if err != nil {
		return "", err
	}
	first := ""
	for _, s := range by.sources {
		if name := s.subject.name; !s.denyOnly && subject.IsTeam(name) && len(s.subject.rows) > 0 && (first == "" || name < first) {
			first = name
		}
	}
	return first, nil
}
