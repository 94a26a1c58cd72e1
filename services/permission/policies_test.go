package permission_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/testkit"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// records is a document with one of each: a type, two roles of which one
// includes the other and comes first, a grant and what follows from it.
func records() *permissionv1.Policy {
	ask := func(permission string) *permissionv1.CheckQuery {
		return &permissionv1.CheckQuery{Subject: sue, Permission: permission, Resource: acme + "/records/record-1"}
	}
	return &permissionv1.Policy{
		ResourceTypes: []*permissionv1.ResourceType{{
			Name: acme + "/resourceTypes/record", Collection: "records", DisplayName: "Record",
			Actions: []*permissionv1.ResourceAction{{Id: "write", Level: permissionv1.Level_LEVEL_EDIT}, {Id: "read", Level: permissionv1.Level_LEVEL_READ}},
		}},
		Roles: []*permissionv1.Role{{
			Name: acme + "/roles/editor", DisplayName: "Editor", Permissions: []string{"custom.records.write"}, IncludedRoles: []string{acme + "/roles/reader"},
		}, {
			Name: acme + "/roles/reader", DisplayName: "Reader", Permissions: []string{"custom.records.read"},
		}},
		Grants: []*permissionv1.Grant{{
			Subject: sue, Role: acme + "/roles/reader", Resource: acme + "/records/record-1", Reason: "ticket 1",
			Condition: &permissionv1.Condition{Expression: `resource.properties.status == "active"`},
		}},
		Properties: []*permissionv1.Properties{{
			Entity: acme + "/records/record-1", Values: &structpb.Struct{Fields: map[string]*structpb.Value{"status": structpb.NewStringValue("active")}},
		}},
		Assertions: []*permissionv1.PolicyAssertion{
			{Title: "sue reads", Expectation: &permissionv1.PolicyAssertion_Allow{Allow: ask("custom.records.read")}},
			{Title: "sue does not write", Expectation: &permissionv1.PolicyAssertion_Deny{Deny: ask("custom.records.write")}},
		},
	}
}

func (c *client) plan(t testing.TB, d *permissionv1.Policy) *permissionv1.PolicyPlan {
	t.Helper()
	p, err := c.policies.PlanPolicy(t.Context(), &permissionv1.PlanPolicyRequest{Parent: acme, Policy: d})
	if err != nil {
		t.Fatalf("PlanPolicy: %v", err)
	}
	return p
}

func (c *client) apply(t testing.TB, d *permissionv1.Policy, prune bool) *permissionv1.PolicyPlan {
	t.Helper()
	p, err := c.policies.ApplyPolicy(t.Context(), &permissionv1.ApplyPolicyRequest{Parent: acme, Policy: d, Prune: prune})
	if err != nil {
		t.Fatalf("ApplyPolicy: %v", err)
	}
	return p
}

// did returns the changes of a plan in short.
func did(p *permissionv1.PolicyPlan) (out []string) {
	for _, c := range p.GetChanges() {
		out = append(out, c.GetAction().String()[len("ACTION_"):]+" "+c.GetName()[len(acme)+1:])
	}
	return out
}

