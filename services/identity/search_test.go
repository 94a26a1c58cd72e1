package identity_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// search returns the ids of the customers that a filter selects, and how many
// pages they came in.
func (p *process) search(ctx context.Context, filter string, size int32) (found string, pages int) {
	p.t.Helper()
	var ids []string
	req := &identityv1.ListCustomersRequest{Parent: org, PageSize: size, Filter: filter}
	for {
		resp, err := p.customers().ListCustomers(ctx, req)
		if err != nil {
			p.t.Fatalf("%s: %v", filter, err)
		}
		pages++
		for _, c := range resp.GetCustomers() {
			ids = append(ids, strings.TrimPrefix(c.GetName(), org+"/customers/"))
		}
		if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
			return strings.Join(ids, " "), pages
		}
	}
}

// long: customers, and what finds them.
func TestListCustomers_searchesByName(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		gold := p.segment(ctx, "gold", "").GetName()
		for id, c := range map[string]*identityv1.Customer{
			"c1": {DisplayName: "张伟", Country: "China", Email: "c1@example.com"},
			"c2": {DisplayName: "张三丰", Country: "China", Email: "c2@example.com"},
			"c3": {DisplayName: "王伟", Country: "China"},
			"c4": {DisplayName: "María González", Country: "Spain"},
			"c5": {DisplayName: "Zhang Wei", Country: "France"},
			"c6": {DisplayName: "单雄信", Country: "France"},
			"c7": {Country: "France"},
		} {
			p.add(ctx, id, c)
		}
		for _, id := range []string{"c1", "c5", "c6"} {
			if _, err := p.segments().CreateSegmentMember(ctx, &identityv1.CreateSegmentMemberRequest{
				Parent: gold, SegmentMember: &identityv1.SegmentMember{Customer: org + "/customers/" + id},
			}); err != nil {
				t.Fatal(err)
			}
		}
		for filter, want := range map[string]string{
			"display_name:\"\u5f20\"":                  "c1 c2",
			"display_name:\"\u5f20\u4e09\"":            "c2",
			"display_name:\"\u4e09\u4e30\"":            "c2",
			"display_name:\"\u4e09\u4f1f\"":            "",
			"display_name:zhang":                       "c1 c2 c5",
			"display_name:ZHANGW":                      "c1",
			`display_name:"zhang wei"`:                 "c1 c5",
			"display_name:zw":                          "c1",
			"display_name:shan":                        "c6",
			`display_name:"gonz mar"`:                  "c4",
			`display_name:zhang AND country = "China"`: "c1 c2",
			`country = "China" AND display_name:zhang AND state = "PENDING"`:      "c1 c2",
			`country = "China" AND state = "ACTIVE"`:                              "",
			`email = "C2@example.com" AND display_name:zhang`:                     "c2",
			`email = "c2@example.com" AND display_name:wei`:                       "",
			`segment = "` + gold + `"`:                                            "c1 c5 c6",
			`segment = "` + gold + `" AND country = "France"`:                     "c5 c6",
			`segment = "` + gold + `" AND country = "France" AND display_name:zh`: "c5",
		} {
			for _, size := range []int32{0, 1, 2} {
				if got, _ := p.search(ctx, filter, size); got != want {
					t.Errorf("%s in pages of %d: %s, want %s", filter, size, got, want)
				}
			}
		}
		// The index follows the record.
		if _, err := p.customers().UpdateCustomer(ctx, &identityv1.UpdateCustomerRequest{
			Customer: &identityv1.Customer{Name: org + "/customers/c5", DisplayName: "Li Wei"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"display_name"}},
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := p.customers().DeleteCustomer(ctx, &identityv1.DeleteCustomerRequest{Name: org + "/customers/c1"}); err != nil {
			t.Fatal(err)
		}
		for filter, want := range map[string]string{"display_name:zhang": "c2", "display_name:li": "c5", `segment = "` + gold + `"`: "c5 c6"} {
			if got, _ := p.search(ctx, filter, 0); got != want {
				t.Errorf("%s after changes: %s, want %s", filter, got, want)
			}
		}
	})
}

func TestListCustomers_bySegmentTakesTheRightToSeeIt(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		gold := p.segment(ctx, "gold", "").GetName()
		list := func(filter string) error {
			_, err := p.customers().ListCustomers(ctx, &identityv1.ListCustomersRequest{Parent: org, Filter: filter})
			return err
		}
		p.permission.set(false, lacking("identity.segmentMembers.list"))
		wantError(t, list(`segment = "`+gold+`"`), errs.Denied, "PERMISSION_DENIED")
		p.permission.set(true)
		wantError(t, list(`segment = "`+gold+`"`), errs.Unavailable, "PERMISSION_UNAVAILABLE")
		p.permission.set(false)
		wantError(t, list(`segment = "organizations/other/segments/gold"`), errs.Invalid, "FILTER_INVALID")
		wantError(t, list(`segment = "`+org+`/segments/none"`), errs.NotFound, "SEGMENT_NOT_FOUND")
	})
}

// One condition finds many and the other nobody: the page ends early, and the
// next goes on where it stopped.
func TestListCustomers_looksAtNoMoreThanIsQuick(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		var csv strings.Builder
		csv.WriteString("external_id,display_name,country\n")
		for i := range 1100 {
			fmt.Fprintf(&csv, "%d,Customer %d,%s\n", i, i, map[bool]string{true: "Iceland", false: "France"}[i == 1099])
		}
		p.upload(ctx, csv.String())
		found, pages := p.search(ctx, `display_name:customer AND country = "Iceland"`, 0)
		if found == "" || strings.Contains(found, " ") || pages != 6 {
			t.Errorf("found %q in %d pages, want one in six", found, pages)
		}
		if _, pages := p.search(ctx, `display_name:"customer 10"`, 1000); pages > 6 {
			t.Errorf("%d pages", pages)
		}
	})
}

func TestListStaffMembers_searchesByName(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		p.staffMember(ctx, "ada", &identityv1.StaffMember{DisplayName: "Ada Lovelace"})
		p.staffMember(ctx, "wang", &identityv1.StaffMember{DisplayName: "王芳"})
		for filter, want := range map[string]string{"display_name:love": "ada", `display_name:"wangf" AND state = "PENDING"`: "wang"} {
			resp, err := p.staff().ListStaffMembers(ctx, &identityv1.ListStaffMembersRequest{Parent: org, Filter: filter})
			if err != nil || len(resp.GetStaffMembers()) != 1 || resp.GetStaffMembers()[0].GetName() != org+"/staff/"+want {
				t.Errorf("%s: %v, %v; want %s", filter, resp, err, want)
			}
		}
	})
}
