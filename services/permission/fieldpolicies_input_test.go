package permission_test

import (
	"fmt"
	"slices"
	"testing"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/errs"
	optionsv1 "guildhall.dev/proto/gen/guildhall/options/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

func TestFieldPolicies_badInput(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.fields(admin)
		kept := c.restrict("contact", carl, masked)
		create := func(p *permissionv1.FieldPolicy) error {
			_, err := c.CreateFieldPolicy(t.Context(), &permissionv1.CreateFieldPolicyRequest{Parent: acme, FieldPolicy: p})
			return err
		}
		for _, w := range []struct {
			policy        *permissionv1.FieldPolicy
			kind          errs.Kind
			reason, field string
		}{
			{&permissionv1.FieldPolicy{DataClass: "shoes", Otherwise: hidden}, errs.Invalid, "DATA_CLASS_UNKNOWN", "field_policy.data_class"},
			{&permissionv1.FieldPolicy{DataClass: "contact"}, errs.Invalid, "VALIDATION_FAILED", "field_policy.otherwise"},
			{&permissionv1.FieldPolicy{DataClass: "contact", Otherwise: hidden, Mask: 77}, errs.Invalid, "VALIDATION_FAILED", "field_policy.mask"},
			{&permissionv1.FieldPolicy{DataClass: "contact", Otherwise: hidden, Resource: "organizations/zeta/customers"}, errs.Invalid, "RESOURCE_FOREIGN", "field_policy.resource"},
			{&permissionv1.FieldPolicy{DataClass: "contact", Otherwise: hidden, Resource: "organizations/acme2"}, errs.Invalid, "RESOURCE_FOREIGN", "field_policy.resource"},
			{&permissionv1.FieldPolicy{DataClass: "contact", Otherwise: hidden, Resource: acme + "//x"}, errs.Invalid, "RESOURCE_NAME_INVALID", "field_policy.resource"},
		} {
			wantField(t, create(w.policy), w.kind, w.reason, w.field)
		}
		wantError(t, create(&permissionv1.FieldPolicy{DataClass: "contact", Otherwise: hidden, Resource: carl}), errs.Exists, "FIELD_POLICY_EXISTS")
		_, err := c.UpdateFieldPolicy(t.Context(), &permissionv1.UpdateFieldPolicyRequest{
			FieldPolicy: &permissionv1.FieldPolicy{Name: kept.GetName(), DataClass: "note"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"data_class"}},
		})
		wantError(t, err, errs.Invalid, "UPDATE_MASK_INVALID")
		_, err = c.PreviewFieldVisibility(t.Context(), &permissionv1.PreviewFieldVisibilityRequest{Parent: acme, Subject: acme + "/teams/sales", Resource: carl})
		wantField(t, err, errs.Invalid, "SUBJECT_INVALID", "subject")
		_, err = c.PreviewFieldVisibility(t.Context(), &permissionv1.PreviewFieldVisibilityRequest{Parent: acme, Subject: sue, Resource: "organizations/zeta"})
		wantField(t, err, errs.Invalid, "RESOURCE_FOREIGN", "resource")
	})
}

func TestFieldPolicies_anotherTenantFindsNone(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		p := r.fields(admin).restrict("contact", "", hidden)
		for _, account := range []string{"organizations/zeta/staff/zoe", sue} {
			kind, reason := errs.NotFound, "RESOURCE_NOT_FOUND"
			if account == sue {
				kind, reason = errs.Denied, "PERMISSION_DENIED"
			}
			c := r.fields(account)
			_, err := c.GetFieldPolicy(t.Context(), &permissionv1.GetFieldPolicyRequest{Name: p.GetName()})
			wantError(t, err, kind, reason)
			_, err = c.DeleteFieldPolicy(t.Context(), &permissionv1.DeleteFieldPolicyRequest{Name: p.GetName()})
			wantError(t, err, kind, reason)
			_, err = c.PreviewFieldVisibility(t.Context(), &permissionv1.PreviewFieldVisibilityRequest{Parent: acme, Subject: tom, Resource: carl})
			wantError(t, err, kind, reason)
			_, err = c.Disclose(t.Context(), &permissionv1.DiscloseRequest{Parent: acme, Subject: sue, DataClasses: []string{"contact"}, Resources: []string{carl}})
			wantError(t, err, errs.Denied, "PERMISSION_DENIED")
		}
		// Of oneself everybody may know.
		if got := r.fields(sue).sees(sue, "contact", carl); got != hidden {
			t.Errorf("sue sees %v", got)
		}
	})
}

