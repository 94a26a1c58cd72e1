package permission_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/testkit"
	auditv1 "guildhall.dev/proto/gen/guildhall/audit/v1"
	optionsv1 "guildhall.dev/proto/gen/guildhall/options/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

const (
	full   = permissionv1.Visibility_VISIBILITY_FULL
	masked = permissionv1.Visibility_VISIBILITY_MASKED
	hidden = permissionv1.Visibility_VISIBILITY_HIDDEN
)

// fieldClient is one who works with field policies.
type fieldClient struct {
	permissionv1.FieldPolicyServiceClient
	t testing.TB
}

func (r *replica) fields(account string) *fieldClient {
	return &fieldClient{permissionv1.NewFieldPolicyServiceClient(r.connect(account)), r.in.t}
}

func (c *fieldClient) restrict(class, on string, otherwise permissionv1.Visibility) *permissionv1.FieldPolicy {
	c.t.Helper()
	p, err := c.CreateFieldPolicy(c.t.Context(), &permissionv1.CreateFieldPolicyRequest{
		Parent: acme, FieldPolicy: &permissionv1.FieldPolicy{DataClass: class, Resource: on, Otherwise: otherwise},
	})
	if err != nil {
		c.t.Fatalf("CreateFieldPolicy(%s): %v", class, err)
	}
	return p
}

// sees returns how the subject sees a class on a resource.
func (c *fieldClient) sees(subject, class, on string) permissionv1.Visibility {
	c.t.Helper()
	return c.sight(subject, class, on).GetVisibility()
}

func (c *fieldClient) sight(subject, class, on string) *permissionv1.ClassVisibility {
	c.t.Helper()
	resp, err := c.PreviewFieldVisibility(c.t.Context(), &permissionv1.PreviewFieldVisibilityRequest{Parent: acme, Subject: subject, Resource: on})
	if err != nil {
		c.t.Fatalf("PreviewFieldVisibility(%s, %s): %v", subject, on, err)
	}
	i := slices.IndexFunc(resp.GetClasses(), func(v *permissionv1.ClassVisibility) bool { return v.GetDataClass() == class })
	if i < 0 {
		c.t.Fatalf("no class %s in %v", class, resp)
	}
	return resp.GetClasses()[i]
}

