package permission_test

import (
	"slices"
	"testing"
	"time"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/testkit"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission"
)

// eachRecorder runs a test with a replica that writes uses at once and logs
// every decision.
func eachRecorder(t *testing.T, test func(t *testing.T, r *replica)) {
	t.Helper()
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			in := install(t, engine)
			in.config = permission.Config{UsageInterval: time.Millisecond, DecisionLog: 1}
			r := in.start()
			in.seed(r)
			test(t, r)
		})
	}
}

func (r *replica) usage(account string) permissionv1.GrantUsageServiceClient {
	return permissionv1.NewGrantUsageServiceClient(r.connect(account))
}

func TestGrantUsage_namesTheDayOfTheLastUse(t *testing.T) {
	eachRecorder(t, func(t *testing.T, r *replica) {
		c, gateway, usage := r.as(admin), r.asService("gateway"), r.usage(admin)
		today := time.Now().UTC().Truncate(24 * time.Hour)
		r.in.setClock(today.Add(9 * time.Hour))
		used, idle := c.grant(t, sue, "roles/viewer", acme), c.grant(t, carl, "roles/viewer", acme)
		get := func(g *permissionv1.Grant) *permissionv1.GrantUsage {
			u, err := usage.GetGrantUsage(t.Context(), &permissionv1.GetGrantUsageRequest{Name: g.GetName() + "/usage"})
			if err != nil {
				t.Fatal(err)
			}
			return u
		}
		for day := range 3 {
			now := today.Add(time.Duration(day)*24*time.Hour + 10*time.Hour)
			r.in.setClock(now)
			gateway.wantMay(t, true, sue, readGroups, acme)
			gateway.wantMay(t, false, carl, "groupchat.messages.create", acme) // a grant that does not decide is not used
			want := now.Truncate(24 * time.Hour)
			r.in.await(func() bool { return get(used).GetLastUsedDate().AsTime().Equal(want) })
		}
		if u := get(idle); u.GetLastUsedDate() != nil || u.GetGrant().GetSubject() != carl {
			t.Errorf("an idle grant shows %v", u)
		}
		_, err := usage.GetGrantUsage(t.Context(), &permissionv1.GetGrantUsageRequest{Name: acme + "/grants/none/usage"})
		wantError(t, err, errs.NotFound, "GRANT_NOT_FOUND")
		_, err = usage.GetGrantUsage(t.Context(), &permissionv1.GetGrantUsageRequest{Name: used.GetName()})
		wantError(t, err, errs.Invalid, "RESOURCE_NAME_INVALID")
	})
}

func TestListGrantUsage_findsGrantsThatNobodyNeeds(t *testing.T) {
	eachRecorder(t, func(t *testing.T, r *replica) {
		c, gateway, usage := r.as(admin), r.asService("gateway"), r.usage(admin)
		today := time.Now().UTC().Truncate(24 * time.Hour)
		r.in.setClock(today.Add(time.Hour))
		used, idle := c.grant(t, sue, "roles/viewer", acme), c.grant(t, carl, "roles/viewer", acme)
		later := today.Add(10 * 24 * time.Hour)
		r.in.setClock(later)
		young := c.grant(t, acme+"/staff/tom", "roles/viewer", acme)
		gateway.wantMay(t, true, sue, readGroups, acme)
		list := func(filter string) (names []string) {
			for token := ""; ; {
				resp, err := usage.ListGrantUsage(t.Context(), &permissionv1.ListGrantUsageRequest{
					Parent: acme, PageSize: 1, PageToken: token, Filter: `role = "roles/viewer"` + filter,
				})
				if err != nil {
					t.Fatal(err)
				}
				for _, u := range resp.GetGrantUsage() {
					names = append(names, u.GetGrant().GetSubject())
				}
				if token = resp.GetNextPageToken(); token == "" {
					return names
				}
			}
		}
		want := func(filter string, grants ...*permissionv1.Grant) {
			t.Helper()
			r.in.await(func() bool {
				left := list(filter)
				for _, g := range grants {
					if len(left) != len(grants) || !slices.Contains(left, g.GetSubject()) {
						return false
					}
				}
				return len(left) == len(grants)
			})
		}
		want("", used, idle, young)
		want(` AND unused_since = "`+today.Add(5*24*time.Hour).Format(time.RFC3339)+`"`, idle)
		want(` AND unused_since = "`+later.Add(36*time.Hour).Format(time.RFC3339)+`"`, used, idle, young)
		for _, bad := range []string{`unused_since > "2026-01-01T00:00:00Z"`, `subject = "a" AND role = "b"`, `creator = "x"`} {
			_, err := usage.ListGrantUsage(t.Context(), &permissionv1.ListGrantUsageRequest{Parent: acme, Filter: bad})
			wantError(t, err, errs.Invalid, "FILTER_INVALID")
		}
		_, err := r.usage(carl).ListGrantUsage(t.Context(), &permissionv1.ListGrantUsageRequest{Parent: "organizations/zeta"})
		wantError(t, err, errs.NotFound, "RESOURCE_NOT_FOUND")
		_, err = r.usage(acme+"/staff/none").ListGrantUsage(t.Context(), &permissionv1.ListGrantUsageRequest{Parent: acme})
		wantError(t, err, errs.Denied, "PERMISSION_DENIED")
	})
}

