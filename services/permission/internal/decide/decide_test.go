package decide_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"guildhall.dev/pkg/authz"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/role"

	_ "guildhall.dev/proto/gen/guildhall/feedback/v1"
	_ "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	_ "guildhall.dev/proto/gen/guildhall/identity/v1"
)

const (
	acme   = "organizations/acme"
	sue    = acme + "/staff/sue"
	carl   = acme + "/customers/carl"
	sales  = acme + "/teams/sales"
	group  = acme + "/groups/g1"
	second = int64(1_800_000_000)
)

func newRoles() *role.Roles { return role.New(role.NewCatalogue(authz.Catalogue())) }

func TestAnswer(t *testing.T) {
	roles := newRoles()
	rules := newRules(t, roles)
	clerk := acme + "/roles/clerk"
	m := &model{
		organization: acme,
		grants: []fact{
			{subject: sue, role: "roles/group.member", resource: group},
			{subject: sue, role: "roles/viewer", resource: acme + "/customers/c1", expires: second},
			{subject: sales, role: "roles/customer.service", resource: acme},
			{subject: acme + "/allStaff", role: role.Staff, resource: acme},
			{subject: acme + "/allCustomers", role: role.Customer, resource: acme},
			{subject: sue, role: clerk, resource: acme + "/teams"}, // no grant names a collection; this one must do no harm
			{subject: acme + "/staff/op", role: role.Operator, resource: authz.Installation},
			{subject: acme + "/staff/gone", role: role.Admin, resource: acme},
			{subject: acme + "/staff/ray", role: clerk, resource: acme},
		},
		members: map[string][]string{acme + "/staff/tom": {sales}},
		denied:  map[string]bool{acme + "/staff/gone": true},
		roles:   map[string][]string{clerk: {"identity.teams.create"}},
	}
	for _, c := range []struct {
		name, subject, permission, resource string
		now                                 int64
		want                                bool
	}{
		{"on the resource itself", sue, "groupchat.groups.get", group, 0, true},
		{"below it", sue, "groupchat.messages.get", group + "/messages/42", 0, true},
		{"beside it", sue, "groupchat.groups.get", acme + "/groups/g2", 0, false},
		{"a longer id is another resource", sue, "groupchat.groups.get", group + "0", 0, false},
		{"above it", sue, "groupchat.groups.get", acme, 0, false},
		{"a permission the role lacks", sue, "groupchat.groups.delete", group, 0, false},
		{"dash asks about the parent", sue, "groupchat.messages.create", group + "/messages/-", 0, true},
		{"dash at the top collection", sue, "groupchat.groups.get", acme + "/groups/-", 0, false},
		{"dash that is all below an organisation", acme + "/staff/tom", "identity.customers.create", acme + "/customers/-", 0, true},
		{"last second before the expiry", sue, "identity.customers.get", acme + "/customers/c1", second - 1, true},
		{"second of the expiry", sue, "identity.customers.get", acme + "/customers/c1", second, false},
		{"by the team", acme + "/staff/tom", "identity.customers.update", acme + "/customers/c1", 0, true},
		{"all staff", acme + "/staff/nobody", "identity.teams.list", acme, 0, true},
		{"staff are no customers", sue, "feedback.responses.create", acme + "/surveys/s1", 0, false},
		{"all customers", carl, "feedback.responses.create", acme + "/surveys/s1", 0, true},
		{"customers are no staff", carl, "identity.staff.list", acme, 0, false},
		{"service accounts are neither", acme + "/serviceAccounts/bot", "identity.teams.list", acme, 0, false},
		{"self", carl, "identity.customers.get", carl, 0, true},
		{"self and below", carl, "feedback.complaints.accept", carl + "/complaints/c9", 0, true},
		{"self, the collection", carl, "feedback.complaints.create", carl + "/complaints/-", 0, true},
		{"not another's self", carl, "identity.customers.get", acme + "/customers/carla", 0, false},
		{"a denied account may nothing", acme + "/staff/gone", "identity.staff.get", acme, 0, false},
		{"not even with itself", acme + "/staff/gone", "identity.sessions.list", acme + "/staff/gone", 0, false},
		{"a custom role", acme + "/staff/ray", "identity.teams.create", acme, 0, true},
		{"installation", acme + "/staff/op", "identity.organizations.create", authz.Installation, 0, true},
		{"installation is no organisation", acme + "/staff/op", "identity.organizations.create", acme, 0, false},
		{"an organisation is not the installation", acme + "/staff/tom", "identity.customers.get", authz.Installation, 0, false},
		{"another organisation's resource", sue, "identity.organizations.get", "organizations/acme2", 0, false},
		{"another organisation's subject", "organizations/zeta/staff/sue", "identity.staff.get", "organizations/zeta/staff/sue", 0, false},
		{"an unknown permission", sue, "groupchat.groups.fly", group, 0, false},
		{"a team does not ask", sales, "identity.customers.get", acme, 0, false},
		{"a sister service does not ask", "services/groupchat", "identity.staff.get", acme, 0, false},
		{"nobody", "", "identity.staff.get", acme, 0, false},
		{"nothing", sue, "identity.staff.get", "", 0, false},
		{"a lone dash", sue, "identity.staff.get", "-", 0, false},
		{"the collection of organisations", sue, "identity.organizations.get", "organizations/-", 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := decide.Question{Subject: c.subject, Permission: c.permission, Resource: c.resource}
			got, err := rules.Answer(m.facts(roles), acme, q, time.Unix(c.now, 0))
			if err != nil {
				t.Fatal(err)
			}
			if got.Allowed != c.want {
				t.Errorf("got %+v, want %t", got, c.want)
			}
		})
	}
}