func TestFieldPolicies_lifeOfAPolicy(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.fields(admin)
		if got := c.sees(sue, "contact", carl); got != full {
			t.Errorf("without a policy sue sees %v", got)
		}
		req := &permissionv1.CreateFieldPolicyRequest{Parent: acme, FieldPolicyId: "p1", RequestId: "r1", FieldPolicy: &permissionv1.FieldPolicy{
			DisplayName: "contacts", DataClass: "contact", Resource: acme, Otherwise: masked, Mask: optionsv1.Mask_MASK_HASH,
		}}
		made, err := c.CreateFieldPolicy(t.Context(), req)
		if err != nil || made.GetName() != acme+"/fieldPolicies/p1" || made.GetResource() != "" || made.GetEtag() == "" {
			t.Fatalf("created %v, %v", made, err)
		}
		if again, err := c.CreateFieldPolicy(t.Context(), req); err != nil || !proto.Equal(again, made) {
			t.Errorf("the retry: %v, %v", again, err)
		}
		req = proto.CloneOf(req)
		req.FieldPolicy.DisplayName = "another"
		_, err = c.CreateFieldPolicy(t.Context(), req)
		wantError(t, err, errs.Invalid, "REQUEST_ID_REUSED")
		if got := c.sight(sue, "contact", carl); got.GetVisibility() != masked || got.GetFieldPolicy() != made.GetName() || got.GetMask() != optionsv1.Mask_MASK_HASH {
			t.Errorf("sue sees %v", got)
		}
		_, err = c.UpdateFieldPolicy(t.Context(), &permissionv1.UpdateFieldPolicyRequest{FieldPolicy: &permissionv1.FieldPolicy{Name: made.GetName(), Otherwise: hidden, Etag: "old"}})
		wantError(t, err, errs.Conflict, "ETAG_MISMATCH")
		changed, err := c.UpdateFieldPolicy(t.Context(), &permissionv1.UpdateFieldPolicyRequest{
			FieldPolicy: &permissionv1.FieldPolicy{Name: made.GetName(), Otherwise: hidden, Etag: made.GetEtag()}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"otherwise"}},
		})
		if err != nil || changed.GetDisplayName() != "contacts" || c.sees(sue, "contact", carl) != hidden {
			t.Errorf("changed %v, %v, and sue sees %v", changed, err, c.sees(sue, "contact", carl))
		}
		if same, err := c.UpdateFieldPolicy(t.Context(), &permissionv1.UpdateFieldPolicyRequest{FieldPolicy: proto.CloneOf(changed)}); err != nil || !proto.Equal(same, changed) {
			t.Errorf("an update to the same: %v, %v", same, err)
		}
		if got, err := c.GetFieldPolicy(t.Context(), &permissionv1.GetFieldPolicyRequest{Name: made.GetName()}); err != nil || !proto.Equal(got, changed) {
			t.Errorf("got %v, %v", got, err)
		}
		if _, err := c.DeleteFieldPolicy(t.Context(), &permissionv1.DeleteFieldPolicyRequest{Name: made.GetName(), Etag: changed.GetEtag()}); err != nil {
			t.Fatal(err)
		}
		if got := c.sees(sue, "contact", carl); got != full {
			t.Errorf("after the policy sue sees %v", got)
		}
		_, err = c.GetFieldPolicy(t.Context(), &permissionv1.GetFieldPolicyRequest{Name: made.GetName()})
		wantError(t, err, errs.NotFound, "FIELD_POLICY_NOT_FOUND")
		want := []string{"created", "updated", "deleted"}
		kinds := r.eventsOf(t, made.GetName())
		if len(kinds) != len(want) {
			t.Fatalf("events %v", kinds)
		}
		for i, kind := range kinds {
			if kind != "guildhall.permission.field_policy."+want[i]+".v1" {
				t.Errorf("event %d is %s", i, kind)
			}
		}
	})
}

// TestFieldPolicies_rolesSayWhoSees: who holds the class's permission sees it,
// by whatever way a grant can be held.
func TestFieldPolicies_rolesSayWhoSees(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c, chief := r.fields(admin), r.as(admin)
		c.restrict("attribute", "", hidden)
		c.restrict("contact", "", hidden)
		attributes := chief.role(t, "attributes", "data.attribute.read")
		veiled := chief.role(t, "veiled", "data.contact.readMasked")
		g := chief.grant(t, sue, attributes.GetName(), carl)
		chief.grant(t, tom, veiled.GetName(), acme)
		dave := acme + "/customers/dave"
		for _, w := range []struct {
			who, class, on string
			want           permissionv1.Visibility
		}{
			{admin, "attribute", carl, full}, {admin, "contact", carl, full},
			{sue, "attribute", carl, full}, {sue, "attribute", carl + "/complaints/c1", full}, {sue, "attribute", dave, hidden},
			{sue, "contact", carl, hidden}, {tom, "attribute", carl, hidden}, {tom, "contact", dave, masked},
			{sue, "contact", sue, full}, // what is one's own
			{carl, "contact", dave, full},
			{sue, "message", carl, full}, // nobody restricts it
		} {
			if got := c.sees(w.who, w.class, w.on); got != w.want {
				t.Errorf("%s sees %s of %s: %v, want %v", w.who, w.class, w.on, got, w.want)
			}
		}
		if s := c.sight(sue, "attribute", carl); s.GetGrant() != g.GetName() || s.GetRole() != attributes.GetName() {
			t.Errorf("sue sees by %v", s)
		}
		chief.revoke(t, g.GetName())
		if got := c.sees(sue, "attribute", carl); got != hidden {
			t.Errorf("after the grant sue sees %v", got)
		}
	})
}

