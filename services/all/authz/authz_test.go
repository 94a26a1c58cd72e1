package authz

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

const (
	home    = "organizations/acme"
	example = "../../permission/examples/records.yaml"
)

func read(t *testing.T, text string) *file {
	t.Helper()
	f, err := parse("policy.yaml", home, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestParse_namesAreOfTheOrganisation(t *testing.T) {
	f := read(t, `apiVersion: guildhall.dev/policy/v1
grants:
  - {subject: staff/lin, role: clerk, resource: ., effect: deny, expireTime: 2030-01-01T00:00:00Z}
  - {subject: groups/g1#roles/group.admin, role: roles/viewer, resource: groups/g1}
  - {subject: organizations/acme/teams/t1, role: organizations/acme/roles/clerk, resource: installation}
`)
	var got [][3]string
	for _, g := range f.policy.GetGrants() {
		got = append(got, [3]string{g.GetSubject(), g.GetRole(), g.GetResource()})
	}
	want := [][3]string{
		{home + "/staff/lin", home + "/roles/clerk", home},
		{home + "/groups/g1#roles/group.admin", "roles/viewer", home + "/groups/g1"},
		{home + "/teams/t1", home + "/roles/clerk", "installation"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if g := f.policy.GetGrants()[0]; g.GetEffect() != permissionv1.Effect_EFFECT_DENY || g.GetExpireTime().GetSeconds() != 1893456000 {
		t.Errorf("read %v", g)
	}
}

func TestParse_assertionsAboutLists(t *testing.T) {
	f := read(t, `apiVersion: guildhall.dev/policy/v1
assertions:
  - resources: {subject: staff/lin, permission: custom.records.read, collection: records, equals: [records/r1, .]}
  - resources: {subject: staff/lin, permission: custom.records.read, equals: []}
  - subjects: {permission: custom.records.read, resource: records/r1, includes: [allStaff], attributes: {messageType: news}}
    time: 2030-01-01T00:00:00Z
  - subjects: {permission: custom.records.read, resource: ., excludes: [staff/tom]}
`)
	names := func(names ...string) *permissionv1.ListedNames { return &permissionv1.ListedNames{Names: names} }
	resources := func(collection string, equals *permissionv1.ListedNames) *permissionv1.PolicyAssertion {
		return &permissionv1.PolicyAssertion{Expectation: &permissionv1.PolicyAssertion_Resources{Resources: &permissionv1.ResourceListAssertion{
			Subject: home + "/staff/lin", Permission: "custom.records.read", Collection: collection,
			List: &permissionv1.ListExpectation{Expectation: &permissionv1.ListExpectation_Equals{Equals: equals}},
		}}}
	}
	subjects := func(q *permissionv1.SubjectListAssertion) *permissionv1.PolicyAssertion {
		q.Permission = "custom.records.read"
		return &permissionv1.PolicyAssertion{Expectation: &permissionv1.PolicyAssertion_Subjects{Subjects: q}}
	}
	want := []*permissionv1.PolicyAssertion{
		resources(home+"/records", names(home+"/records/r1", home)), resources("", names()),
		subjects(&permissionv1.SubjectListAssertion{
			Resource: home + "/records/r1", Attributes: &permissionv1.Attributes{MessageType: "news"},
			List: &permissionv1.ListExpectation{Expectation: &permissionv1.ListExpectation_Includes{Includes: names(home + "/allStaff")}},
		}),
		subjects(&permissionv1.SubjectListAssertion{
			Resource: home, List: &permissionv1.ListExpectation{Expectation: &permissionv1.ListExpectation_Excludes{Excludes: names(home + "/staff/tom")}},
		}),
	}
	want[2].Time = timestamppb.New(time.Unix(1893456000, 0))
	if diff := cmp.Diff(want, f.policy.GetAssertions(), protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPrintAssertions_saysHowAListDiffers(t *testing.T) {
	f := read(t, "apiVersion: guildhall.dev/policy/v1\nassertions:\n  - title: readers\n    subjects: {equals: []}\n")
	var out strings.Builder
	printAssertions(&out, f, &permissionv1.PolicyPlan{FailedAssertionCount: 1, Assertions: []*permissionv1.PolicyAssertionResult{{
		Title: "readers", Field: "policy.assertions[0]", Missing: []string{home + "/staff/lin"}, Unexpected: []string{home + "/allStaff", home + "/staff/tom"},
	}}})
	const want = "  FAIL  readers (policy.yaml:3): the list differs: -staff/lin +allStaff +staff/tom\n1 assertions, 1 failed.\n"
	if out.String() != want {
		t.Errorf("printed %q, want %q", out.String(), want)
	}
}

func TestParse_faultsHaveTheirLine(t *testing.T) {
	for text, want := range map[string]string{
		"apiVersion: guildhall.dev/policy/v2\n":                                                                       "policy.yaml:1: apiVersion",
		"apiVersion: guildhall.dev/policy/v1\nroles:\n  - id: a\n    colour: red\n":                                   "policy.yaml:4:",
		"apiVersion: guildhall.dev/policy/v1\ngrants:\n  - subject: a\n    effect: maybe\n":                           "policy.yaml:4: grants[0].effect",
		"apiVersion: guildhall.dev/policy/v1\nroles: [\n":                                                             "policy.yaml:2:",
		"apiVersion: guildhall.dev/policy/v1\nassertions:\n  - title: both\n    time: noon\n":                         "policy.yaml:4: assertions[0].time",
		"apiVersion: guildhall.dev/policy/v1\nassertions:\n  - title: neither\n":                                      "policy.yaml:3: assertions[0]: want one of allow",
		"apiVersion: guildhall.dev/policy/v1\nassertions:\n  - allow: {subject: a}\n    deny: {subject: a}\n":         "policy.yaml:3: assertions[0]: want one of allow",
		"apiVersion: guildhall.dev/policy/v1\nassertions:\n  - subjects: {permission: a.b.c}\n":                       "policy.yaml:3: assertions[0].subjects: want one of equals",
		"apiVersion: guildhall.dev/policy/v1\nassertions:\n  - resources: {equals: [], includes: []}\n":               "policy.yaml:3: assertions[0].resources: want one of equals",
		"apiVersion: guildhall.dev/policy/v1\nassertions:\n  - subjects: {excludes: [], attributes: {colour: red}}\n": "policy.yaml:3: assertions[0].subjects.attributes: want address",
		"apiVersion: guildhall.dev/policy/v1\nresourceTypes:\n  - id: r\n    actions:\n      - {id: x, level: all}\n": "policy.yaml:5: resourceTypes[0].actions[0].level",
	} {
		_, err := parse("policy.yaml", home, []byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestExplain_serverFaultsHaveTheirLine(t *testing.T) {
	f := read(t, "apiVersion: guildhall.dev/policy/v1\n\nroles:\n  - id: a\n    permissions:\n      - x.y.z\n  - id: b\n")
	err := f.explain(&problem{Reason: "POLICY_INVALID", Violations: []violation{
		{Field: "policy.roles[0].permissions[0]", Description: "unknown"}, {Field: "policy.roles[1].includedRoles[3]", Description: "missing"},
	}})
	for _, want := range []string{"policy.yaml:6: roles[0].permissions[0]: unknown", "policy.yaml:7: roles[1].includedRoles[3]: missing"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestWrite_isReadAsTheSame(t *testing.T) {
	text, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	f := read(t, string(text))
	p := proto.CloneOf(f.policy)
	p.Assertions = nil // of the file alone
	for i, g := range p.GetGrants() {
		g.Name = home + "/grants/g" + string(rune('a'+i))
	}
	written, err := write(home, p)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p, read(t, string(written)).policy, protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got):\n%s\n%s", diff, written)
	}
	again, err := write(home, p)
	if err != nil || string(again) != string(written) {
		t.Errorf("the same policy is written in two ways: %v", err)
	}
}
