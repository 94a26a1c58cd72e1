package decide

import (
	"sync"
	"unique"
	"weak"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/services/permission/internal/role"
)

// State is one state of an organisation's facts, by which what was found out
// there is known again: by what names an account holds grants, and what roles
// give. It saves a check all look-ups but that of the account itself.
//
// It is for facts that are the same whenever they are asked about at that
// state, and for subjects that belong to no other facts. Whoever changes the
// organisation makes a new one. It is safe for concurrent use.
type State struct {
	id    weak.Pointer[State]
	roles sync.Map // unique.Handle[string] -> role.Set
}

// NewState returns a state at which nothing is known yet.
func NewState() *State {
	s := &State{}
	s.id = weak.Make(s)
	return s
}

// Stated are facts that know at which state they are. It is no part of Facts:
// facts that differ from others in something, and take the rest from them, are
// at a state of their own.
type Stated interface {
	Facts
	State() *State
}

// reach is by what names an account holds grants at one state, but those that
// hold none.
//
// It is kept with the account, and so it points to what is not the account's
// by weak pointers: what is not in memory for its own sake any more, such as a
// team of yesterday, is not held there by all who were in it.
type reach struct {
	state             weak.Pointer[State]
	sources           []kept
	holders, required weak.Pointer[Subject]
	denies            bool
}

// kept is a source of a reach; that of the account itself is the zero pointer.
type kept struct {
	subject  weak.Pointer[Subject]
	denyOnly bool
}

// reaches gathers for a question: as gather, but by what is remembered.
func (q *query) reaches(own *Subject, kind authn.Kind) error {
	if q.state == nil {
		return q.gather(own, kind)
	}
	if q.recall(own) {
		return nil
	}
	q.forget()
	if err := q.gather(own, kind); err != nil {
		return err
	}
	required, err := q.facts.Subject(q.holders.home.Value().required)
	if err != nil {
		return err
	}
	q.required = required
	q.remember(own)
	return nil
}

// recall takes what is remembered of the account at the query's state, and
// reports whether it is all there.
func (q *query) recall(own *Subject) bool {
	r := own.reach.Load()
	if r == nil || r.state != q.state.id {
		return false
	}
	for _, k := range r.sources {
		s := own
		if k.subject != (weak.Pointer[Subject]{}) {
			if s = k.subject.Value(); s == nil {
				return false
			}
		}
		q.sources = append(q.sources, source{s, k.denyOnly})
	}
	q.holders, q.required, q.denying = r.holders.Value(), r.required.Value(), r.denies
	return q.holders != nil && q.required != nil
}

// forget takes back what recall found.
func (q *query) forget() {
	q.sources, q.holders, q.required, q.denying = q.sources[:0], nil, nil, false
}

func (q *query) remember(own *Subject) {
	r := &reach{
		state: q.state.id, holders: weak.Make(q.holders), required: weak.Make(q.required), denies: q.denying,
		sources: make([]kept, 0, len(q.sources)),
	}
	for _, s := range q.sources {
		switch {
		case len(s.subject.rows) == 0:
		case s.subject == own:
			r.sources = append(r.sources, kept{denyOnly: s.denyOnly})
		default:
			r.sources = append(r.sources, kept{weak.Make(s.subject), s.denyOnly})
		}
	}
	own.reach.Store(r)
}

// role returns what a role gives.
func (q *query) role(name unique.Handle[string]) (role.Set, error) {
	if q.state == nil {
		return q.facts.Role(name.Value())
	}
	if known, ok := q.state.roles.Load(name); ok {
		return known.(role.Set), nil
	}
	set, err := q.facts.Role(name.Value())
	if err == nil {
		q.state.roles.Store(name, set)
	}
	return set, err
}
