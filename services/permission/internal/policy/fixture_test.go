package policy_test

import (
	"testing"

	"google.golang.org/protobuf/types/known/structpb"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/testkit"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/people/peopletest"
	"guildhall.dev/services/permission/internal/policy"
	"guildhall.dev/services/permission/internal/property"
)

const (
	acme   = peopletest.Acme
	sue    = acme + "/staff/sue"
	carl   = acme + "/customers/carl"
	record = acme + "/records/r1"
)

// desk is the centre on a store, with those that make its changes.
type desk struct {
	*peopletest.House
	*policy.Policies
	t *testing.T
}

func open(t *testing.T, engine string) *desk {
	t.Helper()
	h := peopletest.New(t)
	p := policy.New(h.Roles, h.Grants, h.Loader.Properties)
	h.Open(engine, kv.RawTables(p)[1:])
	return &desk{House: h, Policies: p, t: t}
}

func each(t *testing.T, test func(t *testing.T, d *desk)) {
	t.Helper()
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) { test(t, open(t, engine)) })
	}
}

// records is a document with one thing of each kind, and one role that includes
// another and stands before it.
func records() *permissionv1.Policy {
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
		Grants: []*permissionv1.Grant{{Subject: sue, Role: acme + "/roles/reader", Resource: record, Reason: "ticket 1"}},
		Properties: []*permissionv1.Properties{{
			Entity: record, Values: &structpb.Struct{Fields: map[string]*structpb.Value{"status": structpb.NewStringValue("active")}},
		}},
	}
}

// plan returns what the document changes.
func (d *desk) tryPlan(doc *permissionv1.Policy, prune bool) (p *policy.Plan, err error) {
	d.View(func(r kv.Reader) error {
		p, err = d.Plan(r, acme, doc, prune)
		return nil
	})
	return p, err
}

func (d *desk) plan(doc *permissionv1.Policy, prune bool) *policy.Plan {
	d.t.Helper()
	p, err := d.tryPlan(doc, prune)
	if err != nil {
		d.t.Fatalf("Plan: %v", err)
	}
	return p
}

// apply makes the changes of a document in the order of its plan, by the
// centres that they are of, and returns them in short.
func (d *desk) apply(doc *permissionv1.Policy, prune bool) (did []string) {
	d.t.Helper()
	d.update(func(tx kv.Tx) error {
		p, err := d.Plan(tx, acme, doc, prune)
		if err != nil {
			return err
		}
		did = short(p)
		for _, c := range p.Changes {
			if err := d.change(tx, c); err != nil {
				return err
			}
		}
		return d.Settle(tx, p)
	})
	return did
}

func (d *desk) update(fn func(tx kv.Tx) error) {
	d.t.Helper()
	if err := d.Store.Update(d.t.Context(), fn); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) change(tx kv.Tx, c policy.Change) (err error) {
	if c.Action == permissionv1.PolicyChange_ACTION_ADOPT {
		return nil
	}
	at := d.House.Now
	switch thing := c.Now.(type) {
	case *permissionv1.ResourceType:
		if c.Old != nil {
			_, _, err = d.Roles.UpdateType(tx, at, thing, "")
		} else {
			_, _, err = d.Roles.CreateType(tx, at, thing)
		}
	case *permissionv1.Role:
		if c.Old != nil {
			_, _, err = d.Roles.Update(tx, at, sue, thing, "")
		} else {
			_, _, err = d.Roles.Create(tx, at, sue, thing)
		}
	case *permissionv1.Grant:
		if c.Old != nil {
			if _, _, err = d.Grants.Delete(tx, at, c.Name, ""); err != nil {
				return err
			}
		}
		_, _, err = d.Grants.Create(tx, at, thing)
	case *permissionv1.Properties:
		_, _, err = d.Loader.Properties.Put(tx, at, thing.GetEntity(), thing.GetValues(), "")
	default:
		return d.remove(tx, c.Name)
	}
	return err
}

// remove deletes a thing as somebody does by hand.
func (d *desk) remove(tx kv.Tx, name string) (err error) {
	at := d.House.Now
	switch (policy.Change{Name: name}).Collection() {
	case "roles":
		_, _, err = d.Roles.Delete(tx, at, name, "")
	case "grants":
		_, _, err = d.Grants.Delete(tx, at, name, "")
	case "resourceTypes":
		_, _, err = d.Roles.DeleteType(tx, at, name, "")
	default:
		_, _, err = d.Loader.Properties.Delete(tx, at, property.NameOf(name), "")
	}
	return err
}

// managed makes a grant that service groupchat keeps.
func (d *desk) managed(t *testing.T) {
	t.Helper()
	d.update(func(tx kv.Tx) error {
		_, err := d.Grants.SetManaged(tx, d.House.Now, grant.Word{
			Service: "groupchat", Subject: sue, Resource: acme + "/groups/g1", Role: "roles/group.member", Version: 1,
		}, "kept")
		return err
	})
}

// short writes the changes of a plan as "CREATE roles/reader", a grant's by
// whom it is to.
func short(p *policy.Plan) (out []string) {
	for _, c := range p.Changes {
		name := c.Name[len(acme)+1:]
		if g := c.Proto().GetGrant(); g != nil {
			name = "grants of " + g.GetSubject()[len(acme)+1:]
		}
		out = append(out, c.Action.String()[len("ACTION_"):]+" "+name)
	}
	return out
}

func wantError(t *testing.T, err error, kind errs.Kind, reason string) {
	t.Helper()
	peopletest.WantError(t, err, kind, reason)
}
