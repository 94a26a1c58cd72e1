package decide

import (
	"time"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/authz"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/role"
	"guildhall.dev/services/permission/internal/subject"
)

// forever is the last second that a Timestamp can name, in the year 9999.
const forever = 253402300799

// Lasting answers a question as Answer does, but yes only if the answer stays
// yes until a grant that expires at the Unix second given ends; 0 is never.
// Grants that allow have to count in the last second before, and those that
// deny must not now: grants only end, so what allows then allows now, and what
// denies then denies now.
//
// What is held under a condition does not count, for it is not held always;
// nor does what is denied under one, which speaks of the circumstances in
// which something is done and not of what somebody holds.
//
// The permission to see a class of data is held by everybody where no field
// policy keeps anybody from it. So roles with such permissions are given on as
// before by those who have none of them, until there is something to be seen by
// them alone.
func (d *Rules) Lasting(facts Facts, organization string, q Question, now time.Time, expires int64) (Answer, error) {
	ask := d.newQuery(facts, organization, now)
	defer d.free(ask)
	ask.until, ask.lasting = lastSecond(now, expires), true
	a, err := ask.answer(q, nil)
	if err == nil && lacks(a) && ask.holders.common.restricts().open(organization, q.Permission, SubjectMatter(q.Resource)) {
		return Answer{Allowed: true}, nil
	}
	return a, err
}

// lacks reports whether an answer is no because nothing says yes.
func lacks(a Answer) bool {
	switch a.Denial {
	case permissionv1.Denial_DENIAL_NO_GRANT, permissionv1.Denial_DENIAL_CONDITION_NOT_MET, permissionv1.Denial_DENIAL_UNQUALIFIED:
		return true
	default:
		return false
	}
}

// lastSecond returns the last Unix second of a grant that expires at the one
// given, and no earlier one than now's.
func lastSecond(now time.Time, expires int64) int64 {
	if expires == 0 {
		return forever
	}
	return max(expires-1, now.Unix())
}

// Gap is something that one subject holds and another account lacks: a
// permission on a resource. The zero Gap is none.
type Gap struct {
	Permission, Resource string
}

// Cover returns the first thing that the target, an account, a team or a
// segment of the organisation, holds and the actor, an account of it, does not
// hold for as long: the zero Gap when there is none, so that the actor gains
// nothing from taking the target's place.
//
// What counts are the grants to the target, to the teams above a team, to
// whoever holds what it holds and, for an account, to its teams, its segments
// and its class; not roles/self, and not what all customers hold, which is for
// customers to do and no power over others; nor the permissions to see a class
// of data that no field policy keeps anybody from, there. That something is denied to
// the target, or given under a condition, makes it no less. Whoever administers
// the organisation covers all within it, also a permission that is of no use
// there and that no administrator has.
func (d *Rules) Cover(facts Facts, organization, actor, target string, now time.Time) (Gap, error) {
	return d.compare(facts, organization, actor, target, now, allow)
}

// Lift is Cover for what is denied to the target, by whatever name it reaches
// it: who takes somebody out of a team gives back what was denied there.
func (d *Rules) Lift(facts Facts, organization, actor, target string, now time.Time) (Gap, error) {
	return d.compare(facts, organization, actor, target, now, deny)
}

// compare returns the first thing that grants of the effect give the target, or
// take from it, and the actor does not hold.
func (d *Rules) compare(facts Facts, organization, actor, target string, now time.Time, e effect) (Gap, error) {
	held, err := d.probe(facts, organization, target, now)
	if err != nil {
		return Gap{}, err
	}
	by, err := d.probe(facts, organization, actor, now)
	if err != nil {
		return Gap{}, err
	}
	// What both have by the same name, the actor has, unless it is denied.
	shares := e == allow && !by.suspended() && !by.denies()
	for _, s := range held.sources {
		if e == allow && s.denyOnly || s.subject.name == subject.AllCustomers(organization) || shares && by.has(s.subject) {
			continue
		}
		for _, r := range s.subject.rows {
			if effect(r.deny) != e {
				continue
			}
			if gap, err := by.gap(s.subject, r); err != nil || gap != (Gap{}) {
				return gap, err
			}
		}
	}
	for _, r := range held.holders.rows {
		if effect(r.deny) != e || held.expired(r, deny) {
			continue
		}
		if is, err := held.isHolder(held.holders.termsOf(r), deny); err != nil || !is {
			if err != nil {
				return Gap{}, err
			}
			continue
		}
		if gap, err := by.gap(held.holders, r); err != nil || gap != (Gap{}) {
			return gap, err
		}
	}
	return Gap{}, nil
}