func TestAnswer_namesGrantAndRole(t *testing.T) {
	roles := newRoles()
	m := &model{organization: acme, grants: []fact{{subject: sue, role: "roles/viewer", resource: acme}}}
	ask := func(permission, resource string) decide.Answer {
		a, err := newRules(t, roles).Answer(m.facts(roles), acme, decide.Question{Subject: sue, Permission: permission, Resource: resource}, time.Unix(0, 0))
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	if got, want := ask("identity.teams.get", acme), (decide.Answer{Allowed: true, Grant: acme + "/grants/g0", Role: "roles/viewer"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got, want := ask("identity.staff.get", sue), (decide.Answer{Allowed: true, Role: role.Self}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestAnswer_agreesWithTheReference compares the compiled form with the plain
// one on random organisations. RAPID_CHECKS or -rapid.checks make it longer.
func TestAnswer_agreesWithTheReference(t *testing.T) {
	roles := newRoles()
	rules := newRules(t, roles)
	rapid.Check(t, func(t *rapid.T) {
		m := drawModel(t)
		facts := m.facts(roles)
		for range 40 {
			q := drawQuestion(t)
			now := time.Unix(second+rapid.Int64Range(-1, 1).Draw(t, "now"), 0)
			got, err := rules.Answer(facts, acme, q, now)
			if err != nil {
				t.Fatal(err)
			}
			want := m.answer(roles, q, now)
			if got.Denial != want || got.Allowed != (want == permissionv1.Denial_DENIAL_UNSPECIFIED) {
				t.Fatalf("%+v at %d: got %+v, the reference says %s", q, now.Unix(), got, want)
			}
		}
	})
}

// TestLasting_lasts asks later, and under all circumstances, about what was
// said to last.
func TestLasting_lasts(t *testing.T) {
	roles := newRoles()
	rules := newRules(t, roles)
	rapid.Check(t, func(t *rapid.T) {
		m := drawModel(t)
		facts := m.facts(roles)
		plain := *m // denials under a condition do not count
		plain.grants = slices.DeleteFunc(slices.Clone(m.grants), func(g fact) bool { return g.deny && g.condition != "" })
		for range 40 {
			q := drawQuestion(t)
			now := second + rapid.Int64Range(-2, 1).Draw(t, "now")
			expires := rapid.SampledFrom([]int64{0, second, second + 1, second + 1000}).Draw(t, "until")
			got, err := rules.Lasting(facts, acme, q, time.Unix(now, 0), expires)
			if err != nil {
				t.Fatal(err)
			}
			later := []int64{now, max(now, expires-1)}
			if expires == 0 {
				later = append(later, second+1_000_000)
			}
			for _, at := range later {
				if want := plain.answer(roles, q, time.Unix(at, 0)); got.Allowed && want != permissionv1.Denial_DENIAL_UNSPECIFIED {
					t.Fatalf("%+v until %d is said to last at %d; at %d the reference says %s", q, expires, now, at, want)
				}
			}
		}
	})
}

// BenchmarkAnswer measures one check in memory, of an organisation with 10,000
// and one with 1,000,000 grants: 50 to an account, and as many to its team.
func BenchmarkAnswer(b *testing.B) {
	roles := newRoles()
	rules := newRules(b, roles)
	for _, grants := range []int{10_000, 1_000_000} {
		m := &model{organization: acme, members: map[string][]string{}, denied: map[string]bool{}}
		facts := m.facts(roles)
		holds := map[string][]decide.Hold{}
		n := grants / 50
		for i := range grants {
			name := fmt.Sprintf("%s/staff/s%d", acme, i%n)
			holds[name] = append(holds[name], decide.Hold{
				Resource: fmt.Sprintf("%s/groups/g%d", acme, i), Role: "roles/group.member", Grant: fmt.Sprintf("%s/grants/g%d", acme, i),
			})
		}
		size := 0
		for name, h := range holds {
			s := decide.Compile(name, noFacts(), h)
			facts.compiled[name] = s
			size += s.Size()
		}
		facts.compiled[acme+"/allStaff"] = decide.Compile(acme+"/allStaff", noFacts(), []decide.Hold{{Resource: acme, Role: role.Staff}})
		questions := make([]decide.Question, 4096)
		for i := range questions {
			holder := (i * 7919) % n
			questions[i] = decide.Question{
				Subject: fmt.Sprintf("%s/staff/s%d", acme, holder), Permission: "groupchat.messages.create",
				// Half of the answers are no.
				Resource: fmt.Sprintf("%s/groups/g%d/messages/-", acme, holder+(i%2)),
			}
		}
		now := time.Unix(second, 0)
		b.Run(fmt.Sprintf("grants=%d", grants), func(b *testing.B) {
			b.ReportAllocs()
			b.ReportMetric(float64(size)/float64(grants), "B/grant")
			for i := 0; b.Loop(); i++ {
				if _, err := rules.Answer(facts, acme, questions[i%len(questions)], now); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