func TestApplyPolicy_bringsAboutWhatItSays(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		a := r.as(admin)

		planned := a.plan(t, records())
		g := planned.GetChanges()[4].GetName()[len(acme)+1:]
		want := []string{"CREATE records/record-1#properties", "CREATE resourceTypes/record", "CREATE roles/reader", "CREATE roles/editor", "CREATE " + g}
		if diff := cmp.Diff(want, did(planned)); diff != "" || planned.GetFailedAssertionCount() != 0 || planned.GetCreateCount() != 5 {
			t.Fatalf("planned (-want +got):\n%s\n%v", diff, planned)
		}
		a.wantMay(t, false, sue, "custom.records.read", acme+"/records/record-1")
		if got := a.plan(t, records()).GetEtag(); got != planned.GetEtag() {
			t.Errorf("the same plan has the etags %s and %s", planned.GetEtag(), got)
		}

		applied, err := a.policies.ApplyPolicy(t.Context(), &permissionv1.ApplyPolicyRequest{Parent: acme, Policy: records(), Etag: planned.GetEtag(), RequestId: "r1"})
		if err != nil || !slices.Equal(did(applied), want) || applied.GetRevision() <= planned.GetRevision() {
			t.Fatalf("applied %v, %v", applied, err)
		}
		a.wantMay(t, true, sue, "custom.records.read", acme+"/records/record-1")
		if again := a.plan(t, records()); len(again.GetChanges()) > 0 || again.GetFailedAssertionCount() > 0 {
			t.Errorf("there is still something to do: %v", again)
		}
		retried, err := a.policies.ApplyPolicy(t.Context(), &permissionv1.ApplyPolicyRequest{Parent: acme, Policy: records(), Etag: planned.GetEtag(), RequestId: "r1"})
		if diff := cmp.Diff(applied, retried, protocmp.Transform()); err != nil || diff != "" {
			t.Errorf("a retry (-first +second):\n%s%v", diff, err)
		}
		_, err = a.policies.ApplyPolicy(t.Context(), &permissionv1.ApplyPolicyRequest{Parent: acme, Policy: records(), Etag: planned.GetEtag()})
		wantError(t, err, errs.Conflict, "POLICY_PLAN_OUTDATED")
	})
}

func TestApplyPolicy_changesAndDeletesWhatItOwns(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		a := r.as(admin)
		byHand := a.grant(t, carl, "roles/viewer", acme)
		a.apply(t, records(), false)

		d := records()
		d.ResourceTypes[0].Actions = d.ResourceTypes[0].Actions[1:] // no more writing
		d.Roles = d.Roles[1:]                                       // so no editor
		d.Roles[0].DisplayName = "Reads records"
		d.Grants[0].ExpireTime = timestamppb.New(time.Now().Add(time.Hour))
		d.Assertions = d.Assertions[:1]
		planned := a.plan(t, d)
		grant := planned.GetChanges()[2].GetName()[len(acme)+1:]
		want := []string{"UPDATE resourceTypes/record", "UPDATE roles/reader", "UPDATE " + grant, "DELETE roles/editor"}
		if diff := cmp.Diff(want, did(planned)); diff != "" {
			t.Fatalf("planned (-want +got):\n%s", diff)
		}
		fields := planned.GetChanges()[1].GetFields()
		wantFields := []*permissionv1.PolicyFieldChange{{Field: "display_name", Removed: []string{"Reader"}, Added: []string{"Reads records"}}}
		if diff := cmp.Diff(wantFields, fields, protocmp.Transform()); diff != "" {
			t.Errorf("the role differs (-want +got):\n%s", diff)
		}
		a.apply(t, d, false)
		if left := did(a.plan(t, d)); left != nil {
			t.Errorf("there is still to do: %v", left)
		}
		a.wantMay(t, true, sue, "custom.records.read", acme+"/records/record-1")

		none := &permissionv1.Policy{}
		if got := did(a.plan(t, none)); len(got) != 4 {
			t.Errorf("an empty document deletes %v", got)
		}
		a.apply(t, none, false)
		a.wantMay(t, true, carl, "permission.roles.list", acme)
		pruned := a.apply(t, none, true)
		if len(pruned.GetChanges()) != 1 || pruned.GetChanges()[0].GetName() != byHand.GetName() {
			t.Errorf("pruning deletes %v", did(pruned))
		}
		a.wantMay(t, true, admin, "permission.grants.create", acme)
	})
}