// Administers reports whether the account holds role.Admin on the whole
// organisation, by whatever grant without a condition, until a grant that
// expires at the Unix second given ends. One to whom anything is denied does
// not: it has to hold what it gives.
func (d *Rules) Administers(facts Facts, organization, account string, now time.Time, expires int64) (bool, error) {
	by, err := d.probe(facts, organization, account, now)
	if err != nil {
		return false, err
	}
	return by.administers(expires)
}

// probe returns a query about what a name holds for good, for many resources
// and permissions; a name that holds nothing has no sources.
func (d *Rules) probe(facts Facts, organization, name string, now time.Time) (*query, error) {
	q := &query{
		rules: d, facts: facts, organization: organization, now: now, lasting: true, question: Question{Subject: name},
	}
	own, err := facts.Subject(name)
	if err != nil {
		return nil, err
	}
	kind, _, isAccount := authn.ParseName(name)
	if isAccount {
		return q, q.gather(own, kind)
	}
	if subject.IsTeam(name) {
		err = q.addTeam(name)
	} else {
		q.add(own, false)
	}
	if err != nil {
		return nil, err
	}
	q.holders, err = facts.Subject(subject.AllHolders(organization))
	return q, err
}

func (q *query) has(s *Subject) bool {
	for _, known := range q.sources {
		if known.subject.name == s.name {
			return !known.denyOnly
		}
	}
	return false
}

// suspended reports whether the account that is probed may do nothing.
func (q *query) suspended() bool {
	return len(q.sources) > 0 && q.sources[0].subject.Facts().Denied
}

// gap returns what the row of another gives, or takes away, and the account
// that is probed lacks.
func (q *query) gap(s *Subject, r row) (Gap, error) {
	h := s.hold(r)
	if h.Expires != 0 && q.now.Unix() >= h.Expires {
		return Gap{}, nil
	}
	if within(h.Resource, q.organization) {
		if administers, err := q.administers(h.Expires); err != nil || administers {
			return Gap{}, err
		}
	}
	set, err := q.facts.Role(h.Role)
	if err != nil {
		return Gap{}, err
	}
	names, err := q.rules.names(q.facts, q.organization, set)
	if err != nil {
		return Gap{}, err
	}
	root := q.organization
	if h.Resource == authz.Installation {
		root = authz.Installation
	}
	q.question.Resource, q.until = h.Resource, lastSecond(q.now, h.Expires)
	q.levels = appendLevels(q.levels[:0], q.organization, h.Resource, root)
	for _, permission := range names {
		if q.holders.common.restricts().open(q.organization, permission, h.Resource) {
			continue
		}
		q.permission, _ = q.rules.catalogue.Lookup(permission)
		a, err := q.decide()
		if err != nil {
			return Gap{}, err
		}
		if !a.Allowed || q.suspended() {
			return Gap{Permission: permission, Resource: h.Resource}, nil
		}
	}
	return Gap{}, nil
}

func (q *query) administers(expires int64) (bool, error) {
	if q.suspended() || q.denies() {
		return false, nil
	}
	q.until = lastSecond(q.now, expires)
	for _, s := range q.sources {
		if s.denyOnly {
			continue
		}
		for _, r := range s.subject.on(levelOf("")) {
			if s.subject.roles[r.role].Value() == role.Admin && r.terms == 0 && !q.expired(r, allow) {
				return true, nil
			}
		}
	}
	return false, nil
}
