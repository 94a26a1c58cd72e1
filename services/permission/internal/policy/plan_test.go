package policy_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

func wantChanges(t *testing.T, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

// TestPlan_ofAThingsLife goes through the states that the package draws.
func TestPlan_ofAThingsLife(t *testing.T) {
	each(t, func(t *testing.T, d *desk) {
		wantChanges(t, d.apply(records(), false), "CREATE records/r1#properties", "CREATE resourceTypes/record", "CREATE roles/reader",
			"CREATE roles/editor", "CREATE grants of staff/sue")
		wantChanges(t, d.apply(records(), false)) // owned, and as it is to be

		doc := records()
		doc.Roles[0].DisplayName = "Edits"
		doc.Grants[0].ExpireTime = timestamppb.New(d.House.Now.Add(time.Hour))
		doc.Properties[0].Values.Fields["status"] = structpb.NewStringValue("archived")
		wantChanges(t, d.apply(doc, false), "UPDATE records/r1#properties", "UPDATE roles/editor", "UPDATE grants of staff/sue")

		// Deleted by hand it is made again, and dropped meanwhile it is forgotten.
		d.update(func(tx kv.Tx) error { return d.remove(tx, acme+"/roles/editor") })
		wantChanges(t, short(d.plan(doc, false)), "CREATE roles/editor")
		doc.Roles = doc.Roles[1:]
		wantChanges(t, d.apply(doc, false))
		wantChanges(t, d.apply(doc, false))
		d.update(func(tx kv.Tx) error {
			_, _, err := d.Roles.Create(tx, d.House.Now, sue, &permissionv1.Role{
				Name: acme + "/roles/editor", DisplayName: "Another editor", Permissions: []string{"groupchat.groups.get"},
			})
			return err
		})
		wantChanges(t, d.apply(doc, false)) // it is somebody else's now

		wantChanges(t, d.apply(&permissionv1.Policy{}, false), "DELETE grants of staff/sue", "DELETE roles/reader", "DELETE resourceTypes/record",
			"DELETE records/r1#properties")
		wantChanges(t, d.apply(&permissionv1.Policy{}, false))
	})
}

func TestPlan_adoptsWhatPeopleMade(t *testing.T) {
	each(t, func(t *testing.T, d *desk) {
		byHand := d.Grant(carl, "roles/viewer", acme)
		doc := &permissionv1.Policy{Grants: []*permissionv1.Grant{{Subject: carl, Role: "roles/viewer", Resource: acme}}}
		p := d.plan(doc, false)
		wantChanges(t, short(p), "ADOPT grants of customers/carl")
		if p.Changes[0].Name != byHand || p.Changes[0].Field != "policy.grants[0]" {
			t.Errorf("adopts %v", p.Changes[0])
		}
		d.apply(doc, false)
		wantChanges(t, d.apply(doc, false))
		wantChanges(t, d.apply(&permissionv1.Policy{}, false), "DELETE grants of customers/carl")
	})
}

func TestPlan_aThingHasOneOwner(t *testing.T) {
	each(t, func(t *testing.T, d *desk) {
		d.apply(records(), false)
		other := records()
		other.PolicyId = "other"
		other.ResourceTypes, other.Roles, other.Properties = nil, nil, nil
		_, err := d.tryPlan(other, false)
		wantError(t, err, errs.Precondition, "POLICY_ITEM_OWNED")
		if e := errs.From(err); e.Metadata["policy"] != "main" || len(e.Violations) != 1 || e.Violations[0].Field != "policy.grants[0]" {
			t.Errorf("refused with %v, %v", e.Metadata, e.Violations)
		}
		// One that is gone is free, even before its owner drops it.
		gone := d.export("main").GetGrants()[0].GetName()
		d.update(func(tx kv.Tx) error { return d.remove(tx, gone) })
		wantChanges(t, d.apply(other, false), "CREATE grants of staff/sue")
		_, err = d.tryPlan(records(), false)
		wantError(t, err, errs.Precondition, "POLICY_ITEM_OWNED")
	})
}

func TestPlan_pruneTakesWhatNobodyOwns(t *testing.T) {
	each(t, func(t *testing.T, d *desk) {
		other := records()
		other.PolicyId = "other"
		d.apply(other, false)
		d.managed(t)
		d.Grant(carl, "roles/viewer", acme)
		d.update(func(tx kv.Tx) error {
			_, err := d.Grants.Seed(tx, d.House.Now, acme, acme+"/staff/admin", "services/permission", false)
			return err
		})
		doc := &permissionv1.Policy{}
		wantChanges(t, short(d.plan(doc, false)))
		// Not another policy's, nor what services keep or made.
		wantChanges(t, d.apply(doc, true), "DELETE grants of customers/carl")
		wantChanges(t, d.apply(doc, true))
	})
}

func TestPlan_etagNamesTheChanges(t *testing.T) {
	d := open(t, "bolt")
	etag := func(doc *permissionv1.Policy) string {
		t.Helper()
		tag, err := d.plan(doc, false).Etag()
		if err != nil {
			t.Fatal(err)
		}
		return tag
	}
	seen := []string{etag(records())}
	if again := etag(records()); again != seen[0] {
		t.Errorf("two plans of one document: %s and %s", seen[0], again)
	}
	for _, change := range []func(doc *permissionv1.Policy){
		func(doc *permissionv1.Policy) { doc.PolicyId = "other" },
		func(doc *permissionv1.Policy) { doc.Grants[0].Reason = "ticket 2" },
		func(doc *permissionv1.Policy) { doc.Grants = nil },
		func(doc *permissionv1.Policy) { doc.Properties[0].Values = nil },
	} {
		doc := records()
		change(doc)
		seen = append(seen, etag(doc))
	}
	// The same document does something else in another state.
	d.update(func(tx kv.Tx) error {
		_, _, err := d.Loader.Properties.Put(tx, d.House.Now, record, &structpb.Struct{}, "")
		return err
	})
	seen = append(seen, etag(records()))
	slices.Sort(seen)
	if distinct := len(slices.Compact(slices.Clone(seen))); distinct != len(seen) {
		t.Errorf("%d plans have %d etags", len(seen), distinct)
	}
}