func TestApplyPolicy_takesNothingFromOthers(t *testing.T) {
	in := install(t, testkit.Engines()[0])
	r := in.start()
	in.seed(r)
	a := r.as(admin)
	a.apply(t, records(), false)
	mine := records()
	mine.PolicyId = "other"
	mine.Roles, mine.ResourceTypes, mine.Properties, mine.Assertions = nil, nil, nil, nil
	_, err := a.policies.ApplyPolicy(t.Context(), &permissionv1.ApplyPolicyRequest{Parent: acme, Policy: mine})
	wantError(t, err, errs.Precondition, "POLICY_ITEM_OWNED")

	byHand := a.grant(t, carl, "roles/viewer", acme)
	mine.Grants = []*permissionv1.Grant{{Subject: carl, Role: "roles/viewer", Resource: acme}}
	adopted := a.apply(t, mine, true)
	if got := did(adopted); len(got) != 1 || got[0] != "ADOPT "+byHand.GetName()[len(acme)+1:] {
		t.Errorf("applied %v", got)
	}
	if got := did(a.apply(t, &permissionv1.Policy{PolicyId: "other"}, false)); len(got) != 1 || got[0][:6] != "DELETE" {
		t.Errorf("what was adopted is dropped by %v", got)
	}
}

func TestApplyPolicy_refusesAllOfIt(t *testing.T) {
	in := install(t, testkit.Engines()[0])
	r := in.start()
	in.seed(r)
	a := r.as(admin)
	for name, test := range map[string]struct {
		spoil  func(*permissionv1.Policy)
		kind   errs.Kind
		reason string
		field  string
	}{
		"an assertion fails": {func(d *permissionv1.Policy) {
			d.Assertions[0].Expectation = &permissionv1.PolicyAssertion_Deny{Deny: d.Assertions[0].GetAllow()}
		}, errs.Precondition, "POLICY_ASSERTION_FAILED", "policy.assertions[0]"},
		"an unknown permission": {func(d *permissionv1.Policy) { d.Roles[0].Permissions = []string{"custom.records.burn"} },
			errs.Invalid, "PERMISSION_UNKNOWN", "policy.roles[0].permissions[0]"},
		"an unknown role": {func(d *permissionv1.Policy) { d.Grants[0].Role = acme + "/roles/nobody" },
			errs.NotFound, "ROLE_NOT_FOUND", "policy.grants[0].role"},
		"another tenant's resource": {func(d *permissionv1.Policy) { d.Grants[0].Resource = "organizations/globex" },
			errs.Invalid, "RESOURCE_FOREIGN", "policy.grants[0].resource"},
		"another tenant's role": {func(d *permissionv1.Policy) { d.Roles[1].Name = "organizations/globex/roles/x" },
			errs.Invalid, "RESOURCE_FOREIGN", "policy.roles[1]"},
		"a built-in role": {func(d *permissionv1.Policy) { d.Roles[1].Name = "roles/staff" },
			errs.Invalid, "POLICY_ROLE_BUILT_IN", "policy.roles[1]"},
		"a grant twice": {func(d *permissionv1.Policy) { d.Grants = append(d.Grants, d.Grants[0]) },
			errs.Invalid, "POLICY_ITEM_REPEATED", "policy.grants[1]"},
		"a role that services give": {func(d *permissionv1.Policy) { d.Grants[0].Role = "roles/group.owner" },
			errs.Invalid, "ROLE_MANAGED", "policy.grants[0].role"},
		"a policy id": {func(d *permissionv1.Policy) { d.PolicyId = "No" }, errs.Invalid, "RESOURCE_NAME_INVALID", "policy.policy_id"},
		"several": {func(d *permissionv1.Policy) {
			d.Grants[0].Subject = "organizations/acme/robots/r"
			d.Roles[0].Permissions = []string{"custom.records.burn"}
		}, errs.Invalid, "POLICY_INVALID", "policy.roles[0].permissions[0]"},
	} {
		d := records()
		test.spoil(d)
		_, err := a.policies.ApplyPolicy(t.Context(), &permissionv1.ApplyPolicyRequest{Parent: acme, Policy: d})
		wantError(t, err, test.kind, test.reason)
		if v := errs.From(err).Violations; len(v) == 0 || v[0].Field != test.field {
			t.Errorf("%s: the violations are %v, want one of %s", name, v, test.field)
		}
		if _, err := a.GetRole(t.Context(), &permissionv1.GetRoleRequest{Name: acme + "/roles/reader"}); !errs.Is(err, errs.NotFound) {
			t.Fatalf("%s: half of it is there: %v", name, err)
		}
	}
}

