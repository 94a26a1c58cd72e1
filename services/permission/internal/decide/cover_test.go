package decide_test

import (
	"testing"
	"time"

	"guildhall.dev/pkg/authz"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/role"
)

func TestCover(t *testing.T) {
	roles := newRoles()
	rules := newRules(t, roles)
	staff := func(id string) string { return acme + "/staff/" + id }
	odd := acme + "/roles/odd"
	m := &model{
		organization: acme,
		grants: []fact{
			{subject: staff("chief"), role: role.Admin, resource: acme},
			{subject: staff("second"), role: role.Admin, resource: acme},
			{subject: staff("forday"), role: role.Admin, resource: acme, expires: second},
			{subject: staff("foryear"), role: role.Admin, resource: acme, expires: second + 1000},
			{subject: staff("past"), role: role.Admin, resource: acme, expires: 50},
			{subject: staff("gone"), role: role.Admin, resource: acme},
			{subject: staff("op"), role: role.Admin, resource: acme},
			{subject: staff("op"), role: role.Operator, resource: authz.Installation},
			{subject: staff("clerk"), role: "roles/customer.service", resource: acme},
			{subject: staff("helper"), role: "roles/customer.service", resource: group},
			{subject: staff("odd"), role: odd, resource: acme},
			{subject: carl, role: "roles/group.owner", resource: group},
			{subject: sales, role: "roles/auditor", resource: acme},
			{subject: acme + "/allStaff", role: role.Staff, resource: acme},
			{subject: acme + "/allCustomers", role: role.Customer, resource: acme},
		},
		members: map[string][]string{staff("seller"): {sales}, staff("boss"): {acme + "/teams/bosses"}},
		denied:  map[string]bool{staff("gone"): true},
		roles:   map[string][]string{odd: {"identity.organizations.create"}},
	}
	m.grants = append(m.grants, fact{subject: acme + "/teams/bosses", role: role.Admin, resource: acme})
	for _, c := range []struct {
		name, actor, subject string
		want                 bool
	}{
		{"a clerk and the administrator", staff("clerk"), staff("chief"), false},
		{"two administrators", staff("chief"), staff("second"), true},
		{"an administrator by a team", staff("boss"), staff("second"), true},
		{"an administrator and the operator", staff("chief"), staff("op"), false},
		{"the operator and an administrator", staff("op"), staff("chief"), true},
		{"an administrator for a day and one for good", staff("forday"), staff("chief"), false},
		{"an administrator for a day and one for a year", staff("forday"), staff("foryear"), false},
		{"an administrator for a year and one for a day", staff("foryear"), staff("forday"), true},
		{"what has ended does not count", staff("clerk"), staff("past"), true},
		{"a suspended subject counts: it may come back", staff("clerk"), staff("gone"), false},
		{"a suspended actor", staff("gone"), staff("chief"), false},
		{"a wider resource", staff("clerk"), staff("helper"), true},
		{"a narrower resource", staff("helper"), staff("clerk"), false},
		{"what no administrator holds", staff("chief"), staff("odd"), true},
		{"and nobody else", staff("clerk"), staff("odd"), false},
		{"by the subject's team", staff("clerk"), staff("seller"), false},
		{"by the actor's team", staff("seller"), sales, true},
		{"a team", staff("clerk"), sales, false},
		{"a team that holds nothing", staff("clerk"), acme + "/teams/none", true},
		{"a managed role", staff("clerk"), carl, false},
		{"a managed role and the administrator", staff("chief"), carl, true},
		{"what all customers hold", staff("clerk"), acme + "/customers/cleo", true},
		{"what all staff hold", staff("clerk"), staff("nobody"), true},
		{"a customer and the staff", carl, staff("nobody"), false},
		{"a service account and the staff", acme + "/serviceAccounts/bot", staff("nobody"), false},
		{"nobody in particular", staff("nobody"), staff("clerk"), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			gap, err := rules.Cover(m.facts(roles), acme, c.actor, c.subject, time.Unix(100, 0))
			if err != nil {
				t.Fatal(err)
			}
			if covered := gap == (decide.Gap{}); covered != c.want || !covered && (gap.Permission == "" || gap.Resource == "") {
				t.Errorf("gap %+v, want covered %t", gap, c.want)
			}
		})
	}
}
