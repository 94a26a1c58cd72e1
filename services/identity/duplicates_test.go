package identity_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/datamask"
	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// five are customers of whom c1 to c4 may be one person.
func five(p *process, ctx context.Context) {
	p.t.Helper()
	for id, c := range map[string]*identityv1.Customer{
		"c1": {DisplayName: "王小明", Email: "xm.wang@example.com", Phone: "+8613800138000", Country: "China"},
		"c2": {DisplayName: "Wang Xiaoming", Email: "XM.Wang@work.example", Country: "China"},
		"c3": {DisplayName: "小明王", Phone: "+113800138000"},
		"c4": {DisplayName: "王小明", Email: "someone@example.com", Phone: "+8613900139000", Country: "France"},
		"c5": {DisplayName: "李雷", Email: "info@example.com"},
		"c6": {DisplayName: "韩梅", Email: "info@work.example"},
	} {
		p.add(ctx, id, c)
	}
}

func TestFindDuplicates_saysWhoAndWhy(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		five(p, ctx)
		for id, want := range map[string]string{
			"c1": "c2 ~NAME +EMAIL +COUNTRY",
			"c2": "c1 ~NAME +EMAIL +COUNTRY",
			"c5": "", // info@ is nobody's own
		} {
			if got := p.alike(ctx, id, 0); got != want {
				t.Errorf("of %s: %q, want %q", id, got, want)
			}
		}
		if got := p.alike(ctx, "c1", 0.05); !strings.Contains(got, "c4 +NAME -EMAIL -PHONE -COUNTRY") {
			t.Errorf("with a low score: %q", got)
		}
		find := func(name string) error {
			return second(p.duplicates().FindDuplicates(ctx, &identityv1.FindDuplicatesRequest{Name: name}))
		}
		wantError(t, find(org+"/customers/none"), errs.NotFound, "CUSTOMER_NOT_FOUND")
		wantError(t, find("organizations/other/customers/c1"), errs.NotFound, "RESOURCE_NOT_FOUND")
		wantError(t, find(org+"/staff/admin"), errs.Invalid, "RESOURCE_NAME_INVALID")
		wantError(t, second(p.duplicates().FindDuplicates(ctx, &identityv1.FindDuplicatesRequest{Name: org + "/customers/c1", MinScore: 2})), errs.Invalid, "VALIDATION_FAILED")
		// Who is deleted is nobody's duplicate, and has none.
		if _, err := p.customers().DeleteCustomer(ctx, &identityv1.DeleteCustomerRequest{Name: org + "/customers/c2"}); err != nil {
			t.Fatal(err)
		}
		wantError(t, find(org+"/customers/c2"), errs.Precondition, "ILLEGAL_STATE")
		if got := p.alike(ctx, "c1", 0); strings.Contains(got, "c2") {
			t.Errorf("a deleted one is found: %q", got)
		}
		p.checker.forbid("identity.customers.findDuplicates")
		wantError(t, find(org+"/customers/c1"), errs.Denied, "PERMISSION_DENIED")
	})
}

// TestFindDuplicates_tellsNobodyOfWhomTheyDoNotSee: not of accounts, nor by fields.
func TestFindDuplicates_tellsNobodyOfWhomTheyDoNotSee(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	five(p, ctx)
	c1, c2 := org+"/customers/c1", org+"/customers/c2"
	for want, hide := range map[string][2][]string{
		"":                                    {{c2}, nil},
		"c3 ~NAME | c1 ~NAME +COUNTRY":        {nil, {"contact " + c1}},
		"c1 +EMAIL +COUNTRY":                  {nil, {"identity " + c2}},
		"c1 ~NAME +EMAIL +COUNTRY | c3 ~NAME": {nil, {"note " + c2}},
	} {
		p.permission.hide(hide[0], hide[1])
		of := "c2"
		if want == "" {
			of = "c1"
		}
		got := p.alike(ctx, of, 0.01)
		if want == "" && strings.Contains(got, "c2") || want != "" && got != want {
			t.Errorf("hidden %v: %q, want %q", hide, got, want)
		}
	}
	p.permission.hide([]string{c1}, nil)
	if found, _ := p.pairs(ctx, 0); strings.Contains(found, "c1") {
		t.Errorf("pairs of who is not seen: %s", found)
	}
	p.permission.hide(nil, []string{"contact " + c1, "identity " + c1})
	if found, _ := p.pairs(ctx, 0); strings.Contains(found, "c1") {
		t.Errorf("pairs that only hidden fields speak for: %s", found)
	}
	p.permission.set(false, lacking("identity.customers.get"))
	wantError(t, second(p.duplicates().FindDuplicates(ctx, &identityv1.FindDuplicatesRequest{Name: c1})), errs.Denied, "PERMISSION_DENIED")
	p.permission.set(true)
	wantError(t, second(p.duplicates().ListDuplicatePairs(ctx, &identityv1.ListDuplicatePairsRequest{Parent: org})), errs.Unavailable, "PERMISSION_UNAVAILABLE")
}

