package policies

import (
	"fmt"
	"slices"
	"strings"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/access"
	"guildhall.dev/services/permission/internal/check"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/policy"
	"guildhall.dev/services/permission/internal/revision"
	"guildhall.dev/services/permission/internal/subject"
)

// Bounds of assertions about lists, each of which costs what the list does.
const (
	maxListed         = 1000
	maxListAssertions = 100
	listPage          = 500
)

// asserting asks what a document asserts of one state, at one time.
type asserting struct {
	Config
	organization string
	facts        decide.Facts
	head         revision.Revision
	lists        int
}

// assert asks what the document asserts of the state in the transaction.
func (s *policies) assert(tx *change.Tx, organization string, d *permissionv1.Policy, out *permissionv1.PolicyPlan) error {
	head, err := revision.Head(tx, organization)
	if err != nil {
		return err
	}
	a := asserting{Config: s.Config, organization: organization, facts: s.Loader.Snapshot(tx), head: head}
	for i, one := range d.GetAssertions() {
		field := fmt.Sprintf("policy.assertions[%d]", i)
		r, err := a.ask(tx, one, field)
		if err != nil {
			return err
		}
		r.Title, r.Field = one.GetTitle(), field
		if !r.Passed {
			out.FailedAssertionCount++
		}
		out.Assertions = append(out.Assertions, r)
	}
	return nil
}

func (a *asserting) ask(tx *change.Tx, one *permissionv1.PolicyAssertion, field string) (*permissionv1.PolicyAssertionResult, error) {
	at := tx.Time
	if one.GetTime() != nil {
		at = one.GetTime().AsTime()
	}
	question := func(q *permissionv1.CheckQuery, want bool) (*permissionv1.PolicyAssertionResult, error) {
		answer, err := a.Rules.Answer(a.facts, a.organization, check.Question(q), at)
		return &permissionv1.PolicyAssertionResult{Passed: answer.Allowed == want, Result: check.Result(answer, a.head)}, err
	}
	switch e := one.GetExpectation().(type) {
	case *permissionv1.PolicyAssertion_Allow:
		return question(e.Allow, true)
	case *permissionv1.PolicyAssertion_Deny:
		return question(e.Deny, false)
	}
	if a.lists++; a.lists > maxListAssertions {
		return nil, policy.In(field, errs.New(errs.Precondition, "POLICY_TOO_LARGE",
			fmt.Sprintf("a document has at most %d assertions about lists; ask about single resources instead", maxListAssertions)))
	}
	l, err := a.list(a.Lists.At(tx, a.organization, at), one)
	if err != nil {
		return nil, listFault(field, one, err)
	}
	return l.compare(func(name string) (bool, error) {
		answer, err := a.Rules.Answer(a.facts, a.organization, l.question(name), at)
		return answer.Allowed, err
	})
}

// listFault gives what is wrong with an assertion's question its place.
func listFault(field string, one *permissionv1.PolicyAssertion, err error) error {
	kind := ".subjects"
	if one.GetResources() != nil {
		kind = ".resources"
	}
	e := errs.From(err)
	if e.Kind != errs.Invalid {
		return err
	}
	named := *e
	named.Violations = nil
	for _, v := range e.Violations {
		v.Field = field + kind + "." + v.Field
		named.Violations = append(named.Violations, v)
	}
	return &named
}

// listed is a list that a document speaks of.
type listed struct {
	names    []string // in order
	cut      bool
	want     *permissionv1.ListExpectation
	question func(name string) decide.Question
}

