package authz

import (
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/errs"
)

const thing = "organizations/acme/things/a"

// byType allows things of some types, and can be made to do something before it
// answers.
type byType struct {
	allowed []string
	// restricted is what it says of field policies.
	restricted bool
	before     func()
	asked      int
}

func (c *byType) Check(_ context.Context, r Request) (Answer, error) {
	c.asked++
	ok := slices.Contains(c.allowed, r.Attributes.GetMessageType())
	if before := c.before; before != nil {
		c.before = nil
		before()
	}
	if ok {
		return Answer{Allowed: true, Restricted: c.restricted}, nil
	}
	return Answer{}, NewDenied(r.Permission, r.Resources[0])
}

func (c *byType) Which(ctx context.Context, r Request, variants []*permissionv1.Attributes) ([]Answer, error) {
	return Each(ctx, c.Check, r, variants)
}

// varying returns a guard and the rule of an RPC that varies.
func varying(t *testing.T, checker Checker, heard *[]Request) (Guard, *Rule) {
	t.Helper()
	rule := LoadRules(testFile(t, `permission: "test.things.get" resource: "name" varies_by: "message_type" services: "feedback"`)).Lookup(testMethod)
	if rule == nil {
		t.Fatal("the rule does not compile")
	}
	return Guard{Checker: checker, OnDenied: func(_ context.Context, r Request, _ string) {
		if heard != nil {
			*heard = append(*heard, r)
		}
	}}, rule
}

// opened returns the scope of a call about the values.
func opened(t *testing.T, checker Checker, v Values) (*Scope, error) {
	t.Helper()
	guard, rule := varying(t, checker, nil)
	s := guard.NewScope(authn.Caller{Name: "organizations/acme/staff/s1"}, rule)
	return s, s.Open(t.Context(), []string{thing}, func() (Values, error) { return v, nil })
}

func TestScope_goesAsFarAsTheCallerMay(t *testing.T) {
	for name, c := range map[string]struct {
		may    []string
		values Values
		denied bool
	}{
		"the only one":       {[]string{"a"}, Values{Of: []string{"a"}}, false},
		"not the only one":   {[]string{"b"}, Values{Of: []string{"a"}}, true},
		"some":               {[]string{"a"}, Values{Of: []string{"a", "b"}}, false},
		"none":               {nil, Values{Of: []string{"a", "b"}}, true},
		"some of all":        {[]string{"a"}, Values{Of: []string{"a", "b"}, All: true}, true},
		"all":                {[]string{"a", "b"}, Values{Of: []string{"a", "b"}, All: true}, false},
		"about nothing":      {[]string{"a"}, Values{}, true},
		"nothing, all of it": {[]string{"a"}, Values{All: true}, true},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := opened(t, &byType{allowed: c.may}, c.values)
			if errs.Is(err, errs.Denied) != c.denied || err != nil != c.denied {
				t.Fatalf("got %v", err)
			}
			for _, v := range c.values.Of {
				if may := slices.Contains(c.may, v); err == nil && s.Holds(v) != may {
					t.Errorf("holds %s: %v, want %v", v, !may, may)
				}
			}
			if s.Holds("z") {
				t.Error("holds what was not asked for")
			}
		})
	}
}