func TestListDecisions_saysWhatWasAnsweredAndWhy(t *testing.T) {
	eachRecorder(t, func(t *testing.T, r *replica) {
		c, gateway := r.as(admin), r.asService("gateway")
		decisions := permissionv1.NewDecisionServiceClient(r.connect(admin))
		g := c.grant(t, sue, "roles/viewer", acme)
		begin := time.Now().Add(-time.Minute)
		gateway.wantMay(t, true, sue, readGroups, acme)
		gateway.wantMay(t, false, sue, "groupchat.messages.create", acme+"/groups/g1")
		gateway.wantMay(t, false, carl, readGroups, acme)
		list := func(filter string) (found []*permissionv1.Decision) {
			for token := ""; ; {
				resp, err := decisions.ListDecisions(t.Context(), &permissionv1.ListDecisionsRequest{Parent: acme, PageSize: 1, PageToken: token, Filter: filter})
				if err != nil {
					t.Fatal(err)
				}
				found = append(found, resp.GetDecisions()...)
				if token = resp.GetNextPageToken(); token == "" {
					return found
				}
			}
		}
		ofSue := `subject = "` + sue + `"`
		r.in.await(func() bool { return len(list(ofSue)) == 2 })
		newest, oldest := list(ofSue)[0], list(ofSue)[1]
		if newest.GetAllowed() || newest.GetResource() != acme+"/groups/g1" || newest.GetRevision() == 0 {
			t.Errorf("the newest is %v", newest)
		}
		if !oldest.GetAllowed() || oldest.GetGrant() != g.GetName() || oldest.GetRole() != "roles/viewer" || oldest.GetPermission() != readGroups {
			t.Errorf("the oldest is %v", oldest)
		}
		if n := len(list(ofSue + ` AND allowed = false`)); n != 1 {
			t.Errorf("%d refusals of sue, want 1", n)
		}
		if n := len(list(`allowed = false AND time >= "` + begin.Format(time.RFC3339) + `"`)); n < 2 {
			t.Errorf("%d refusals, want sue's and carl's", n)
		}
		if n := len(list(`time < "` + begin.Format(time.RFC3339) + `"`)); n != 0 {
			t.Errorf("%d decisions from before", n)
		}
		_, err := decisions.ListDecisions(t.Context(), &permissionv1.ListDecisionsRequest{Parent: acme, Filter: `grant = "x"`})
		wantError(t, err, errs.Invalid, "FILTER_INVALID")
		_, err = decisions.ListDecisions(t.Context(), &permissionv1.ListDecisionsRequest{Parent: "organizations/zeta"})
		wantError(t, err, errs.NotFound, "RESOURCE_NOT_FOUND")
		// A viewer sees everything but what others do.
		_, err = permissionv1.NewDecisionServiceClient(r.connect(sue)).ListDecisions(t.Context(), &permissionv1.ListDecisionsRequest{Parent: acme})
		wantError(t, err, errs.Denied, "PERMISSION_DENIED")
	})
}
