package authz

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/errs"
)

// Values are what the attribute that a rule varies by may be, for one request.
type Values struct {
	// Of are the values, each once.
	Of []string
	// All says that the request is about all of them at once, so that it takes
	// a yes for each. Else one will do, and the handler leaves out what the
	// others are of.
	All bool
}

// Scope is how far one call may go whose rule varies by an attribute: for which
// of its values the caller holds the permission on the resource. The
// interceptor makes it before the handler runs, and for a stream keeps it true
// while the stream is open. It is safe for concurrent use.
//
// It remembers answers by value, and nothing else that an answer may depend on
// changes within a call but the grants and the time: a stream forgets what it
// was answered when it hears of a change, and after a while in any case.
type Scope struct {
	guard     Guard
	caller    authn.Caller
	rule      *Rule
	resources []string
	// all values: for a sister service.
	all bool
	// Before runs before an answer is given; its error is given instead. A
	// stream has what was answered too long ago asked again. Nil is nothing.
	Before func() error

	mu      sync.Mutex
	answers map[string]Answer
	asked   int // rounds of questions that were begun
	told    int // the round that the answers are of
	needAll bool
	changed chan struct{} // closed and replaced when an answer changes
}

type scopeKey struct{}

// WithScope returns a context for a call that goes as far as the scope.
func WithScope(ctx context.Context, s *Scope) context.Context {
	return context.WithValue(ctx, scopeKey{}, s)
}

// ScopeOf returns how far the running call may go. Nil, which goes nowhere, when
// its rule does not vary.
func ScopeOf(ctx context.Context) *Scope {
	s, _ := ctx.Value(scopeKey{}).(*Scope)
	return s
}

// NewScope returns the scope of a call that has yet to be authorised by Open.
func (g Guard) NewScope(caller authn.Caller, rule *Rule) *Scope {
	return &Scope{guard: g, caller: caller, rule: rule, answers: make(map[string]Answer), changed: make(chan struct{})}
}

// Open authorises the call on the resources, as Guard.Authorise does, for the
// values that its request may be about. values is called for callers of the
// resources' own organisation alone.
func (s *Scope) Open(ctx context.Context, resources []string, values func() (Values, error)) error {
	s.resources = resources
	r := Request{Caller: s.caller, Permission: s.rule.Permission, Resources: resources}
	if s.caller.Kind() == authn.System || s.rule.Access != ByPermission {
		s.all = true
		_, err := s.guard.Authorise(ctx, s.caller, s.rule, resources)
		return err
	}
	err := sameTenant(s.rule, r)
	if err == nil {
		var of Values
		if of, err = values(); err != nil {
			return err
		}
		s.mu.Lock()
		s.needAll = of.All
		s.mu.Unlock()
		return s.ask(ctx, of.Of)
	}
	s.guard.tell(ctx, r, s.rule, err)
	return err
}

// Again asks again for all values that were asked for. The error is that the
// call may no longer go on at all, or that it cannot be known.
func (s *Scope) Again(ctx context.Context) error {
	if s.all {
		return nil
	}
	return s.ask(ctx, nil)
}

// ask asks for the values, or for those that were asked for, and takes the
// answers over.
func (s *Scope) ask(ctx context.Context, values []string) error {
	s.mu.Lock()
	// At once: what is added from here on is of a later state.
	s.asked++
	round, each := s.asked, s.needAll
	if values == nil {
		values = slices.Sorted(maps.Keys(s.answers))
	}
	s.mu.Unlock()
	if len(values) == 0 {
		return s.refuse(ctx, nil)
	}
	if each || len(values) == 1 || ApprovalOf(ctx).Name != "" {
		return s.try(ctx, round, values, each)
	}
	variants := make([]*permissionv1.Attributes, len(values))
	for i, v := range values {
		variants[i] = s.rule.attribute(v)
	}
	r := s.request(nil)
	answers, err := s.guard.Checker.Which(ctx, r, variants)
	if err == nil && len(answers) != len(values) {
		err = unknowable(errors.New("the checker answered another number of questions"))
	}
	if err != nil {
		s.guard.tell(ctx, r, s.rule, err)
		return err
	}
	s.take(round, values, answers)
	if !slices.ContainsFunc(answers, func(a Answer) bool { return a.Allowed }) {
		return s.refuse(ctx, values)
	}
	return nil
}

