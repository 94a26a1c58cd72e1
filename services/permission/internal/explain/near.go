package explain

import (
	"cmp"
	"slices"
	"strings"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/subject"
)

// denials finds the grants that deny it, from the resource upwards.
func (l *look) denials() error {
	for _, on := range l.levels {
		err := l.on(on, func(g *permissionv1.Grant) error {
			if !grant.Denies(g) || l.expired(g) {
				return nil
			}
			if gives, err := l.gives(g.GetRole()); err != nil || !gives {
				return err
			}
			reaches, _, err := l.reaches(g)
			if err != nil || !reaches {
				return err
			}
			counts, absent, err := l.condition(g, true)
			if err != nil || !counts {
				return err
			}
			if len(l.out.Denials) == maxShown {
				l.out.Truncated = true
				return nil
			}
			l.out.Denials = append(l.out.Denials, explained(g, permissionv1.ExplainedGrant_GAP_UNSPECIFIED, absent))
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func explained(g *permissionv1.Grant, gap permissionv1.ExplainedGrant_Gap, absent []string) *permissionv1.ExplainedGrant {
	e := &permissionv1.ExplainedGrant{
		Grant: g.GetName(), Subject: g.GetSubject(), Role: g.GetRole(), Resource: g.GetResource(),
		Gap: gap, Condition: g.GetCondition().GetExpression(), Absent: absent,
	}
	if gap == permissionv1.ExplainedGrant_GAP_EXPIRED {
		e.ExpireTime = g.GetExpireTime()
	}
	return e
}

// candidate is a grant that does not allow it, and how far it is from that:
// the smaller, the nearer.
type candidate struct {
	grant    *permissionv1.ExplainedGrant
	distance int
}

// near finds what comes nearest to allowing it.
func (l *look) near(others bool) error {
	var found []candidate
	for distance, on := range l.levels {
		err := l.on(on, func(g *permissionv1.Grant) error {
			e, err := l.gap(g, others)
			if e != nil {
				found = append(found, candidate{e, distance})
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	beside, err := l.beside()
	if err != nil {
		return err
	}
	found = append(found, beside...)
	slices.SortFunc(found, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.grant.GetGap(), b.grant.GetGap()), cmp.Compare(a.distance, b.distance),
			strings.Compare(a.grant.GetGrant(), b.grant.GetGrant()))
	})
	if len(found) > maxShown {
		found, l.out.Truncated = found[:maxShown], true
	}
	for _, c := range found {
		l.out.Near = append(l.out.Near, c.grant)
	}
	return nil
}

// gap says what a grant that covers the resource lacks; nil for one that lacks
// more than one thing, or that does not give.
func (l *look) gap(g *permissionv1.Grant, others bool) (*permissionv1.ExplainedGrant, error) {
	if grant.Denies(g) {
		return nil, nil
	}
	gives, err := l.gives(g.GetRole())
	if err != nil {
		return nil, err
	}
	reaches, _, err := l.reaches(g)
	if err != nil {
		return nil, err
	}
	counts, absent, err := l.condition(g, false)
	if err != nil {
		return nil, err
	}
	var gaps []permissionv1.ExplainedGrant_Gap
	if !counts {
		gaps = append(gaps, permissionv1.ExplainedGrant_GAP_CONDITION)
	}
	qualified, err := l.x.Rules.Qualified(l.facts, l.organization, l.q.Subject, g.GetRole(), l.q.Resource, l.now)
	if err != nil {
		return nil, err
	}
	if !qualified {
		gaps = append(gaps, permissionv1.ExplainedGrant_GAP_QUALIFICATION)
	}
	if l.expired(g) {
		gaps = append(gaps, permissionv1.ExplainedGrant_GAP_EXPIRED)
	}
	if !gives {
		gaps = append(gaps, permissionv1.ExplainedGrant_GAP_ROLE)
	}
	if !reaches {
		gaps = append(gaps, permissionv1.ExplainedGrant_GAP_SUBJECT)
	}
	if len(gaps) != 1 || !reaches && !others {
		return nil, nil
	}
	return explained(g, gaps[0], absent), nil
}

// beside finds what the subject holds on other resources: the more of the
// names that they have in common with the one asked about, the nearer.
func (l *look) beside() (found []candidate, err error) {
	for _, name := range l.names {
		if name.DenyOnly || name.Name == subject.AllHolders(l.organization) {
			continue
		}
		held, err := l.facts.Subject(name.Name)
		if err != nil {
			return nil, err
		}
		holds := held.Holds()
		if len(holds) > maxRead {
			holds, l.out.Truncated = holds[:maxRead], true
		}
		for _, h := range holds {
			e, err := l.elsewhere(name.Name, h)
			if err != nil {
				return nil, err
			}
			if e != nil {
				found = append(found, candidate{e, len(l.levels) - common(l.q.Resource, h.Resource)})
			}
		}
	}
	return found, nil
}

// elsewhere explains a grant that would allow it on another resource.
func (l *look) elsewhere(name string, h decide.Hold) (*permissionv1.ExplainedGrant, error) {
	if h.Deny || h.Condition != "" || slices.Contains(l.levels, h.Resource) || h.Expires != 0 && l.now.Unix() >= h.Expires {
		return nil, nil
	}
	gives, err := l.gives(h.Role)
	if err != nil || !gives {
		return nil, err
	}
	return &permissionv1.ExplainedGrant{
		Grant: h.Grant, Subject: name, Role: h.Role, Resource: h.Resource, Gap: permissionv1.ExplainedGrant_GAP_RESOURCE,
	}, nil
}

// common returns how many segments two names have in common at their
// beginning.
func common(a, b string) int {
	as, bs := strings.Split(a, "/"), strings.Split(b, "/")
	n := 0
	for n < len(as) && n < len(bs) && as[n] == bs[n] {
		n++
	}
	return n
}