// TestDuplicateEvidence_isOfTheClassesOfTheFields: what is hidden of a customer is
// hidden of what speaks for a pair.
func TestDuplicateEvidence_isOfTheClassesOfTheFields(t *testing.T) {
	for path, want := range map[string]string{
		"display_name": "identity", "external_id": "identity", "email": "contact", "phone": "contact", "country": "",
	} {
		got := strings.Join(datamask.ClassesAt((&identityv1.Customer{}).ProtoReflect().Descriptor(), path), " ")
		if got != want {
			t.Errorf("%s is of class %q, and the evidence of %q", path, got, want)
		}
	}
}

func TestListDuplicatePairs_eachOnceInPages(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		chief, _ := other(t, p, ctx)
		five(p, ctx)
		if _, err := p.customers().CreateCustomer(chief, &identityv1.CreateCustomerRequest{
			Parent: "organizations/other", CustomerId: "c1", Customer: &identityv1.Customer{DisplayName: "王小明", Phone: "+8613800138000"},
		}); err != nil {
			t.Fatal(err)
		}
		const want = "c1-c2 c1-c3 c1-c4 c2-c3 c2-c4"
		for _, size := range []int32{0, 3, 2, 1} {
			found, pages := p.pairs(ctx, size)
			if sorted(found) != want || size > 0 && pages < 5/int(size) {
				t.Errorf("in pages of %d: %s in %d pages, want %s", size, sorted(found), pages, want)
			}
		}
		// A key that only one has left is shared no more.
		if _, err := p.customers().UpdateCustomer(ctx, &identityv1.UpdateCustomerRequest{
			Customer: &identityv1.Customer{Name: org + "/customers/c1", Phone: "+8613700137000", Email: "other.one@example.com"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"phone", "email"}},
		}); err != nil {
			t.Fatal(err)
		}
		if found, _ := p.pairs(ctx, 0); sorted(found) != "c1-c2 c1-c4 c2-c3 c2-c4" {
			t.Errorf("after a change: %s", found)
		}
		for _, id := range []string{"c2", "c4"} {
			if _, err := p.customers().DeleteCustomer(ctx, &identityv1.DeleteCustomerRequest{Name: org + "/customers/" + id}); err != nil {
				t.Fatal(err)
			}
		}
		if found, _ := p.pairs(ctx, 0); found != "" {
			t.Errorf("when the others are gone: %s", found)
		}
		list := func(parent, token string, least float64) error {
			return second(p.duplicates().ListDuplicatePairs(ctx, &identityv1.ListDuplicatePairsRequest{Parent: parent, PageToken: token, MinScore: least}))
		}
		wantError(t, list("organizations/other", "", 0), errs.NotFound, "RESOURCE_NOT_FOUND")
		wantError(t, list(org, "x", 0), errs.Invalid, "PAGE_TOKEN_INVALID")
		wantError(t, list(org, "", -1), errs.Invalid, "VALIDATION_FAILED")
	})
}

// TestFindDuplicates_isNotMisledByWhatManyShare: a name of more than 20 finds nobody,
// and one of some weighs less.
func TestFindDuplicates_isNotMisledByWhatManyShare(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	for i := range 20 {
		p.add(ctx, fmt.Sprintf("c%02d", i), &identityv1.Customer{DisplayName: "张伟"})
	}
	if found, _ := p.pairs(ctx, 7); len(strings.Fields(found)) != 190 {
		t.Errorf("20 who share a name are %d pairs, want 190", len(strings.Fields(found)))
	}
	if got := p.alike(ctx, "c00", 0.5); got != "" {
		t.Errorf("as likely as two of a rare name: %s", got)
	}
	p.add(ctx, "c20", &identityv1.Customer{DisplayName: "张伟", Phone: "+8613800138000"})
	p.add(ctx, "x", &identityv1.Customer{DisplayName: "Wei Zhang", Phone: "+8613800138001"})
	p.add(ctx, "y", &identityv1.Customer{DisplayName: "张伟", Phone: "+113800138000"})
	if got, want := p.alike(ctx, "c20", 0.5), "y +NAME +PHONE | too common NAME"; got != want {
		t.Errorf("found %q, want %q", got, want)
	}
	if found, _ := p.pairs(ctx, 0); found != "c20-y" {
		t.Errorf("pairs are %s", found)
	}
}

