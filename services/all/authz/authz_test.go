package authz

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

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

func TestParse_faultsHaveTheirLine(t *testing.T) {
	for text, want := range map[string]string{
		"apiVersion: guildhall.dev/policy/v2\n":                                                                       "policy.yaml:1: apiVersion",
		"apiVersion: guildhall.dev/policy/v1\nroles:\n  - id: a\n    colour: red\n":                                   "policy.yaml:4:",
		"apiVersion: guildhall.dev/policy/v1\ngrants:\n  - subject: a\n    effect: maybe\n":                           "policy.yaml:4: grants[0].effect",
		"apiVersion: guildhall.dev/policy/v1\nroles: [\n":                                                             "policy.yaml:2:",
		"apiVersion: guildhall.dev/policy/v1\nassertions:\n  - title: both\n    time: noon\n":                         "policy.yaml:4: assertions[0].time",
		"apiVersion: guildhall.dev/policy/v1\nassertions:\n  - title: neither\n":                                      "policy.yaml:3: assertions[0]: want either",
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
