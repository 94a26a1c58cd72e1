package authz

import (
	"encoding/json"

	"google.golang.org/protobuf/encoding/protojson"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

func (f *file) assertion(a assertion, field string, fault func(field, message string)) *permissionv1.PolicyAssertion {
	out := &permissionv1.PolicyAssertion{Title: a.Title, Time: timeOf(a.Time, field+".time", fault)}
	said := 0
	for _, is := range []bool{a.Allow != nil, a.Deny != nil, a.Resources != nil, a.Subjects != nil} {
		if is {
			said++
		}
	}
	switch {
	case said != 1:
		fault(field, "want one of allow, deny, resources and subjects")
	case a.Allow != nil:
		out.Expectation = &permissionv1.PolicyAssertion_Allow{Allow: f.query(a.Allow, field+".allow", fault)}
	case a.Deny != nil:
		out.Expectation = &permissionv1.PolicyAssertion_Deny{Deny: f.query(a.Deny, field+".deny", fault)}
	case a.Resources != nil:
		field, q := field+".resources", a.Resources
		out.Expectation = &permissionv1.PolicyAssertion_Resources{Resources: &permissionv1.ResourceListAssertion{
			Subject: lengthen(f.home, q.Subject), Permission: q.Permission, Collection: lengthen(f.home, q.Collection),
			Attributes: attributes(q.Attributes, field, fault), List: f.list(q.Names, field, fault),
		}}
	default:
		field, q := field+".subjects", a.Subjects
		out.Expectation = &permissionv1.PolicyAssertion_Subjects{Subjects: &permissionv1.SubjectListAssertion{
			Permission: q.Permission, Resource: lengthen(f.home, q.Resource),
			Attributes: attributes(q.Attributes, field, fault), List: f.list(q.Names, field, fault),
		}}
	}
	return out
}

func (f *file) query(q *question, field string, fault func(field, message string)) *permissionv1.CheckQuery {
	return &permissionv1.CheckQuery{
		Subject: lengthen(f.home, q.Subject), Permission: q.Permission, Resource: lengthen(f.home, q.Resource),
		Attributes: attributes(q.Attributes, field, fault),
	}
}

// list returns what a list has to be.
func (f *file) list(n names, field string, fault func(field, message string)) *permissionv1.ListExpectation {
	long := func(short []string) *permissionv1.ListedNames {
		out := &permissionv1.ListedNames{}
		for _, name := range short {
			out.Names = append(out.Names, lengthen(f.home, name))
		}
		return out
	}
	switch {
	case n.Equals != nil && n.Includes == nil && n.Excludes == nil:
		return &permissionv1.ListExpectation{Expectation: &permissionv1.ListExpectation_Equals{Equals: long(*n.Equals)}}
	case n.Includes != nil && n.Equals == nil && n.Excludes == nil:
		return &permissionv1.ListExpectation{Expectation: &permissionv1.ListExpectation_Includes{Includes: long(*n.Includes)}}
	case n.Excludes != nil && n.Equals == nil && n.Includes == nil:
		return &permissionv1.ListExpectation{Expectation: &permissionv1.ListExpectation_Excludes{Excludes: long(*n.Excludes)}}
	}
	fault(field, "want one of equals, includes and excludes")
	return nil
}

func attributes(values map[string]any, field string, fault func(field, message string)) *permissionv1.Attributes {
	if values == nil {
		return nil
	}
	out := &permissionv1.Attributes{}
	text, err := json.Marshal(values)
	if err != nil || protojson.Unmarshal(text, out) != nil {
		fault(field+".attributes", "want address, messageType, customerLevel, and objects subject, resource, action, context")
	}
	return out
}