// long: a dismissal from its making to its end.
func TestDuplicateDismissal_holdsUntilOneChanges(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		five(p, ctx)
		d, err := p.dismiss(ctx, "d1", "c2", "c1")
		if err != nil || d.GetCreator() != admin || d.GetLapsed() || !strings.HasSuffix(d.GetCustomers()[0], "c1") {
			t.Fatalf("dismissed: %v, %v", d, err)
		}
		if again, err := p.dismiss(ctx, "d1", "c2", "c1"); err != nil || !proto.Equal(again, d) {
			t.Errorf("the same request_id: %v, %v; want the first answer", again, err)
		}
		if found, _ := p.pairs(ctx, 0); strings.Contains(found, "c1-c2") || strings.Contains(p.alike(ctx, "c1", 0), "c2") {
			t.Error("a dismissed pair is found")
		}
		wantError(t, second(p.dismiss(ctx, "d2", "c1", "c2")), errs.Exists, "DUPLICATE_DISMISSAL_EXISTS")
		// A change of what is not compared is none.
		update := func(c *identityv1.Customer, path string) {
			t.Helper()
			c.Name = org + "/customers/c1"
			if _, err := p.customers().UpdateCustomer(ctx, &identityv1.UpdateCustomerRequest{Customer: c, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{path}}}); err != nil {
				t.Fatal(err)
			}
		}
		update(&identityv1.Customer{Language: "en"}, "language")
		if strings.Contains(p.alike(ctx, "c1", 0), "c2") {
			t.Error("another language makes two customers alike again")
		}
		update(&identityv1.Customer{Country: "PRC"}, "country")
		if !strings.Contains(p.alike(ctx, "c1", 0.01), "c2") {
			t.Error("a pair of whom one has changed stays dismissed")
		}
		if got, err := p.duplicates().GetDuplicateDismissal(ctx, &identityv1.GetDuplicateDismissalRequest{Name: d.GetName()}); err != nil || !got.GetLapsed() {
			t.Errorf("the dismissal: %v, %v; want a lapsed one", got, err)
		}
		p.clock.advance(time.Second)
		fresh, err := p.dismiss(ctx, "d3", "c1", "c2")
		if err != nil {
			t.Fatal(err)
		}
		wantError(t, second(p.duplicates().GetDuplicateDismissal(ctx, &identityv1.GetDuplicateDismissalRequest{Name: d.GetName()})), errs.NotFound, "DUPLICATE_DISMISSAL_NOT_FOUND")
		remove := func(etag string) error {
			return second(p.duplicates().DeleteDuplicateDismissal(ctx, &identityv1.DeleteDuplicateDismissalRequest{Name: fresh.GetName(), Etag: etag}))
		}
		wantError(t, remove("wrong"), errs.Conflict, "ETAG_MISMATCH")
		if err := remove(fresh.GetEtag()); err != nil || !strings.Contains(p.alike(ctx, "c1", 0.01), "c2") {
			t.Errorf("taken back: %v, and found %q", err, p.alike(ctx, "c1", 0.01))
		}
		wantError(t, remove(""), errs.NotFound, "DUPLICATE_DISMISSAL_NOT_FOUND")
		if got := strings.Join(append(about(p.events(ctx), d.GetName()), about(p.events(ctx), fresh.GetName())...), " "); got != "duplicate_dismissal.created duplicate_dismissal.deleted duplicate_dismissal.created duplicate_dismissal.deleted" {
			t.Errorf("events are %s", got)
		}
	})
}

