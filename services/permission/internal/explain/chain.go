package explain

import (
	"slices"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/role"
	"guildhall.dev/services/permission/internal/subject"
)

func step(kind permissionv1.ExplainStep_Kind, from, to string) *permissionv1.ExplainStep {
	return &permissionv1.ExplainStep{Kind: kind, From: from, To: to}
}

// chain returns the links from the subject to the permission.
func (l *look) chain(a decide.Answer) ([]*permissionv1.ExplainStep, error) {
	if a.Grant == "" {
		return []*permissionv1.ExplainStep{
			step(permissionv1.ExplainStep_KIND_SELF, l.q.Subject, role.Self),
			step(permissionv1.ExplainStep_KIND_PERMISSION, role.Self, l.q.Permission),
		}, nil
	}
	g, err := l.x.Loader.Grants.Get(l.r, a.Grant)
	if err != nil {
		return nil, err
	}
	_, maker, err := l.reaches(g)
	if err != nil {
		return nil, err
	}
	var steps []*permissionv1.ExplainStep
	if maker != nil {
		way, err := l.way(maker.GetSubject())
		if err != nil {
			return nil, err
		}
		steps = append(way, step(permissionv1.ExplainStep_KIND_GRANT, maker.GetSubject(), maker.GetName()),
			step(permissionv1.ExplainStep_KIND_HOLDER, maker.GetName(), g.GetSubject()))
	} else if steps, err = l.way(g.GetSubject()); err != nil {
		return nil, err
	}
	steps = append(steps, step(permissionv1.ExplainStep_KIND_GRANT, g.GetSubject(), g.GetName()),
		step(permissionv1.ExplainStep_KIND_ROLE, g.GetName(), g.GetRole()))
	return l.inRole(steps, g.GetRole())
}

// inRole adds the links from a role to the permission.
func (l *look) inRole(steps []*permissionv1.ExplainStep, name string) ([]*permissionv1.ExplainStep, error) {
	roles, err := l.x.Loader.Roles.Why(l.r, name, l.permission)
	if err != nil {
		return nil, err
	}
	for i, r := range roles[:max(0, len(roles)-1)] {
		steps = append(steps, step(permissionv1.ExplainStep_KIND_INCLUDES, r, roles[i+1]))
	}
	if len(roles) > 0 {
		name = roles[len(roles)-1]
	}
	return append(steps, step(permissionv1.ExplainStep_KIND_PERMISSION, name, l.q.Permission)), nil
}

// way returns the links from the account to a name by which it holds grants:
// none to its own.
func (l *look) way(name string) ([]*permissionv1.ExplainStep, error) {
	switch {
	case name == l.q.Subject:
		return nil, nil
	case subject.IsSegment(name):
		return []*permissionv1.ExplainStep{step(permissionv1.ExplainStep_KIND_SEGMENT, l.q.Subject, name)}, nil
	case !subject.IsTeam(name):
		return []*permissionv1.ExplainStep{step(permissionv1.ExplainStep_KIND_CLASS, l.q.Subject, name)}, nil
	}
	own, err := l.facts.Subject(l.q.Subject)
	if err != nil {
		return nil, err
	}
	var shortest []string
	for _, team := range own.Facts().Teams {
		up, err := l.up(team, name)
		if err != nil {
			return nil, err
		}
		if up != nil && (shortest == nil || len(up) < len(shortest)) {
			shortest = up
		}
	}
	var steps []*permissionv1.ExplainStep
	for i, team := range shortest {
		if i == 0 {
			steps = append(steps, step(permissionv1.ExplainStep_KIND_MEMBER, l.q.Subject, team))
		} else {
			steps = append(steps, step(permissionv1.ExplainStep_KIND_BELOW, shortest[i-1], team))
		}
	}
	return steps, nil
}

// up returns the teams from one to another above it, both included; nil when
// it is not above.
func (l *look) up(team, to string) ([]string, error) {
	var teams []string
	for team != "" && !slices.Contains(teams, team) && len(teams) < subject.MaxDepth {
		teams = append(teams, team)
		if team == to {
			return teams, nil
		}
		s, err := l.facts.Subject(team)
		if err != nil {
			return nil, err
		}
		team = s.Facts().Parent
	}
	return nil, nil
}
