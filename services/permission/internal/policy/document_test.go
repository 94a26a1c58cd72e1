package policy_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/errs"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

func TestPlan_refusesWhatADocumentCannotSay(t *testing.T) {
	d := open(t, "bolt")
	d.managed(t)
	for name, test := range map[string]struct {
		spoil         func(doc *permissionv1.Policy)
		kind          errs.Kind
		reason, field string
	}{
		"a policy id":      {func(doc *permissionv1.Policy) { doc.PolicyId = "No" }, errs.Invalid, "RESOURCE_NAME_INVALID", "policy.policy_id"},
		"a type twice":     {func(doc *permissionv1.Policy) { doc.ResourceTypes = append(doc.ResourceTypes, doc.ResourceTypes[0]) }, errs.Invalid, "POLICY_ITEM_REPEATED", "policy.resource_types[1]"},
		"a role twice":     {func(doc *permissionv1.Policy) { doc.Roles = append(doc.Roles, doc.Roles[0]) }, errs.Invalid, "POLICY_ITEM_REPEATED", "policy.roles[2]"},
		"properties twice": {func(doc *permissionv1.Policy) { doc.Properties = append(doc.Properties, doc.Properties[0]) }, errs.Invalid, "POLICY_ITEM_REPEATED", "policy.properties[1]"},
		"a grant twice":    {func(doc *permissionv1.Policy) { doc.Grants = append(doc.Grants, doc.Grants[0]) }, errs.Invalid, "POLICY_ITEM_REPEATED", "policy.grants[1]"},
		"a grant twice, named once": {func(doc *permissionv1.Policy) {
			doc.Grants = append(doc.Grants, named(doc.Grants[0], acme+"/grants/g1"))
		}, errs.Invalid, "POLICY_ITEM_REPEATED", "policy.grants[1]"},
		"a built-in role":         {func(doc *permissionv1.Policy) { doc.Roles[0].Name = "roles/viewer" }, errs.Invalid, "POLICY_ROLE_BUILT_IN", "policy.roles[0]"},
		"another tenant's type":   {func(doc *permissionv1.Policy) { doc.ResourceTypes[0].Name = "organizations/zeta/resourceTypes/record" }, errs.Invalid, "RESOURCE_FOREIGN", "policy.resource_types[0]"},
		"another tenant's role":   {func(doc *permissionv1.Policy) { doc.Roles[1].Name = "organizations/zeta/roles/x" }, errs.Invalid, "RESOURCE_FOREIGN", "policy.roles[1]"},
		"another tenant's grant":  {func(doc *permissionv1.Policy) { doc.Grants[0].Name = "organizations/zeta/grants/g" }, errs.Invalid, "RESOURCE_FOREIGN", "policy.grants[0]"},
		"another tenant's entity": {func(doc *permissionv1.Policy) { doc.Properties[0].Entity = "organizations/zeta/staff/z" }, errs.Invalid, "RESOURCE_FOREIGN", "policy.properties[0].entity"},
		"a name of nothing":       {func(doc *permissionv1.Policy) { doc.Roles[0].Name = acme + "/rolls/x" }, errs.Invalid, "RESOURCE_NAME_INVALID", "policy.roles[0]"},
		"a grant that is kept":    {func(doc *permissionv1.Policy) { doc.Grants[0].Name = acme + "/grants/kept" }, errs.Precondition, "GRANT_MANAGED", "policy.grants[0]"},
		"several": {func(doc *permissionv1.Policy) {
			doc.Roles[0].Name, doc.Roles[1].Name = "roles/viewer", "roles/staff"
		}, errs.Invalid, "POLICY_INVALID", "policy.roles[0]"},
	} {
		t.Run(name, func(t *testing.T) {
			doc := records()
			test.spoil(doc)
			_, err := d.tryPlan(doc, false)
			wantError(t, err, test.kind, test.reason)
			if v := errs.From(err).Violations; len(v) == 0 || v[0].Field != test.field {
				t.Errorf("the violations are %v, want one of %s first", v, test.field)
			}
		})
	}
}

func named(g *permissionv1.Grant, name string) *permissionv1.Grant {
	g = proto.CloneOf(g)
	g.Name = name
	return g
}

// TestPlan_namesAGrantByWhatItSays: two plans agree, and so do two
// installations; why it was given and until when make no other grant of it.
func TestPlan_namesAGrantByWhatItSays(t *testing.T) {
	d := open(t, "bolt")
	nameOf := func(change func(g *permissionv1.Grant)) string {
		doc := &permissionv1.Policy{Grants: []*permissionv1.Grant{{Subject: sue, Role: "roles/viewer", Resource: acme}}}
		change(doc.Grants[0])
		return d.plan(doc, false).Changes[0].Name
	}
	first := nameOf(func(*permissionv1.Grant) {})
	if again := nameOf(func(g *permissionv1.Grant) { g.Reason = "because" }); again != first {
		t.Errorf("named %s and %s", first, again)
	}
	for what, change := range map[string]func(g *permissionv1.Grant){
		"subject":   func(g *permissionv1.Grant) { g.Subject = carl },
		"role":      func(g *permissionv1.Grant) { g.Role = "roles/auditor" },
		"resource":  func(g *permissionv1.Grant) { g.Resource = record },
		"effect":    func(g *permissionv1.Grant) { g.Effect = permissionv1.Effect_EFFECT_DENY },
		"condition": func(g *permissionv1.Grant) { g.Condition = &permissionv1.Condition{Expression: "true"} },
	} {
		if nameOf(change) == first {
			t.Errorf("a grant with another %s has the same name", what)
		}
	}
	if own := nameOf(func(g *permissionv1.Grant) { g.Name = acme + "/grants/mine" }); own != acme+"/grants/mine" {
		t.Errorf("a grant with a name of its own is %s", own)
	}
}

// TestPlan_theOrderOfListsIsNoDifference: what the store keeps in its own order
// is what the document says in another.
func TestPlan_theOrderOfListsIsNoDifference(t *testing.T) {
	d := open(t, "bolt")
	doc := &permissionv1.Policy{Roles: []*permissionv1.Role{{
		Name: acme + "/roles/clerk", DisplayName: "Clerk", Permissions: []string{"identity.staff.get", "groupchat.groups.get"},
		Levels: []*permissionv1.CollectionLevel{
			{Collection: "identity.teams", Level: permissionv1.Level_LEVEL_READ}, {Collection: "groupchat.groups", Level: permissionv1.Level_LEVEL_READ},
		},
	}}, Grants: []*permissionv1.Grant{{Subject: sue, Role: "roles/viewer", Resource: acme, Effect: permissionv1.Effect_EFFECT_ALLOW}}}
	d.apply(doc, false)
	r := doc.GetRoles()[0]
	r.Permissions[0], r.Permissions[1] = r.Permissions[1], r.Permissions[0]
	r.Levels[0], r.Levels[1] = r.Levels[1], r.Levels[0]
	doc.Grants[0].Effect = permissionv1.Effect_EFFECT_UNSPECIFIED
	wantChanges(t, short(d.plan(doc, false)))
}