func TestApplyPolicy_nobodyGivesWhatTheyLack(t *testing.T) {
	in := install(t, testkit.Engines()[0])
	r := in.start()
	in.seed(r)
	a := r.as(admin)
	if _, err := a.CreateRole(t.Context(), &permissionv1.CreateRoleRequest{Parent: acme, RoleId: "applier", Role: &permissionv1.Role{
		DisplayName: "Applier", Permissions: []string{"permission.policies.apply", "permission.grants.create"},
	}}); err != nil {
		t.Fatal(err)
	}
	_, err := r.as(sue).policies.ApplyPolicy(t.Context(), &permissionv1.ApplyPolicyRequest{Parent: acme, Policy: records()})
	wantError(t, err, errs.Denied, "PERMISSION_DENIED")
	a.grant(t, sue, acme+"/roles/applier", acme)
	_, err = r.as(sue).policies.ApplyPolicy(t.Context(), &permissionv1.ApplyPolicyRequest{Parent: acme, Policy: records()})
	wantError(t, err, errs.Denied, "PERMISSION_DENIED") // she creates no roles
	d := &permissionv1.Policy{Grants: []*permissionv1.Grant{{Subject: sue, Role: "roles/organization.admin", Resource: acme}}}
	_, err = r.as(sue).policies.ApplyPolicy(t.Context(), &permissionv1.ApplyPolicyRequest{Parent: acme, Policy: d})
	wantError(t, err, errs.Denied, "GRANT_EXCEEDS_CALLER")
	_, err = a.policies.PlanPolicy(t.Context(), &permissionv1.PlanPolicyRequest{Parent: "organizations/globex", Policy: d})
	wantError(t, err, errs.NotFound, "RESOURCE_NOT_FOUND")
}

func TestApplyPolicy_replacesTheAdministratorAtOnce(t *testing.T) {
	in := install(t, testkit.Engines()[0])
	r := in.start()
	in.seed(r)
	a := r.as(admin)
	of := func(account string) *permissionv1.Policy {
		return &permissionv1.Policy{Grants: []*permissionv1.Grant{
			{Name: acme + "/grants/administrator", Subject: account, Role: "roles/organization.admin", Resource: acme},
		}}
	}
	a.apply(t, of(sue), false)
	r.as(sue).wantMay(t, true, sue, "permission.grants.create", acme)
	r.asService("gateway").wantMay(t, false, admin, "permission.roles.create", acme)
	_, err := r.as(sue).policies.ApplyPolicy(t.Context(), &permissionv1.ApplyPolicyRequest{Parent: acme, Policy: &permissionv1.Policy{}})
	wantError(t, err, errs.Precondition, "LAST_ADMINISTRATOR")
}

func TestExportPolicy_appliesToNoChange(t *testing.T) {
	in := install(t, testkit.Engines()[0])
	r := in.start()
	in.seed(r)
	a := r.as(admin)
	a.apply(t, records(), false)
	a.grant(t, carl, "roles/viewer", acme)
	whole, err := a.policies.ExportPolicy(t.Context(), &permissionv1.ExportPolicyRequest{Parent: acme})
	if err != nil || len(whole.GetGrants()) != 2 || len(whole.GetRoles()) != 2 || len(whole.GetResourceTypes()) != 1 {
		t.Fatalf("exported %v, %v", whole, err)
	}
	mine, err := a.policies.ExportPolicy(t.Context(), &permissionv1.ExportPolicyRequest{Parent: acme, PolicyId: "main"})
	if err != nil || len(mine.GetGrants()) != 1 || len(mine.GetProperties()) != 1 {
		t.Fatalf("exported %v, %v", mine, err)
	}
	if left := did(a.plan(t, mine)); left != nil {
		t.Errorf("what was exported is not what is there: %v", left)
	}
	both := proto.CloneOf(whole)
	if left := did(a.plan(t, both)); len(left) != 1 || left[0][:5] != "ADOPT" {
		t.Errorf("what was exported is not what is there: %v", left)
	}
}