func TestFieldPolicies_theNearestResourceDecides(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.fields(admin)
		c.restrict("contact", acme+"/customers", masked)
		c.restrict("contact", carl, full)
		c.restrict("contact", acme+"/customers/dave", hidden)
		for on, want := range map[string]permissionv1.Visibility{
			acme + "/customers/eve": masked, carl: full, acme + "/customers/dave": hidden, acme + "/customers/carla": masked,
			acme + "/staff/tom": full,
		} {
			if got := c.sees(sue, "contact", on); got != want {
				t.Errorf("on %s sue sees %v, want %v", on, got, want)
			}
		}
		// Of a collection with all that is in it, what is kept from her most.
		for on, want := range map[string]permissionv1.Visibility{acme + "/customers/-": hidden, acme + "/staff/-": full} {
			if got := c.sees(sue, "contact", on); got != want {
				t.Errorf("of all in %s sue sees %v, want %v", on, got, want)
			}
		}
		// Customers are not restricted unless a policy says so.
		if got := c.sees(carl, "contact", acme+"/customers/dave"); got != full {
			t.Errorf("carl sees %v", got)
		}
		if _, err := c.CreateFieldPolicy(t.Context(), &permissionv1.CreateFieldPolicyRequest{Parent: acme, FieldPolicy: &permissionv1.FieldPolicy{
			DataClass: "contact", Otherwise: hidden, IncludeCustomers: true,
		}}); err != nil {
			t.Fatal(err)
		}
		if other, own := c.sees(carl, "contact", acme+"/staff/tom"), c.sees(carl, "contact", carl); other != hidden || own != full {
			t.Errorf("carl sees %v, and of himself %v", other, own)
		}
	})
}

// TestFieldPolicies_maskWhatTheServiceReturns: the interceptors of this service
// apply them to its own answers, whoever calls.
func TestFieldPolicies_maskWhatTheServiceReturns(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c, chief := r.fields(admin), r.as(admin)
		chief.properties(t, carl, `{"spent": 12}`)
		keeper := chief.role(t, "keeper", "permission.properties.get", "permission.properties.update", "permission.properties.list")
		chief.grant(t, sue, keeper.GetName(), acme)
		get := func(who *client) float64 {
			t.Helper()
			p, err := who.GetProperties(t.Context(), &permissionv1.GetPropertiesRequest{Parent: acme, Entity: carl})
			if err != nil {
				t.Fatal(err)
			}
			list, err := who.ListProperties(t.Context(), &permissionv1.ListPropertiesRequest{Parent: acme})
			if err != nil || len(list.GetProperties()) != 1 {
				t.Fatalf("%v, %v", list, err)
			}
			if diff := cmp.Diff(p, list.GetProperties()[0], protocmp.Transform()); diff != "" {
				t.Errorf("the list differs:\n%s", diff)
			}
			if p.GetEtag() == "" || p.GetEntity() != carl {
				t.Errorf("lacks what is not restricted: %v", p)
			}
			return p.GetValues().GetFields()["spent"].GetNumberValue()
		}
		if got := get(r.as(sue)); got != 12 {
			t.Errorf("without a policy sue sees %v", got)
		}
		c.restrict("attribute", "", hidden)
		if got := get(r.as(sue)); got != 0 {
			t.Errorf("sue sees %v", got)
		}
		if got := get(r.as(admin)); got != 12 {
			t.Errorf("admin sees %v", got)
		}
		// Without sight there is no change: it would overwrite what was not seen.
		_, err := r.as(sue).UpdateProperties(t.Context(), &permissionv1.UpdatePropertiesRequest{Parent: acme, Entity: carl, Values: values(t, `{"spent": 0}`)})
		wantError(t, err, errs.Denied, "FIELD_RESTRICTED")
		if meta := errs.From(err).Metadata; meta["data_class"] != "attribute" || meta["resource"] != carl {
			t.Errorf("refused with %v", meta)
		}
	})
}