func TestDuplicateDismissals_areListedAndRefused(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		five(p, ctx)
		for i, pair := range [][2]string{{"c1", "c2"}, {"c1", "c3"}, {"c4", "c5"}} {
			if _, err := p.dismiss(ctx, fmt.Sprintf("d%d", i), pair[0], pair[1]); err != nil {
				t.Fatal(err)
			}
			p.clock.advance(time.Second)
		}
		list := func(filter string) (ids []string) {
			req := &identityv1.ListDuplicateDismissalsRequest{Parent: org, PageSize: 2, Filter: filter}
			for {
				resp, err := p.duplicates().ListDuplicateDismissals(ctx, req)
				if err != nil {
					t.Fatal(err)
				}
				for _, d := range resp.GetDuplicateDismissals() {
					ids = append(ids, d.GetName()[strings.LastIndexByte(d.GetName(), '/')+1:])
				}
				if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
					return ids
				}
			}
		}
		for filter, want := range map[string]string{
			"": "d2 d1 d0", `customer = "` + org + `/customers/c1"`: "d1 d0", `customer = "` + org + `/customers/none"`: "", `customer = "organizations/other/customers/c1"`: "",
		} {
			if got := strings.Join(list(filter), " "); got != want {
				t.Errorf("with %q: %s, want %s", filter, got, want)
			}
		}
		wantError(t, second(p.duplicates().ListDuplicateDismissals(ctx, &identityv1.ListDuplicateDismissalsRequest{Parent: org, Filter: "x = 1"})), errs.Invalid, "FILTER_INVALID")
		wantError(t, second(p.dismiss(ctx, "e1", "c1", "none")), errs.NotFound, "CUSTOMER_NOT_FOUND")
		wantError(t, second(p.dismiss(ctx, "e2", "c1", "c1")), errs.Invalid, "VALIDATION_FAILED")
		create := func(parent string, customers ...string) error {
			return second(p.duplicates().CreateDuplicateDismissal(ctx, &identityv1.CreateDuplicateDismissalRequest{
				Parent: parent, DuplicateDismissal: &identityv1.DuplicateDismissal{Customers: customers},
			}))
		}
		wantError(t, create(org, org+"/customers/c1", "organizations/other/customers/c1"), errs.NotFound, "RESOURCE_NOT_FOUND")
		wantError(t, create("organizations/other", org+"/customers/c1", org+"/customers/c2"), errs.Invalid, "PARENT_MISMATCH")
		wantError(t, create(org, org+"/customers/c1", org+"/staff/admin"), errs.Invalid, "RESOURCE_NAME_INVALID")
		wantError(t, second(p.duplicates().GetDuplicateDismissal(ctx, &identityv1.GetDuplicateDismissalRequest{Name: "organizations/other/duplicateDismissals/d1"})), errs.NotFound, "RESOURCE_NOT_FOUND")
		p.permission.hide([]string{org + "/customers/c2"}, []string{"note " + org + "/customers/c3"})
		if got := strings.Join(list(""), " "); got != "d2 d1" {
			t.Errorf("who does not see one of the two is told of %s", got)
		}
		hidden := org + "/duplicateDismissals/d0"
		wantError(t, second(p.duplicates().GetDuplicateDismissal(ctx, &identityv1.GetDuplicateDismissalRequest{Name: hidden})), errs.NotFound, "DUPLICATE_DISMISSAL_NOT_FOUND")
		wantError(t, second(p.duplicates().DeleteDuplicateDismissal(ctx, &identityv1.DeleteDuplicateDismissalRequest{Name: hidden, RequestId: "r"})), errs.NotFound, "DUPLICATE_DISMISSAL_NOT_FOUND")
		wantError(t, create(org, org+"/customers/c2", org+"/customers/c4"), errs.NotFound, "CUSTOMER_NOT_FOUND")
		p.permission.hide(nil, nil)
		p.checker.forbid("identity.duplicateDismissals.create")
		wantError(t, create(org, org+"/customers/c1", org+"/customers/c4"), errs.Denied, "PERMISSION_DENIED")
	})
}

// TestDuplicateDismissals_goWithTheirCustomers: nothing says that somebody was like
// one who is purged.
func TestDuplicateDismissals_goWithTheirCustomers(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		five(p, ctx)
		d, err := p.dismiss(ctx, "d1", "c1", "c2")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.customers().DeleteCustomer(ctx, &identityv1.DeleteCustomerRequest{Name: org + "/customers/c2"}); err != nil {
			t.Fatal(err)
		}
		p.clock.advance(31 * 24 * time.Hour)
		p.close()
		next := p.start(config()) // it sweeps at its start
		ctx = next.backIn()
		next.until(func() bool {
			return errs.Is(second(next.duplicates().GetDuplicateDismissal(ctx, &identityv1.GetDuplicateDismissalRequest{Name: d.GetName()})), errs.NotFound)
		})
	})
}
