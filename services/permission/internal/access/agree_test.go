package access_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/access"
)

// What there is in a random organisation.
var (
	allAccounts = []string{
		"ORG/staff/a", "ORG/staff/b", "ORG/staff/c", "ORG/customers/a", "ORG/customers/b", "ORG/customers/c", "ORG/serviceAccounts/p",
	}
	allTeams     = []string{"ORG/teams/t1", "ORG/teams/t2", "ORG/teams/t3"}
	allResources = []string{
		"ORG", "ORG/groups/g1", "ORG/groups/g2", "ORG/groups/g3", "ORG/groups/g1/topics/x", "ORG/groups/g1/topics/y", "ORG/staff/a", "ORG/customers/b",
	}
	allSubjects = slices.Concat(allAccounts, allTeams, []string{
		"ORG/segments/gold", "ORG/allStaff", "ORG/allCustomers", "ORG/everyone", "ORG/groups/g1#roles/viewer", "ORG#roles/auditor",
	})
	allRoles       = []string{"roles/viewer", "roles/auditor", "roles/customer.service"}
	allPermissions = []string{"groupchat.groups.get", "identity.customers.get", "permission.grants.list"}
	allConditions  = []string{
		"", "", "", `request.message_type == "news"`, `request.message_type == "offer"`, `request.address == "192.0.2.1"`,
		`resource.name == "ORG/groups/g2"`, `subject.name == "ORG/staff/b"`, `subject.properties.level == "gold"`, `resource.properties.level == "gold"`,
	}
)

func drawFacts(t *rapid.T) []fact {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) fact {
		return fact{
			subject: rapid.SampledFrom(allSubjects).Draw(t, "subject"), role: rapid.SampledFrom(allRoles).Draw(t, "role"),
			resource: rapid.SampledFrom(allResources).Draw(t, "resource"), condition: rapid.SampledFrom(allConditions).Draw(t, "condition"),
			deny: rapid.IntRange(0, 3).Draw(t, "deny") == 0, expired: rapid.IntRange(0, 5).Draw(t, "expired") == 0,
		}
	}), 1, 8).Draw(t, "grants")
}

// drawWorld makes a random organisation. Teams may be in a circle, which is
// not believed.
func drawWorld(t *rapid.T, tb testing.TB, w *world) {
	facts := drawFacts(t)
	memberships := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) [2]string {
		return [2]string{rapid.SampledFrom(append([]string{"ORG/segments/gold"}, allTeams...)).Draw(t, "in"), rapid.SampledFrom(allAccounts).Draw(t, "who")}
	}), 0, 5).Draw(t, "memberships")
	parents := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) [2]string {
		return [2]string{rapid.SampledFrom(allTeams).Draw(t, "team"), rapid.SampledFrom(allTeams).Draw(t, "below")}
	}), 0, 3).Draw(t, "parents")
	suspended := rapid.SliceOfN(rapid.SampledFrom(allAccounts), 0, 2).Draw(t, "suspended")
	golden := rapid.SliceOfN(rapid.SampledFrom(slices.Concat(allAccounts, allResources)), 0, 3).Draw(t, "golden")
	w.update(tb, func(tx kv.Tx) error {
		for i, f := range facts {
			if err := w.grant(tx, i, f); err != nil {
				return err
			}
		}
		for _, m := range memberships {
			if strings.Contains(m[0], "/segments/") != strings.Contains(m[1], "/customers/") {
				continue
			}
			if err := w.subjects.AddMember(tx, begin, w.on(m[0]), w.on(m[1])); err != nil {
				return err
			}
		}
		for _, p := range parents {
			if err := w.subjects.SetParent(tx, begin, w.on(p[0]), w.on(p[1])); err != nil {
				return err
			}
		}
		for _, account := range suspended {
			if err := w.subjects.SetState(tx, begin, w.on(account), "SUSPENDED"); err != nil {
				return err
			}
		}
		for _, name := range golden {
			if _, _, err := w.properties.Put(tx, begin, w.on(name), gold(tb), ""); err != nil {
				return err
			}
		}
		return nil
	})
}

// TestLists_agreeWithChecks: what is listed is allowed, and what is allowed is
// listed or lies where the list says to ask.
func TestLists_agreeWithChecks(t *testing.T) {
	store := open(t, "bolt")
	rapid.Check(t, func(rt *rapid.T) {
		w := store.fresh()
		drawWorld(rt, t, w)
		w.view(rt, func(s *access.State, ask func(a, p, r string) bool) error {
			permission := rapid.SampledFrom(allPermissions).Draw(rt, "permission")
			for _, account := range allAccounts {
				checkResources(rt, w, s, ask, w.on(account), permission)
			}
			for _, resource := range allResources {
				checkSubjects(rt, w, s, ask, permission, w.on(resource))
			}
			return nil
		})
	})
}

func checkResources(t *rapid.T, w *world, s *access.State, ask func(a, p, r string) bool, account, permission string) {
	found, more := resources(t, s, access.ResourceQuery{Subject: account, Permission: permission, Attributes: attributes()})
	listed := make(map[string]*permissionv1.AccessibleResource)
	for _, r := range found {
		listed[r.GetName()] = r
		if !ask(account, permission, r.GetName()) {
			t.Fatalf("%s is listed for %s, and %s refused", r.GetName(), account, permission)
		}
	}
	for _, name := range allResources {
		resource := w.on(name)
		allowed := ask(account, permission, resource)
		covered, below := false, false
		for _, r := range found {
			if strings.HasPrefix(resource, r.GetName()+"/") {
				below, covered = true, covered || r.GetCoversAllBelow()
			}
		}
		if covered && !allowed {
			t.Fatalf("all below a name that is listed for %s is said to be covered, and %s on %s is refused", account, permission, resource)
		}
		if allowed && listed[resource] == nil && !below && !more {
			t.Fatalf("%s may %s on %s, and nothing says so", account, permission, resource)
		}
	}
}

func checkSubjects(t *rapid.T, w *world, s *access.State, ask func(a, p, r string) bool, permission, resource string) {
	listed := make(map[string]*permissionv1.AllowedSubject)
	for _, one := range subjects(t, s, access.SubjectQuery{Permission: permission, Resource: resource, Attributes: attributes()}) {
		listed[one.GetName()] = one
	}
	classes := map[string]*permissionv1.AllowedSubject{
		"staff": listed[w.on("ORG/allStaff")], "customers": listed[w.on("ORG/allCustomers")], "serviceAccounts": listed[w.on("ORG/serviceAccounts/-")],
	}
	for _, name := range allAccounts {
		account := w.on(name)
		allowed := ask(account, permission, resource)
		class := classes[strings.Split(account, "/")[2]]
		excluded := slices.Contains(class.GetExcluded(), account)
		switch {
		case listed[account] != nil && !allowed:
			t.Fatalf("%s is listed, and %s on %s refused", account, permission, resource)
		case class != nil && !class.GetConditional() && allowed == excluded:
			t.Fatalf("%s: allowed %t, and as one of its class it is excluded: %t", account, allowed, excluded)
		case allowed && listed[account] == nil && class == nil:
			t.Fatalf("%s may %s on %s, and nothing says so", account, permission, resource)
		}
	}
}