// TestScope_isRestrictedByWhatItMayGoTo: what field policies keep from a caller
// is known however the question was asked, and only of what it may read.
func TestScope_isRestrictedByWhatItMayGoTo(t *testing.T) {
	for name, c := range map[string]struct {
		checker *byType
		values  Values
		want    bool
	}{
		"one value":     {&byType{allowed: []string{"a"}, restricted: true}, Values{Of: []string{"a"}}, true},
		"one of a list": {&byType{allowed: []string{"b"}, restricted: true}, Values{Of: []string{"a", "b"}}, true},
		"each of a few": {&byType{allowed: []string{"a", "b"}, restricted: true}, Values{Of: []string{"a", "b"}, All: true}, true},
		"nothing is":    {&byType{allowed: []string{"a", "b"}}, Values{Of: []string{"a", "b"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := opened(t, c.checker, c.values)
			if err != nil || s.Restricted() != c.want {
				t.Fatalf("got %t, %v", s.Restricted(), err)
			}
			// A policy that is made or lifted while a stream is open.
			c.checker.restricted = !c.want
			if err := s.Again(t.Context()); err != nil || s.Restricted() == c.want {
				t.Errorf("asked again: %t, %v", s.Restricted(), err)
			}
		})
	}
}

func TestScope_tellsOfRefusalsWithTheValue(t *testing.T) {
	var heard []Request
	guard, rule := varying(t, &byType{}, &heard)
	s := guard.NewScope(authn.Caller{Name: "organizations/acme/staff/s1"}, rule)
	refuse := func(v Values) Request {
		t.Helper()
		heard = nil
		if err := s.Open(t.Context(), []string{thing}, func() (Values, error) { return v, nil }); !errs.Is(err, errs.Denied) || len(heard) != 1 {
			t.Fatalf("got %v, heard of %v", err, heard)
		}
		return heard[0]
	}
	if r := refuse(Values{Of: []string{"a"}}); r.Attributes.GetMessageType() != "a" {
		t.Errorf("the refusal of one value is about %v", r.Attributes)
	}
	if r := refuse(Values{Of: []string{"a", "b"}}); r.Attributes != nil {
		t.Errorf("the refusal of a list is about %v", r.Attributes)
	}
}

func TestScope_anotherTenantHearsNothing(t *testing.T) {
	guard, rule := varying(t, failing{}, nil)
	s := guard.NewScope(authn.Caller{Name: "organizations/other/staff/s1"}, rule)
	err := s.Open(t.Context(), []string{thing}, func() (Values, error) {
		t.Error("the service was asked about another tenant's resource")
		return Values{}, nil
	})
	if !errs.Is(err, errs.NotFound) {
		t.Errorf("got %v, want NotFound", err)
	}
}

func TestScope_sistersGoAnywhereListed(t *testing.T) {
	guard, rule := varying(t, failing{}, nil)
	s := guard.NewScope(authn.Caller{Name: "services/feedback"}, rule)
	if err := s.Open(t.Context(), nil, nil); err != nil || !s.Holds("anything") {
		t.Errorf("a listed sister: %v", err)
	}
	s = guard.NewScope(authn.Caller{Name: "services/identity"}, rule)
	if err := s.Open(t.Context(), nil, nil); !errs.Is(err, errs.Denied) {
		t.Errorf("an unlisted sister: %v", err)
	}
}

// TestScope_withoutOneNobodyGoes: a rule that varies is not authorised in the way
// of the others, and a handler that finds no scope withholds everything.
func TestScope_withoutOneNobodyGoes(t *testing.T) {
	guard, rule := varying(t, &byType{allowed: []string{""}}, nil)
	if _, err := guard.Authorise(t.Context(), authn.Caller{Name: "organizations/acme/staff/s1"}, rule, []string{thing}); !errs.Is(err, errs.Denied) {
		t.Errorf("got %v, want Denied", err)
	}
	none := ScopeOf(t.Context())
	if allowed, err := none.Allows(t.Context(), "a"); allowed || err != nil || none.Holds("a") {
		t.Errorf("no scope allows: %v, %v", allowed, err)
	}
}

func TestScope_changesAreHeardOf(t *testing.T) {
	checker := &byType{allowed: []string{"a"}}
	s, err := opened(t, checker, Values{Of: []string{"a", "b"}})
	if err != nil {
		t.Fatal(err)
	}
	changed := s.Changed()
	if err := s.Again(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case <-changed:
		t.Error("heard of a change that was none")
	default:
	}
	checker.allowed = []string{"b"}
	if err := s.Again(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-changed
	if values, all := s.Allowed(); all || !slices.Equal(values, []string{"b"}) {
		t.Errorf("allowed %v, all %v", values, all)
	}
	checker.allowed = nil
	if err := s.Again(t.Context()); !errs.Is(err, errs.Denied) {
		t.Errorf("got %v, want Denied", err)
	}
}

// TestScope_answersFromBeforeAChangeAreNotKept has everything asked again while
// an answer is on its way: the one that was begun earlier does not count.
func TestScope_answersFromBeforeAChangeAreNotKept(t *testing.T) {
	checker := &byType{allowed: []string{"a", "late"}}
	s, err := opened(t, checker, Values{Of: []string{"a"}})
	if err != nil {
		t.Fatal(err)
	}
	revoke := func() {
		checker.allowed = []string{"a"}
		if err := s.Again(t.Context()); err != nil {
			t.Error(err)
		}
	}
	checker.before = revoke
	if allowed, err := s.Allows(t.Context(), "late"); err != nil || allowed {
		t.Errorf("a value that was revoked while it was asked for: %v, %v", allowed, err)
	}
	checker.allowed = []string{"a", "late"}
	if err := s.Again(t.Context()); err != nil || !s.Holds("late") {
		t.Fatalf("given back: %v", err)
	}
	checker.before = revoke
	if err := s.Again(t.Context()); err != nil {
		t.Error(err)
	}
	if s.Holds("late") {
		t.Error("an answer from before the change came after one from behind it, and was kept")
	}
}

func TestScope_remembersWithinACallAlone(t *testing.T) {
	checker := &byType{allowed: []string{"a"}}
	s, err := opened(t, checker, Values{Of: []string{"a"}})
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if allowed, err := s.Allows(t.Context(), "a"); !allowed || err != nil {
			t.Fatal(allowed, err)
		}
	}
	if checker.asked != 1 {
		t.Errorf("asked %d times", checker.asked)
	}
	s.Before = func() error { return NewDenied("test.things.get", thing) }
	if _, err := s.Allows(t.Context(), "a"); !errs.Is(err, errs.Denied) {
		t.Errorf("an answer that is too old was given: %v", err)
	}
}

func TestRequest_knowsTheCallAndItself(t *testing.T) {
	call := &permissionv1.Attributes{Address: "10.1.2.3", MessageType: "news"}
	ctx := WithAttributes(t.Context(), call)
	for name, c := range map[string]struct {
		ctx       context.Context
		own, want *permissionv1.Attributes
	}{
		"nothing":  {t.Context(), nil, nil},
		"the call": {ctx, nil, call},
		"itself":   {t.Context(), &permissionv1.Attributes{MessageType: "order"}, &permissionv1.Attributes{MessageType: "order"}},
		"both":     {ctx, &permissionv1.Attributes{MessageType: "order"}, &permissionv1.Attributes{Address: "10.1.2.3", MessageType: "order"}},
	} {
		before := proto.CloneOf(call)
		if diff := cmp.Diff(c.want, Request{Attributes: c.own}.Known(c.ctx), protocmp.Transform()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if !proto.Equal(before, call) {
			t.Errorf("%s: the call's attributes were changed", name)
		}
	}
}

func TestRemote_asksForVariantsAtOnce(t *testing.T) {
	variant := func(id string) *permissionv1.Attributes { return &permissionv1.Attributes{MessageType: id} }
	query := func(id string) *permissionv1.CheckQuery {
		return &permissionv1.CheckQuery{
			Subject: "organizations/acme/staff/s1", Permission: "test.things.get", Resource: thing, Filtering: true,
			Attributes: &permissionv1.Attributes{Address: "10.1.2.3", MessageType: id},
		}
	}
	answer := []*permissionv1.CheckResult{{Allowed: true, Restricted: true}, {Denial: permissionv1.Denial_DENIAL_CONDITION_NOT_MET}}
	var asked proto.Message
	checker := Remote(conn{answer: func(_ context.Context, r any) (proto.Message, error) {
		asked = r.(proto.Message)
		return &permissionv1.BatchCheckResponse{Results: answer}, nil
	}})
	ctx := WithAttributes(t.Context(), &permissionv1.Attributes{Address: "10.1.2.3"})
	answers, err := checker.Which(ctx, question(thing), []*permissionv1.Attributes{variant("a"), variant("b")})
	if err != nil || !slices.Equal(answers, []Answer{{Allowed: true, Restricted: true}, {}}) {
		t.Errorf("got %v, %v", answers, err)
	}
	want := &permissionv1.BatchCheckRequest{Parent: "organizations/acme", Queries: []*permissionv1.CheckQuery{query("a"), query("b")}}
	if diff := cmp.Diff(proto.Message(want), asked, protocmp.Transform()); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	answer[1].Denial = permissionv1.Denial_DENIAL_SUBJECT_SUSPENDED
	if _, err := checker.Which(ctx, question(thing), []*permissionv1.Attributes{variant("a"), variant("b")}); errs.ReasonOf(err) != ReasonSuspended {
		t.Errorf("of a suspended caller: %v", err)
	}
	answer = answer[:1]
	if _, err := checker.Which(ctx, question(thing), []*permissionv1.Attributes{variant("a"), variant("b")}); !errs.Is(err, errs.Unavailable) {
		t.Errorf("an answer too few: %v", err)
	}
}

// needingApproval allows things of a type when the call names an approval.
type needingApproval struct{ byType }

func (c *needingApproval) Check(ctx context.Context, r Request) (Answer, error) {
	if answer, err := c.byType.Check(ctx, r); err != nil || r.Approval.Name != "" {
		return answer, err
	}
	return Answer{}, Refusal(permissionv1.Denial_DENIAL_APPROVAL_NEEDED, r.Permission, r.Resources[0])
}

func (c *needingApproval) Which(ctx context.Context, r Request, variants []*permissionv1.Attributes) ([]Answer, error) {
	return Each(ctx, c.Check, r, variants)
}

func TestScope_takesTheApprovalThatTheCallNames(t *testing.T) {
	for name, values := range map[string][]string{"one value": {"a"}, "a list": {"a", "b"}} {
		t.Run(name, func(t *testing.T) {
			guard, rule := varying(t, &needingApproval{byType{allowed: []string{"a"}}}, nil)
			open := func(ctx context.Context) (*Scope, error) {
				s := guard.NewScope(authn.Caller{Name: "organizations/acme/staff/s1"}, rule)
				return s, s.Open(ctx, []string{thing}, func() (Values, error) { return Values{Of: values}, nil })
			}
			if _, err := open(t.Context()); errs.ReasonOf(err) != ReasonApprovalNeeded {
				t.Errorf("without an approval: %v", err)
			}
			s, err := open(WithApproval(t.Context(), Approval{Name: "approval", Call: "call"}))
			if err != nil || !s.Holds("a") || s.Holds("b") {
				t.Errorf("with one: %v, holds a: %t, b: %t", err, s.Holds("a"), s.Holds("b"))
			}
		})
	}
}
