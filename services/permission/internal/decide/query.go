package decide

import (
	"hash/maphash"
	"slices"
	"time"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/condition"
	"guildhall.dev/services/permission/internal/role"
)

// query is a Question in the terms of the compiled form.
type query struct {
	rules        *Rules
	facts        Facts
	state        *State // of the facts; nil when they know none
	organization string
	question     Question // its resource is the one that is meant
	permission   role.Permission
	// now is when grants that deny have to count, and until the second in
	// which those that allow do: the same, unless the answer has to last.
	now   time.Time
	until int64
	// lasting asks for an answer that holds whatever conditions come to.
	lasting bool

	levels  []level // from the resource up to the root
	sources []source
	holders *Subject
	// denying says that some source denies something.
	denying bool
	// without are roles whose grants do not count; see separate.
	without []string
	// required is what the organisation requires; nil until it is asked for.
	required *Subject
	// touched counts nothing of worth: it has lookUp read what it touches.
	touched int
}

// newQuery returns a query without anything to look for. Queries are used
// again, because a check should leave nothing to the collector.
func (d *Rules) newQuery(facts Facts, organization string, now time.Time) *query {
	q, ok := d.queries.Get().(*query)
	if !ok {
		q = &query{levels: make([]level, 0, 8), sources: make([]source, 0, 16)}
	}
	q.rules, q.facts, q.organization, q.now = d, facts, organization, now
	if stated, ok := facts.(Stated); ok {
		q.state = stated.State()
	}
	return q
}

// free takes a query back that nobody looks at any more.
func (d *Rules) free(q *query) {
	clear(q.levels[:cap(q.levels)])
	clear(q.sources[:cap(q.sources)])
	*q = query{levels: q.levels[:0], sources: q.sources[:0]}
	d.queries.Put(q)
}

// again makes the query ready for another question.
func (q *query) again() {
	q.question, q.holders, q.required, q.denying = Question{}, nil, nil, false
	q.levels, q.sources, q.without = q.levels[:0], q.sources[:0], q.without[:0]
}

// level is a name above the resource, or itself, relative to the organisation,
// with its place in indexes: it is looked up in many.
type level struct {
	name string
	hash uint64
}

func levelOf(name string) level { return level{name, maphash.String(seed, name)} }

// appendLevels appends the levels of a resource that is within the root.
//
// It takes every name above the resource. Every second of these is a
// collection, which no grant names: to look it up in vain is cheaper than to
// count segments, and serves singletons (AIP-156) too.
func appendLevels(levels []level, organization, resource, root string) []level {
	for name := resource; len(name) >= len(root); name = cut(name) {
		levels = append(levels, levelOf(relative(organization, name)))
	}
	return levels
}

// effect is whether a grant gives or takes away.
type effect bool

const (
	allow effect = false
	deny  effect = true
)

// finding is what looking for grants of one effect came to.
type finding struct {
	found bool
	// grant and role are of the one that was found, or of the first that did
	// not count, for a certificate that is lacking before a condition that did
	// not hold; "" for none.
	grant, role string
	unqualified bool
}

// decide answers the query once its sources are gathered.
func (q *query) decide() (Answer, error) {
	if q.denies() {
		f, err := q.find(deny)
		if err != nil {
			return Answer{}, err
		}
		if f.found {
			return Answer{Grant: f.grant, Denial: permissionv1.Denial_DENIAL_DENIED_BY_GRANT}, nil
		}
	}
	if q.rules.self.Has(q.permission) && within(q.question.Resource, q.question.Subject) {
		return Answer{Allowed: true, Role: role.Self}, nil
	}
	f, err := q.find(allow)
	switch {
	case err != nil:
		return Answer{}, err
	case f.found:
		return Answer{Allowed: true, Grant: f.grant, Role: f.role}, nil
	case f.unqualified:
		return Answer{Grant: f.grant, Denial: permissionv1.Denial_DENIAL_UNQUALIFIED}, nil
	case f.grant != "":
		return Answer{Grant: f.grant, Denial: permissionv1.Denial_DENIAL_CONDITION_NOT_MET}, nil
	default:
		return no(permissionv1.Denial_DENIAL_NO_GRANT)
	}
}

// denies reports whether any grant that denies may reach the subject: where
// there is none, none is looked for.
func (q *query) denies() bool { return q.denying || q.holders.denies }

