package policy

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/errs"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

func TestChange_saysHowTwoThingsDiffer(t *testing.T) {
	field := func(name string, removed, added []string) *permissionv1.PolicyFieldChange {
		return &permissionv1.PolicyFieldChange{Field: name, Removed: removed, Added: added}
	}
	for what, test := range map[string]struct {
		name     string
		old, now proto.Message
		want     []*permissionv1.PolicyFieldChange
	}{
		"elements of a list": {acme + "/roles/r",
			&permissionv1.Role{Permissions: []string{"a.b.c", "a.b.d"}}, &permissionv1.Role{Permissions: []string{"a.b.d", "a.b.e"}},
			[]*permissionv1.PolicyFieldChange{field("permissions", []string{"a.b.c"}, []string{"a.b.e"})}},
		"a text that is new, and one that goes": {acme + "/roles/r",
			&permissionv1.Role{DisplayName: "Clerk"}, &permissionv1.Role{Description: "Reads"},
			[]*permissionv1.PolicyFieldChange{field("display_name", []string{"Clerk"}, nil), field("description", nil, []string{"Reads"})}},
		"a message, as JSON": {acme + "/roles/r",
			&permissionv1.Role{}, &permissionv1.Role{Levels: []*permissionv1.CollectionLevel{{Collection: "identity.teams", Level: permissionv1.Level_LEVEL_READ}}},
			[]*permissionv1.PolicyFieldChange{field("levels", nil, []string{`{"collection":"identity.teams","level":"LEVEL_READ"}`})}},
		"a time, and an effect": {acme + "/grants/g",
			&permissionv1.Grant{ExpireTime: &timestamppb.Timestamp{Seconds: 1_800_000_000}}, &permissionv1.Grant{Effect: permissionv1.Effect_EFFECT_DENY},
			[]*permissionv1.PolicyFieldChange{field("expire_time", []string{"2027-01-15T08:00:00Z"}, nil), field("effect", nil, []string{"EFFECT_DENY"})}},
		"what the server sets is no difference": {acme + "/grants/g",
			&permissionv1.Grant{Creator: acme + "/staff/sue", Etag: "1"}, &permissionv1.Grant{Creator: acme + "/staff/tom"}, nil},
		"properties may be about people": {acme + "/staff/sue#properties",
			&permissionv1.Properties{}, &permissionv1.Properties{Values: &structpb.Struct{Fields: map[string]*structpb.Value{"level": structpb.NewStringValue("gold")}}}, nil},
	} {
		c := Change{Action: permissionv1.PolicyChange_ACTION_UPDATE, Name: test.name, Field: "policy.x[0]", Old: test.old, Now: test.now}
		if diff := cmp.Diff(test.want, c.Proto().GetFields(), protocmp.Transform()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	gone := Change{Action: permissionv1.PolicyChange_ACTION_DELETE, Name: acme + "/grants/g", Old: &permissionv1.Grant{Subject: acme + "/staff/sue"}}
	if p := gone.Proto(); p.GetGrant().GetSubject() != acme+"/staff/sue" || p.GetFields() != nil || gone.Collection() != "grants" {
		t.Errorf("what goes is shown as %v", p)
	}
}

func TestFaults_areToldTogether(t *testing.T) {
	broken, refused := errors.New("the disk is full"), errs.New(errs.Denied, "PERMISSION_DENIED", "no")
	f := &Faults{}
	if err := f.Add("policy.roles[0]", nil); err != nil || f.Err() != nil {
		t.Errorf("nothing is a fault: %v, %v", err, f.Err())
	}
	if err := f.Add("policy.roles[0]", broken); !errors.Is(err, broken) {
		t.Errorf("the store's error is %v", err)
	}
	if err := f.Add("policy.roles[0]", refused); !errs.Is(err, errs.Denied) || errs.From(err).Violations[0].Field != "policy.roles[0]" {
		t.Errorf("a refusal is %v", err)
	}
	if err := f.Add("policy.roles[2]", errs.InvalidField("role.permissions[1]", "PERMISSION_UNKNOWN", "name one")); err != nil {
		t.Error(err)
	}
	one := f.Err()
	if errs.ReasonOf(one) != "PERMISSION_UNKNOWN" || errs.From(one).Violations[0].Field != "policy.roles[2].permissions[1]" {
		t.Errorf("one fault is %v %v", one, errs.From(one).Violations)
	}
	if err := f.Add("policy.grants[0]", errs.NotFoundName("ROLE_NOT_FOUND", acme+"/roles/x")); err != nil {
		t.Error(err)
	}
	two := errs.From(f.Err())
	if two.Kind != errs.Invalid || two.Reason != "POLICY_INVALID" || len(two.Violations) != 2 || two.Violations[1].Field != "policy.grants[0]" {
		t.Errorf("two faults are %v %v", two, two.Violations)
	}
	for range maxFaults {
		if err := f.Add("policy.grants[0]", errs.InvalidField("grant.role", "ROLE_NOT_FOUND", "name one")); err != nil {
			t.Error(err)
		}
	}
	if n := len(errs.From(f.Err()).Violations); n != maxFaults {
		t.Errorf("told at once are %d, want at most %d", n, maxFaults)
	}
}