// list makes the list that an assertion is about.
func (a *asserting) list(state *access.State, one *permissionv1.PolicyAssertion) (*listed, error) {
	if q := one.GetResources(); q != nil {
		if !subject.IsAccount(q.GetSubject()) || subject.OrganizationOf(q.GetSubject()) != a.organization {
			return nil, errs.InvalidField("subject", "SUBJECT_INVALID", "name an account of the organisation")
		}
		l := &listed{want: q.GetList(), question: func(name string) decide.Question {
			return decide.Question{Subject: q.GetSubject(), Permission: q.GetPermission(), Resource: name, Attributes: q.GetAttributes()}
		}}
		return l, l.fill(func(after string) (names []string, next string, err error) {
			page, err := state.Resources(access.ResourceQuery{
				Subject: q.GetSubject(), Permission: q.GetPermission(), Collection: q.GetCollection(), Attributes: q.GetAttributes(),
			}, after, listPage)
			for _, r := range page.Resources {
				names = append(names, r.GetName())
			}
			return names, page.Next, err
		})
	}
	q := one.GetSubjects()
	l := &listed{want: q.GetList(), question: func(name string) decide.Question {
		return decide.Question{Subject: name, Permission: q.GetPermission(), Resource: q.GetResource(), Attributes: q.GetAttributes()}
	}}
	return l, l.fill(func(after string) (names []string, next string, err error) {
		found, next, err := state.Subjects(access.SubjectQuery{
			Permission: q.GetPermission(), Resource: q.GetResource(), Attributes: q.GetAttributes(),
		}, after, listPage)
		for _, one := range found {
			names = append(names, one.GetName())
		}
		return names, next, err
	})
}

// fill reads the pages of the list, as far as an assertion looks.
func (l *listed) fill(page func(after string) (names []string, next string, err error)) error {
	for after := ""; ; {
		names, next, err := page(after)
		if err != nil {
			return err
		}
		l.names = append(l.names, names...)
		if len(l.names) > maxListed {
			l.names, l.cut = l.names[:maxListed], true
			return nil
		}
		if after = next; next == "" {
			return nil
		}
	}
}

// compare says what the list lacks and has too much. A name that is not listed
// by itself may be allowed all the same, by one above it or as one of a class.
func (l *listed) compare(allowed func(name string) (bool, error)) (*permissionv1.PolicyAssertionResult, error) {
	r := &permissionv1.PolicyAssertionResult{Truncated: l.cut}
	has := func(name string) (bool, error) {
		if _, found := slices.BinarySearch(l.names, name); found {
			return true, nil
		}
		return allowed(name)
	}
	switch want := l.want.GetExpectation().(type) {
	case *permissionv1.ListExpectation_Equals:
		r.Missing, r.Unexpected = without(want.Equals.GetNames(), l.names), without(l.names, want.Equals.GetNames())
		r.Passed = !l.cut && len(r.Missing)+len(r.Unexpected) == 0
		return r, nil
	case *permissionv1.ListExpectation_Includes:
		for _, name := range want.Includes.GetNames() {
			if is, err := has(name); err != nil {
				return nil, err
			} else if !is {
				r.Missing = append(r.Missing, name)
			}
		}
	case *permissionv1.ListExpectation_Excludes:
		for _, name := range want.Excludes.GetNames() {
			if is, err := has(name); err != nil {
				return nil, err
			} else if is {
				r.Unexpected = append(r.Unexpected, name)
			}
		}
	}
	r.Passed = len(r.Missing)+len(r.Unexpected) == 0
	return r, nil
}

func without(all, others []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(name string) bool { return slices.Contains(others, name) })
}

// failed refuses a policy whose assertions do not hold.
func failed(p *permissionv1.PolicyPlan) error {
	if p.GetFailedAssertionCount() == 0 {
		return nil
	}
	const text = "the policy would not do what it asserts; nothing was changed"
	e := errs.New(errs.Precondition, "POLICY_ASSERTION_FAILED", text)
	for _, a := range p.GetAssertions() {
		if !a.GetPassed() {
			errs.Field(a.GetField(), "POLICY_ASSERTION_FAILED", "this does not hold: "+said(a))(e)
		}
	}
	return e
}

// said is what came instead of what was asserted.
func said(a *permissionv1.PolicyAssertionResult) string {
	if a.GetResult() != nil {
		if a.GetResult().GetAllowed() {
			return "it is allowed"
		}
		return strings.ToLower(strings.TrimPrefix(a.GetResult().GetDenial().String(), "DENIAL_"))
	}
	var parts []string
	for what, names := range map[string][]string{"not listed: ": a.GetMissing(), "listed too: ": a.GetUnexpected()} {
		if len(names) > 0 {
			parts = append(parts, what+strings.Join(names[:min(len(names), 10)], ", "))
		}
	}
	if a.GetTruncated() {
		parts = append(parts, "there are more than 1000")
	}
	slices.Sort(parts)
	return strings.Join(parts, "; ")
}
