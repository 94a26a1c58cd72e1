package policy_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/structpb"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

func (d *desk) export(id string) (doc *permissionv1.Policy) {
	d.t.Helper()
	d.View(func(r kv.Reader) (err error) {
		doc, err = d.Export(r, acme, id)
		return err
	})
	return doc
}

func TestExport_isWhatWasApplied(t *testing.T) {
	each(t, func(t *testing.T, d *desk) {
		d.apply(records(), false)
		byHand := d.Grant(carl, "roles/viewer", acme)
		d.managed(t)
		d.update(func(tx kv.Tx) error { // data of an application
			_, _, err := d.Loader.Properties.Put(tx, d.House.Now, acme+"/records/r2", &structpb.Struct{}, "")
			return err
		})
		mine := d.export("main")
		wantChanges(t, short(d.plan(mine, false)))
		if len(mine.GetGrants()) != 1 || len(mine.GetRoles()) != 2 || len(mine.GetResourceTypes()) != 1 || len(mine.GetProperties()) != 1 {
			t.Errorf("exported of the policy: %v", mine)
		}
		whole := d.export("")
		if len(whole.GetGrants()) != 2 || len(whole.GetRoles()) != 2 || len(whole.GetProperties()) != 1 {
			t.Errorf("exported of the organisation: %v", whole)
		}
		p := d.plan(whole, true)
		wantChanges(t, short(p), "ADOPT grants of customers/carl")
		if p.Changes[0].Name != byHand {
			t.Errorf("adopts %s, want %s", p.Changes[0].Name, byHand)
		}
		for _, g := range whole.GetGrants() {
			said := proto.CloneOf(g)
			said.Creator, said.CreateTime, said.Etag, said.ConsistencyToken = "", nil, "", ""
			if diff := cmp.Diff(said, g, protocmp.Transform()); diff != "" {
				t.Errorf("an exported grant has what no document says (-said +exported):\n%s", diff)
			}
		}
		if other := d.export("other"); proto.Size(other) != proto.Size(&permissionv1.Policy{PolicyId: "other"}) {
			t.Errorf("exported of a policy that there is not: %v", other)
		}
	})
}

func TestExport_ofMoreThanPeopleReviewIsRefused(t *testing.T) {
	d := open(t, "bolt")
	const most = 5000
	d.update(func(tx kv.Tx) error {
		for i := range most + 1 {
			if _, _, err := d.Grants.Create(tx, d.House.Now, &permissionv1.Grant{
				Name: fmt.Sprintf("%s/grants/g%d", acme, i), Subject: sue, Role: "roles/viewer", Resource: fmt.Sprintf("%s/groups/g%d", acme, i),
			}); err != nil {
				return err
			}
		}
		return nil
	})
	d.View(func(r kv.Reader) error {
		_, err := d.Export(r, acme, "")
		wantError(t, err, errs.Precondition, "POLICY_TOO_LARGE")
		return nil
	})
	d.update(func(tx kv.Tx) error { return d.remove(tx, acme+"/grants/g0") })
	if n := len(d.export("").GetGrants()); n != most {
		t.Errorf("exported %d grants, want %d", n, most)
	}
}