// try asks for one value after the other, of which the caller needs each, or
// one: so an approval counts that the call names, and is used up.
func (s *Scope) try(ctx context.Context, round int, values []string, each bool) error {
	var refusal error
	var refused Request
	allowed := false
	for _, v := range values {
		r := s.request(s.rule.attribute(v))
		r.Approval = ApprovalOf(ctx)
		answer, err := s.guard.Checker.Check(ctx, r)
		if err == nil || errs.Is(err, errs.Denied) {
			s.take(round, []string{v}, []Answer{answer})
		}
		switch {
		case err == nil:
			allowed = true
		case each || !errs.Is(err, errs.Denied):
			s.guard.tell(ctx, r, s.rule, err)
			return err
		case refusal == nil:
			refused, refusal = r, err
		}
	}
	if allowed {
		return nil
	}
	s.guard.tell(ctx, refused, s.rule, refusal)
	return refusal
}

func (s *Scope) request(a *permissionv1.Attributes) Request {
	return Request{Caller: s.caller, Permission: s.rule.Permission, Resources: s.resources, Attributes: a}
}

// refuse is the answer to a caller who holds the permission for nothing that
// the request may be about: why not for the first of it.
func (s *Scope) refuse(ctx context.Context, values []string) error {
	r := s.request(nil)
	err := error(NewDenied(r.Permission, r.Resources[0]))
	if len(values) > 0 {
		first := s.request(s.rule.attribute(values[0]))
		if _, why := s.guard.Checker.Check(ctx, first); errs.Is(why, errs.Denied) {
			err = why
		}
	}
	s.guard.tell(ctx, r, s.rule, err)
	return err
}

// take takes answers over, unless a later round of questions has been answered.
func (s *Scope) take(round int, values []string, answers []Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if round < s.told {
		return
	}
	s.told = round
	differs := false
	for i, v := range values {
		before, known := s.answers[v]
		differs = differs || known && before.Allowed != answers[i].Allowed
		s.answers[v] = answers[i]
	}
	if differs {
		s.notify()
	}
}

// notify wakes who waits for Changed; the caller has the lock.
func (s *Scope) notify() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Allows reports whether the call may go as far as the value. One that was not
// asked for is asked for now, on behalf of the same call.
func (s *Scope) Allows(ctx context.Context, value string) (bool, error) {
	if s == nil {
		return false, nil
	}
	if s.all {
		return true, nil
	}
	if s.Before != nil {
		if err := s.Before(); err != nil {
			return false, err
		}
	}
	for {
		s.mu.Lock()
		answer, known := s.answers[value]
		round := s.asked
		s.mu.Unlock()
		if known {
			return answer.Allowed, nil
		}
		answers, err := s.guard.Checker.Which(ctx, s.request(nil), []*permissionv1.Attributes{s.rule.attribute(value)})
		if err != nil || len(answers) != 1 {
			return false, err
		}
		if s.add(round, value, answers[0]) {
			return answers[0].Allowed, nil
		}
	}
}

// add takes over the answer for one more value, unless all values have been
// asked for since: the answer may be from before.
func (s *Scope) add(round int, value string, answer Answer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked != round {
		return false
	}
	s.answers[value] = answer
	s.notify()
	return true
}

// Holds is Allows for within a transaction, where nobody can be asked: false for
// a value that was not asked for.
func (s *Scope) Holds(value string) bool {
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all || s.answers[value].Allowed
}

// Restricted reports whether field policies may keep the caller from seeing all
// of what it may read of some value that the call may go to; see Answer.
func (s *Scope) Restricted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.answers {
		if a.Allowed && a.Restricted {
			return true
		}
	}
	return false
}

// Allowed returns the values that were asked for and may be gone to, sorted, and
// whether none of those that were asked for is refused.
func (s *Scope) Allowed() (values []string, all bool) {
	if s == nil {
		return nil, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all = true
	for v, a := range s.answers {
		if a.Allowed {
			values = append(values, v)
		} else {
			all = false
		}
	}
	slices.Sort(values)
	return values, all
}

// Changed returns a channel that is closed when an answer changes or is added. Take it
// before Allowed, wait on it after.
func (s *Scope) Changed() <-chan struct{} {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}
