// Package explain says why a check says what it says: the chain that allows
// it, all that denies it, and what comes nearest to allowing it; of what a rule
// of separation refuses, the chain that would; and what it would say after
// changes that are not made.
//
// The answer is package decide's; this package reads the grants once more and
// says how they stand to it, slowly and in full. So an explanation decides
// nothing, and where it could not look at everything it says so.
package explain

import (
	"strings"
	"time"

	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/condition"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/role"
	"guildhall.dev/services/permission/internal/subject"
)

const (
	// maxShown is how many denials, and near grants, an explanation has.
	maxShown = 20
	// maxRead is how many grants of one name, and on one resource, are looked
	// at.
	maxRead = 1000
)

// Explainer explains. All fields are required; it is safe for concurrent use.
type Explainer struct {
	Rules      *decide.Rules
	Loader     *decide.Loader
	Conditions *condition.Programs
}

// Explanation is what is said of one question.
type Explanation struct {
	Answer    decide.Answer
	Chain     []*permissionv1.ExplainStep
	Denials   []*permissionv1.ExplainedGrant
	Near      []*permissionv1.ExplainedGrant
	Truncated bool
}

// Explain explains the answer to a question as the reader sees it. Without
// others it speaks of no grant that does not reach the subject.
func (x *Explainer) Explain(r kv.Reader, organization string, q decide.Question, now time.Time, others bool) (*Explanation, error) {
	facts := x.Loader.Snapshot(r)
	answer, err := x.Rules.Answer(facts, organization, q, now)
	if err != nil {
		return nil, err
	}
	e := &Explanation{Answer: answer}
	l := &look{x: x, r: r, facts: facts, organization: organization, q: q, now: now, out: e}
	if unexplained(answer.Denial) {
		return e, nil
	}
	if err := l.prepare(); err != nil {
		return nil, err
	}
	if answer.Rule != "" {
		// What it would rest on but for the rule.
		if answer, err = x.Rules.Answer(decide.Unseparated(facts), organization, q, now); err != nil {
			return nil, err
		}
	}
	if answer.Allowed {
		e.Chain, err = l.chain(answer)
		return e, err
	}
	if err := l.denials(); err != nil {
		return nil, err
	}
	return e, l.near(others)
}

// unexplained reports whether a denial says all there is to say: neither a
// grant nor a rule of separation has a part in it.
func unexplained(d permissionv1.Denial) bool {
	switch d {
	case permissionv1.Denial_DENIAL_UNSPECIFIED, permissionv1.Denial_DENIAL_NO_GRANT,
		permissionv1.Denial_DENIAL_DENIED_BY_GRANT, permissionv1.Denial_DENIAL_CONDITION_NOT_MET,
		permissionv1.Denial_DENIAL_UNQUALIFIED, permissionv1.Denial_DENIAL_SEPARATED, permissionv1.Denial_DENIAL_APPROVAL_NEEDED:
		return false
	}
	return true
}

// look is one explanation under way.
type look struct {
	x            *Explainer
	r            kv.Reader
	facts        decide.Facts
	organization string
	q            decide.Question
	now          time.Time
	out          *Explanation

	permission role.Permission
	levels     []string // the resource and the names above it that can cover it
	names      []decide.Name
	denyOnly   map[string]bool // by name, for those by which the subject holds grants
}

func (l *look) prepare() (err error) {
	l.permission, _ = l.x.Loader.Roles.Catalogue().Lookup(l.q.Permission)
	name := l.q.Resource
	if collection, ok := strings.CutSuffix(name, "/-"); ok {
		name = parent(collection)
	}
	l.q.Resource = name
	for ; name != "" && (within(name, l.organization) || name == authz.Installation); name = parent(name) {
		l.levels = append(l.levels, name)
	}
	l.names, err = l.x.Rules.Names(l.facts, l.organization, l.q.Subject)
	l.denyOnly = make(map[string]bool)
	for _, n := range l.names {
		l.denyOnly[n.Name] = n.DenyOnly
	}
	return err
}

// on calls each for the grants on exactly the resource, at most maxRead.
func (l *look) on(resource string, each func(*permissionv1.Grant) error) error {
	var after []byte
	for read := 0; read < maxRead; {
		grants, next, err := l.x.Loader.Grants.List(l.r, l.organization, grant.Filter{Resource: resource}, after, maxRead/4)
		if err != nil {
			return err
		}
		for _, g := range grants {
			if err := each(g); err != nil {
				return err
			}
		}
		if next == nil {
			return nil
		}
		after, read = next, read+len(grants)
	}
	l.out.Truncated = true
	return nil
}

func (l *look) gives(name string) (bool, error) {
	set, err := l.facts.Role(name)
	return set.Has(l.permission), err
}

func (l *look) expired(g *permissionv1.Grant) bool {
	return g.GetExpireTime() != nil && l.now.Unix() >= g.GetExpireTime().GetSeconds()
}

// condition reports whether the grant's condition lets it count, and which of
// its variables were absent.
func (l *look) condition(g *permissionv1.Grant, deny bool) (counts bool, absent []string, err error) {
	expression := g.GetCondition().GetExpression()
	if expression == "" {
		return true, nil, nil
	}
	o, absent, err := l.x.Conditions.Look(l.facts.Context(), expression, condition.Request{
		Time: l.now, Subject: l.q.Subject, Resource: l.q.Resource, Action: l.q.Permission,
		Attributes: l.q.Attributes, Stored: l.facts.Properties,
	})
	return o == condition.Met || deny && o == condition.Failed, absent, err
}

// reaches reports whether the grant names the subject, by whatever name. The
// maker is the grant by which it is a holder, of one to holders.
func (l *look) reaches(g *permissionv1.Grant) (reaches bool, maker *permissionv1.Grant, err error) {
	deny := grant.Denies(g)
	if on, held, ok := subject.ParseHolders(g.GetSubject()); ok {
		maker, err = l.maker(on, held, deny)
		return maker != nil, maker, err
	}
	denyOnly, known := l.denyOnly[g.GetSubject()]
	return known && (deny || !denyOnly), nil, nil
}

// maker returns a grant by which the subject holds the role on the resource;
// nil when there is none.
func (l *look) maker(on, held string, deny bool) (found *permissionv1.Grant, err error) {
	err = l.on(on, func(g *permissionv1.Grant) error {
		denyOnly, known := l.denyOnly[g.GetSubject()]
		if found != nil || !known || denyOnly && !deny || g.GetRole() != held || grant.Denies(g) || l.expired(g) {
			return nil
		}
		counts, _, err := l.condition(g, deny)
		if counts {
			found = g
		}
		return err
	})
	return found, err
}

func parent(name string) string {
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		return name[:i]
	}
	return ""
}

func within(name, resource string) bool {
	return name == resource || strings.HasPrefix(name, resource+"/")
}