// TestFieldPolicies_holdOnEveryReplica: with one replica told, the next call on
// another is masked, also from what Redis has.
func TestFieldPolicies_holdOnEveryReplica(t *testing.T) {
	in := install(t, "postgres")
	in.redisURL = testkit.Redis(t).URL
	one := in.start()
	in.seed(one)
	other := in.start()
	chief := one.as(admin)
	chief.properties(t, carl, `{"spent": 12}`)
	keeper := chief.role(t, "keeper", "permission.properties.get")
	chief.grant(t, sue, keeper.GetName(), acme)
	for range 5 {
		p := one.fields(admin).restrict("attribute", "", hidden)
		for _, r := range []*replica{other, in.start()} {
			if got, err := r.as(sue).GetProperties(t.Context(), &permissionv1.GetPropertiesRequest{Parent: acme, Entity: carl}); err != nil || got.GetValues() != nil {
				t.Fatalf("got %v, %v", got, err)
			}
		}
		if _, err := one.fields(admin).DeleteFieldPolicy(t.Context(), &permissionv1.DeleteFieldPolicyRequest{Name: p.GetName()}); err != nil {
			t.Fatal(err)
		}
		if got, err := other.as(sue).GetProperties(t.Context(), &permissionv1.GetPropertiesRequest{Parent: acme, Entity: carl}); err != nil || got.GetValues() == nil {
			t.Fatalf("got %v, %v", got, err)
		}
	}
}

func TestFieldPolicies_deciderSeesTheClass(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c, chief := r.fields(admin), r.as(admin)
		p := c.restrict("contact", "", hidden)
		clerk := chief.role(t, "clerk", "permission.fieldPolicies.create", "permission.fieldPolicies.update", "permission.fieldPolicies.delete")
		chief.grant(t, sue, clerk.GetName(), acme)
		own := r.fields(sue)
		_, err := own.DeleteFieldPolicy(t.Context(), &permissionv1.DeleteFieldPolicyRequest{Name: p.GetName()})
		wantError(t, err, errs.Denied, "GRANT_EXCEEDS_CALLER")
		_, err = own.UpdateFieldPolicy(t.Context(), &permissionv1.UpdateFieldPolicyRequest{FieldPolicy: &permissionv1.FieldPolicy{Name: p.GetName(), Otherwise: full}})
		wantError(t, err, errs.Denied, "GRANT_EXCEEDS_CALLER")
		_, err = own.CreateFieldPolicy(t.Context(), &permissionv1.CreateFieldPolicyRequest{Parent: acme, FieldPolicy: &permissionv1.FieldPolicy{DataClass: "contact", Resource: carl, Otherwise: full}})
		wantError(t, err, errs.Denied, "GRANT_EXCEEDS_CALLER")
		if got := c.sees(sue, "contact", carl); got != hidden {
			t.Errorf("sue sees %v", got)
		}
		r.in.await(func() bool { // refusals are written soon
			audit, err := chief.audit.ListAuditEntries(t.Context(), &auditv1.ListAuditEntriesRequest{Parent: acme, Filter: `actor = "` + sue + `"`})
			return err == nil && len(audit.GetAuditEntries()) == 3
		})
	})
}

// TestCheckCover_sightCountsWhereItIsRestricted: who takes another's place sees
// what that one does.
func TestCheckCover_sightCountsWhereItIsRestricted(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		chief := r.as(admin)
		chief.grant(t, tom, chief.role(t, "seer", "data.contact.read").GetName(), acme)
		identity := r.asService("identity")
		if got := identity.cover(t, sue, tom); !got.GetCovered() {
			t.Errorf("where all see all: %v", got)
		}
		r.fields(admin).restrict("contact", "", masked)
		if got := identity.cover(t, sue, tom); got.GetCovered() || got.GetPermission() != "data.contact.read" {
			t.Errorf("where tom sees more: %v", got)
		}
	})
}