// find looks for a grant of the effect, in all sources and from the resource
// upwards, and then among those to holders.
func (q *query) find(e effect) (finding, error) {
	var missed finding
	for _, s := range q.sources {
		if e == allow && s.denyOnly || len(s.subject.rows) == 0 {
			continue
		}
		if f, err := q.findIn(s.subject, e, &missed); err != nil || f.found {
			return f, err
		}
	}
	if len(q.holders.rows) > 0 {
		if f, err := q.findIn(q.holders, e, &missed); err != nil || f.found {
			return f, err
		}
	}
	return missed, nil
}

func (q *query) findIn(s *Subject, e effect, missed *finding) (finding, error) {
	for _, l := range q.levels {
		for _, r := range s.on(l) {
			if effect(r.deny) != e || q.expired(r, e) {
				continue
			}
			set, err := q.role(s.roles[r.role])
			if err != nil {
				return finding{}, err
			}
			name := s.roles[r.role].Value()
			if !set.Has(q.permission) || len(q.without) > 0 && slices.Contains(q.without, name) {
				continue
			}
			reaches, counts, err := q.applies(s, r, e)
			if err != nil {
				return finding{}, err
			}
			unqualified := false
			if counts && e == allow {
				if counts, err = q.qualified(s.roles[r.role], q.question.Resource); err != nil {
					return finding{}, err
				}
				unqualified = !counts
			}
			if counts {
				return finding{found: true, grant: s.grantOf(r), role: name}, nil
			}
			if reaches && (missed.grant == "" || unqualified && !missed.unqualified) {
				*missed = finding{grant: s.grantOf(r), role: name, unqualified: unqualified}
			}
		}
	}
	return finding{}, nil
}

func (q *query) expired(r row, e effect) bool {
	if r.expires == 0 {
		return false
	}
	if e == deny {
		return q.now.Unix() >= r.expires
	}
	return q.until >= r.expires
}

// applies reports whether the row reaches the subject, who of a row to holders
// has to be one, and whether its condition then lets it count.
func (q *query) applies(s *Subject, r row, e effect) (reaches, counts bool, err error) {
	if r.terms == 0 {
		return true, true, nil
	}
	t := s.terms[r.terms-1]
	if s == q.holders {
		if is, err := q.isHolder(t, e); err != nil || !is {
			return false, false, err
		}
	}
	expression := t.condition.Value()
	if expression == "" {
		return true, true, nil
	}
	if q.lasting {
		// What an account holds for good is neither what it has in some
		// circumstances, nor lost for what it lacks in some.
		return true, false, nil
	}
	counts, err = q.counts(expression, e)
	return true, counts, err
}

// counts reports whether a grant with the condition counts.
func (q *query) counts(expression string, e effect) (bool, error) {
	outcome, err := q.rules.conditions.Run(q.facts.Context(), expression, condition.Request{
		Time: q.now, Subject: q.question.Subject, Resource: q.question.Resource, Action: q.question.Permission,
		Attributes: q.question.Attributes, Stored: q.facts.Properties,
	})
	return outcome == condition.Met || e == deny && outcome == condition.Failed, err
}

// isHolder reports whether the subject holds the role of the terms on their
// very resource, for a grant of the effect to all who do.
func (q *query) isHolder(t terms, e effect) (bool, error) {
	is, err := q.holds(t, e)
	if err != nil || !is || e == deny {
		return is, err
	}
	return q.qualified(t.role, absolute(q.organization, t.resource))
}

// holds is isHolder by grants alone.
func (q *query) holds(t terms, e effect) (bool, error) {
	on := levelOf(t.resource)
	for _, s := range q.sources {
		if e == allow && s.denyOnly {
			continue
		}
		for _, r := range s.subject.on(on) {
			if r.deny || s.subject.roles[r.role] != t.role || q.expired(r, e) {
				continue
			}
			if r.terms == 0 {
				return true, nil
			}
			if q.lasting {
				if e == deny {
					return true, nil // perhaps
				}
				continue
			}
			holds, err := q.counts(s.subject.terms[r.terms-1].condition.Value(), e)
			if err != nil || holds {
				return holds, err
			}
		}
	}
	return false, nil
}

// source is a name by which the subject holds grants.
type source struct {
	subject *Subject
	// denyOnly is a team in a chain that is not believed.
	denyOnly bool
}