func TestListFieldPolicies_pagesByName(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.fields(admin)
		var want, got []string
		for i := range 5 {
			want = append(want, c.restrict("contact", fmt.Sprintf("%s/customers/c%d", acme, i), hidden).GetName())
		}
		slices.Sort(want)
		for token := ""; ; {
			page, err := c.ListFieldPolicies(t.Context(), &permissionv1.ListFieldPoliciesRequest{Parent: acme, PageSize: 2, PageToken: token})
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range page.GetFieldPolicies() {
				got = append(got, p.GetName())
			}
			if token = page.GetNextPageToken(); token == "" {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("listed %v, want %v", got, want)
		}
	})
}

func TestListDataClasses_namesFieldsAndPermissions(t *testing.T) {
	in := install(t, "bolt")
	r := in.start()
	in.seed(r)
	c := r.fields(carl) // anybody
	var all []*permissionv1.DataClassInfo
	for token := ""; ; {
		page, err := c.ListDataClasses(t.Context(), &permissionv1.ListDataClassesRequest{PageSize: 2, PageToken: token})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page.GetDataClasses()...)
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	if !slices.IsSortedFunc(all, func(a, b *permissionv1.DataClassInfo) int {
		if a.GetName() < b.GetName() {
			return -1
		}
		return 1
	}) {
		t.Errorf("classes are not in order: %v", all)
	}
	i := slices.IndexFunc(all, func(v *permissionv1.DataClassInfo) bool { return v.GetName() == "contact" })
	if i < 0 || all[i].GetReadPermission() != "data.contact.read" || all[i].GetMaskedPermission() != "data.contact.readMasked" {
		t.Fatalf("classes are %v", all)
	}
	if !slices.ContainsFunc(all[i].GetFields(), func(f *permissionv1.ClassifiedField) bool {
		return f.GetField() == "guildhall.identity.v1.Customer.phone" && f.GetMask() == optionsv1.Mask_MASK_LAST_FOUR
	}) {
		t.Errorf("the fields are %v", all[i].GetFields())
	}
}

// TestDisclose_keysAreForHashesAlone: what interceptors get holds a key only
// where a mask needs it, and it is the same for all who ask.
func TestDisclose_keysAreForHashesAlone(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.fields(admin)
		c.restrict("identity", "", masked)
		if _, err := c.CreateFieldPolicy(t.Context(), &permissionv1.CreateFieldPolicyRequest{Parent: acme, FieldPolicy: &permissionv1.FieldPolicy{
			DataClass: "contact", Otherwise: masked, Mask: optionsv1.Mask_MASK_HASH,
		}}); err != nil {
			t.Fatal(err)
		}
		sister := permissionv1.NewFieldPolicyServiceClient(r.asService("identity").conn)
		resp, err := sister.Disclose(t.Context(), &permissionv1.DiscloseRequest{
			Parent: acme, Subject: sue, DataClasses: []string{"contact", "identity", "note"}, Resources: []string{carl, acme + "/customers/dave"},
		})
		if err != nil || len(resp.GetSights()) != 6 {
			t.Fatalf("%v, %v", resp, err)
		}
		s := resp.GetSights()
		if len(s[0].GetHashKey()) != 32 || string(s[0].GetHashKey()) != string(s[3].GetHashKey()) || s[1].GetHashKey() != nil || s[2].GetHashKey() != nil {
			t.Error("keys are not where hashes are")
		}
		if s[1].GetVisibility() != masked || s[2].GetVisibility() != full {
			t.Errorf("sights are %v and %v", s[1].GetVisibility(), s[2].GetVisibility())
		}
	})
}
