package permission_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"guildhall.dev/pkg/errs"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

const readRecords = "custom.records.read"

// recordNames returns names in acme.
func recordNames(ids ...string) *permissionv1.ListedNames {
	out := &permissionv1.ListedNames{}
	for _, id := range ids {
		out.Names = append(out.Names, acme+"/"+id)
	}
	return out
}

func equals(ids ...string) *permissionv1.ListExpectation {
	return &permissionv1.ListExpectation{Expectation: &permissionv1.ListExpectation_Equals{Equals: recordNames(ids...)}}
}

func includes(ids ...string) *permissionv1.ListExpectation {
	return &permissionv1.ListExpectation{Expectation: &permissionv1.ListExpectation_Includes{Includes: recordNames(ids...)}}
}

func excludes(ids ...string) *permissionv1.ListExpectation {
	return &permissionv1.ListExpectation{Expectation: &permissionv1.ListExpectation_Excludes{Excludes: recordNames(ids...)}}
}

func ofResources(subject string, list *permissionv1.ListExpectation) *permissionv1.PolicyAssertion {
	return &permissionv1.PolicyAssertion{Expectation: &permissionv1.PolicyAssertion_Resources{Resources: &permissionv1.ResourceListAssertion{
		Subject: subject, Permission: readRecords, Collection: acme + "/records", List: list,
	}}}
}

func ofSubjects(resource string, list *permissionv1.ListExpectation) *permissionv1.PolicyAssertion {
	return &permissionv1.PolicyAssertion{Expectation: &permissionv1.PolicyAssertion_Subjects{Subjects: &permissionv1.SubjectListAssertion{
		Permission: readRecords, Resource: resource, List: list,
	}}}
}

func TestPlanPolicy_asksWhatListsHave(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		a := r.as(admin)
		d := records() // sue reads record-1
		d.Grants = append(d.Grants,
			&permissionv1.Grant{Subject: acme + "/allStaff", Role: acme + "/roles/reader", Resource: acme + "/records/record-2"},
			&permissionv1.Grant{Subject: tom, Role: acme + "/roles/reader", Resource: acme + "/records/record-2", Effect: permissionv1.Effect_EFFECT_DENY})
		type outcome struct{ missing, unexpected []string }
		failing := map[int]outcome{}
		d.Assertions = nil
		add := func(one *permissionv1.PolicyAssertion, fails *outcome) {
			if fails != nil {
				failing[len(d.Assertions)] = *fails
			}
			d.Assertions = append(d.Assertions, one)
		}
		add(ofResources(sue, equals("records/record-1", "records/record-2")), nil)
		add(ofResources(sue, includes("records/record-2")), nil)
		add(ofResources(sue, includes("records/record-2/pages/p1")), nil) // below one that is listed
		add(ofResources(sue, excludes("records/record-3")), nil)
		add(ofResources(carl, equals()), nil)
		add(ofSubjects(acme+"/records/record-2", equals("allStaff", "staff/admin")), nil)
		add(ofSubjects(acme+"/records/record-2", includes("staff/una")), nil) // one of all staff
		add(ofSubjects(acme+"/records/record-2", excludes("staff/tom", "customers/carl")), nil)
		add(ofResources(sue, equals("records/record-1", "records/record-3")), &outcome{[]string{"records/record-3"}, []string{"records/record-2"}})
		add(ofResources(sue, includes("records/record-1", "records/record-3")), &outcome{[]string{"records/record-3"}, nil})
		add(ofResources(sue, excludes("records/record-2/pages/p1")), &outcome{nil, []string{"records/record-2/pages/p1"}})
		add(ofSubjects(acme+"/records/record-2", excludes("staff/una", "staff/tom")), &outcome{nil, []string{"staff/una"}})
		add(ofSubjects(acme+"/records/record-2", includes("staff/tom")), &outcome{[]string{"staff/tom"}, nil})
		planned := a.plan(t, d)
		for i, got := range planned.GetAssertions() {
			fails, isFailing := failing[i]
			want := outcome{recordNames(fails.missing...).GetNames(), recordNames(fails.unexpected...).GetNames()}
			if diff := cmp.Diff(want, outcome{got.GetMissing(), got.GetUnexpected()}, cmp.AllowUnexported(outcome{})); diff != "" || got.GetPassed() == isFailing || got.GetResult() != nil {
				t.Errorf("%s: %v (-want +got):\n%s", got.GetField(), got, diff)
			}
		}
		if int(planned.GetFailedAssertionCount()) != len(failing) {
			t.Errorf("%d failed, want %d", planned.GetFailedAssertionCount(), len(failing))
		}
		_, err := a.policies.ApplyPolicy(t.Context(), &permissionv1.ApplyPolicyRequest{Parent: acme, Policy: d})
		wantError(t, err, errs.Precondition, "POLICY_ASSERTION_FAILED")
		if v := errs.From(err).Violations; len(v) != len(failing) || !strings.Contains(v[0].Description, "records/record-3") {
			t.Errorf("refused with %v", v)
		}
		d.Assertions = d.Assertions[:8]
		applied := a.apply(t, d, false)
		if diff := cmp.Diff(planned.GetAssertions()[:8], applied.GetAssertions(), protocmp.Transform()); diff != "" {
			t.Errorf("planned and applied (-planned +applied):\n%s", diff)
		}
	})
}

func TestPlanPolicy_refusesListsOfNothing(t *testing.T) {
	in := install(t, "bolt")
	r := in.start()
	in.seed(r)
	a := r.as(admin)
	plan := func(assertions ...*permissionv1.PolicyAssertion) error {
		d := records()
		d.Assertions = assertions
		_, err := a.policies.PlanPolicy(t.Context(), &permissionv1.PlanPolicyRequest{Parent: acme, Policy: d})
		return err
	}
	unknown := ofSubjects(acme, equals())
	unknown.GetSubjects().Permission = "custom.records.burn"
	for name, test := range map[string]struct {
		one           *permissionv1.PolicyAssertion
		reason, field string
	}{
		"no account":            {ofResources(acme+"/teams/t", equals()), "SUBJECT_INVALID", "policy.assertions[0].resources.subject"},
		"another's account":     {ofResources("organizations/zeta/staff/z", equals()), "SUBJECT_INVALID", "policy.assertions[0].resources.subject"},
		"another's resource":    {ofSubjects("organizations/zeta", equals()), "RESOURCE_FOREIGN", "policy.assertions[0].subjects.resource"},
		"no permission":         {unknown, "PERMISSION_UNKNOWN", "policy.assertions[0].subjects.permission"},
		"nothing to compare to": {ofSubjects(acme, &permissionv1.ListExpectation{}), "VALIDATION_FAILED", "policy.assertions[0].subjects.list.expectation"},
	} {
		t.Run(name, func(t *testing.T) { wantField(t, plan(test.one), errs.Invalid, test.reason, test.field) })
	}
	many := make([]*permissionv1.PolicyAssertion, 101)
	for i := range many {
		many[i] = ofResources(carl, equals())
	}
	wantField(t, plan(many...), errs.Precondition, "POLICY_TOO_LARGE", "policy.assertions[100]")
	if err := plan(many[:100]...); err != nil {
		t.Error(err)
	}
}
