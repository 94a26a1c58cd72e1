package decide

import (
	"guildhall.dev/pkg/authn"
	"guildhall.dev/services/permission/internal/subject"
)

// gather finds all names by which the account holds grants: its own, its teams
// and those above them, its segments, and its classes; and the grants to
// holders.
func (q *query) gather(own *Subject, kind authn.Kind) error {
	q.add(own, false)
	if own.facts != nil {
		for _, team := range own.facts.Teams {
			if err := q.addTeam(team); err != nil {
				return err
			}
		}
		for _, segment := range own.facts.Segments {
			if err := q.addName(segment); err != nil {
				return err
			}
		}
	}
	shared := own.home.Value()
	switch kind {
	case authn.Staff:
		if err := q.addName(shared.staff); err != nil {
			return err
		}
	case authn.Customer:
		if err := q.addName(shared.customers); err != nil {
			return err
		}
	}
	if err := q.addName(shared.everyone); err != nil {
		return err
	}
	var err error
	q.holders, err = q.facts.Subject(shared.holders)
	return err
}

func (q *query) addName(name string) error {
	s, err := q.facts.Subject(name)
	if err == nil {
		q.add(s, false)
	}
	return err
}

// addTeam adds a team and the teams above it.
func (q *query) addTeam(name string) error {
	var chain [subject.MaxDepth]*Subject
	length, believed := 0, true
	for name != "" {
		s, err := q.facts.Subject(name)
		if err != nil {
			return err
		}
		if length == len(chain) || contains(chain[:length], s) {
			believed = false
			break
		}
		chain[length] = s
		length++
		name = s.parent()
	}
	for i, s := range chain[:length] {
		q.add(s, i > 0 && !believed)
	}
	return nil
}

func contains(chain []*Subject, s *Subject) bool {
	for _, c := range chain {
		if c.name == s.name {
			return true
		}
	}
	return false
}

// add adds a source once. One that is believed by another way is believed.
func (q *query) add(s *Subject, denyOnly bool) {
	for i := range q.sources {
		if known := &q.sources[i]; known.subject == s || known.subject.name == s.name {
			known.denyOnly = known.denyOnly && denyOnly
			return
		}
	}
	q.sources = append(q.sources, source{s, denyOnly})
	q.denying = q.denying || s.denies
}

// parent returns the team that a team is below; "" when there is none.
func (s *Subject) parent() string {
	if s.facts == nil {
		return ""
	}
	return s.facts.Parent
}
