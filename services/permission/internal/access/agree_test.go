package access_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/access"
	"guildhall.dev/services/permission/internal/people/qualification"
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
		"ORG/segments/gold", "ORG/allStaff", "ORG/allStaff", "ORG/allCustomers", "ORG/everyone", "ORG/everyone", "ORG/groups/g1#roles/viewer", "ORG#roles/auditor",
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
			if err := w.Subjects.AddMember(tx, begin, w.on(m[0]), w.on(m[1])); err != nil {
				return err
			}
		}
		for _, p := range parents {
			if err := w.Subjects.SetParent(tx, begin, w.on(p[0]), w.on(p[1])); err != nil {
				return err
			}
		}
		for _, account := range suspended {
			if err := w.Subjects.SetState(tx, begin, w.on(account), "SUSPENDED"); err != nil {
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

// drawCertificates makes some roles need a certificate, and gives it to some.
func drawCertificates(t *rapid.T, w *world) {
	required := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) [2]string {
		return [2]string{
			rapid.SampledFrom(allRoles).Draw(t, "required of"),
			rapid.SampledFrom([]string{"", "ORG/groups/*", "ORG/groups/g1", "ORG/groups/g1/topics/x"}).Draw(t, "required on"),
		}
	}), 0, 2).Draw(t, "requirements")
	trained := rapid.SliceOfNDistinct(rapid.SampledFrom(allAccounts), 0, 4, rapid.ID[string]).Draw(t, "trained")
	q := w.Loader.Qualifications
	w.Must(func(tx *change.Tx) error {
		course, err := q.CreateCourse(tx, w.organization, "safety", &permissionv1.Course{ValidityPeriod: durationpb.New(24 * time.Hour)})
		if err != nil {
			return err
		}
		for i, r := range required {
			if _, err := q.CreateRequirement(tx, w.organization, fmt.Sprintf("r%d", i), &permissionv1.CertificationRequirement{
				Role: r[0], Resource: w.on(r[1]), Course: course.GetName(),
			}); err != nil {
				return err
			}
		}
		for _, account := range trained {
			record, err := q.Assign(tx, w.on(account), "", "", &permissionv1.TrainingRecord{Course: course.GetName()})
			if err == nil {
				_, err = q.Pass(tx, qualification.Result{Name: record.GetName(), Assessor: w.on("ORG/staff/teacher")})
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// drawSeparation draws rules of separation of duties about a permission; often
// there are none.
func drawSeparation(t *rapid.T, w *world, permission string) {
	rules := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) *permissionv1.SeparationRule {
		r := &permissionv1.SeparationRule{Name: w.on("ORG/separationRules/r"), Resource: w.on(rapid.SampledFrom(append([]string{"", ""}, allResources...)).Draw(t, "rule on"))}
		side := func(name string, permissions ...string) *permissionv1.SeparationSide {
			if rapid.Bool().Draw(t, name+" by role") {
				return &permissionv1.SeparationSide{Roles: []string{rapid.SampledFrom(allRoles).Draw(t, name)}}
			}
			return &permissionv1.SeparationSide{Permissions: []string{rapid.SampledFrom(permissions).Draw(t, name)}}
		}
		if rapid.IntRange(0, 2).Draw(t, "kind of rule") == 0 {
			r.Rule = &permissionv1.SeparationRule_TwoPerson{TwoPerson: &permissionv1.TwoPerson{
				Permissions: []string{permission},
			}}
		} else {
			r.Rule = &permissionv1.SeparationRule_ForbiddenPair{ForbiddenPair: &permissionv1.ForbiddenPair{
				First: side("first", allPermissions...), Second: side("second", permission),
			}}
		}
		for _, account := range rapid.SliceOfN(rapid.SampledFrom(allAccounts), 0, 2).Draw(t, "exempt") {
			r.Exemptions = append(r.Exemptions, &permissionv1.SeparationExemption{
				Subject: w.on(account), ExpireTime: timestamppb.New(now.Add(time.Duration(rapid.IntRange(0, 1).Draw(t, "until")) * time.Second)),
			})
		}
		return r
	}), 0, 2).Draw(t, "rules")
	w.Loader.Separation = func(kv.Reader, string) ([]*permissionv1.SeparationRule, error) { return rules, nil }
}

// TestLists_agreeWithChecks: what is listed is allowed, and what is allowed is
// listed or lies where the list says to ask.
func TestLists_agreeWithChecks(t *testing.T) {
	store := open(t, "bolt")
	rapid.Check(t, func(rt *rapid.T) {
		w := store.fresh()
		drawWorld(rt, t, w)
		drawCertificates(rt, w)
		permission := rapid.SampledFrom(allPermissions).Draw(rt, "permission")
		drawSeparation(rt, w, permission)
		w.view(rt, func(s *access.State, ask func(a, p, r string) bool) error {
			for _, account := range allAccounts {
				checkResources(rt, w, s, ask, w.on(account), permission)
			}
			for _, resource := range allResources {
				checkSubjects(rt, w, s, ask, permission, w.on(resource))
			}
			checkPermissions(rt, s, ask, w.on(rapid.SampledFrom(allAccounts).Draw(rt, "whose")), w.on(rapid.SampledFrom(allResources).Draw(rt, "on")))
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

func checkPermissions(t *rapid.T, s *access.State, ask func(a, p, r string) bool, account, resource string) {
	listed := make(map[string]bool)
	for after := ""; ; {
		found, next, err := s.Permissions(account, resource, attributes(), after, 50)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range found {
			listed[p.GetPermission()] = true
		}
		if after = next; after == "" {
			break
		}
	}
	for _, p := range authz.Catalogue() {
		if allowed := ask(account, p.Name, resource); allowed != listed[p.Name] {
			t.Fatalf("%s on %s by %s: allowed %t, listed %t", p.Name, resource, account, allowed, listed[p.Name])
		}
	}
}
