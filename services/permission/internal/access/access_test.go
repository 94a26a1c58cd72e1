package access_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/testkit"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/access"
	"guildhall.dev/services/permission/internal/condition"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/people/peopletest"
	"guildhall.dev/services/permission/internal/property"
)

var (
	begin = time.Unix(1_800_000_000, 0)
	now   = begin.Add(time.Hour)
	turn  atomic.Int64
)

// world is one organisation of a store, in which tests and cases have one each.
type world struct {
	*peopletest.House
	properties   *property.Properties
	lists        *access.Lists
	organization string
}

func open(t testing.TB, engine string) *world {
	t.Helper()
	conditions, err := condition.New()
	if err != nil {
		t.Fatal(err)
	}
	h := peopletest.New(t)
	h.Now = begin
	h.Open(engine, nil)
	return &world{
		House: h, properties: h.Loader.Properties,
		lists: &access.Lists{Rules: h.Rules, Loader: h.Loader, Conditions: conditions},
	}
}

// fresh returns the world with an organisation of which nothing is known yet.
func (w *world) fresh() *world {
	next := *w
	next.organization = fmt.Sprintf("organizations/o%d", turn.Add(1))
	return &next
}

// on returns a name of the organisation.
func (w *world) on(name string) string { return strings.ReplaceAll(name, "ORG", w.organization) }

// fact is one grant; "ORG" in it stands for the organisation.
type fact struct {
	subject, role, resource, condition string
	deny, expired                      bool
}

func (w *world) grant(tx kv.Tx, id int, f fact) error {
	g := &permissionv1.Grant{
		Name: fmt.Sprintf("%s/grants/g%d", w.organization, id), Subject: w.on(f.subject), Role: f.role, Resource: w.on(f.resource),
	}
	if f.deny {
		g.Effect = permissionv1.Effect_EFFECT_DENY
	}
	if f.expired {
		g.ExpireTime = timestamppb.New(begin.Add(time.Minute))
	}
	if f.condition != "" {
		g.Condition = &permissionv1.Condition{Expression: w.on(f.condition)}
	}
	_, _, err := w.Grants.Create(tx, begin, g)
	if errs.Is(err, errs.Exists) {
		return nil
	}
	return err
}

func (w *world) update(t testing.TB, fn func(tx kv.Tx) error) {
	t.Helper()
	if err := w.Store.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func (w *world) view(t rapid.TB, fn func(s *access.State, ask func(account, permission, resource string) bool) error) {
	t.Helper()
	err := w.Store.View(context.Background(), func(r kv.Reader) error {
		facts := w.Loader.Snapshot(r)
		return fn(w.lists.At(r, w.organization, now), func(account, permission, resource string) bool {
			a, err := w.Rules.Answer(facts, w.organization, decide.Question{
				Subject: account, Permission: permission, Resource: resource, Attributes: attributes(),
			}, now)
			if err != nil {
				t.Fatal(err)
			}
			return a.Allowed
		})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func attributes() *permissionv1.Attributes { return &permissionv1.Attributes{MessageType: "news"} }

// resources and subjects return all pages, of two each, and fail when their
// names do not grow.
func resources(t rapid.TB, s *access.State, q access.ResourceQuery) (all []*permissionv1.AccessibleResource, more bool) {
	t.Helper()
	for after := ""; ; {
		page, err := s.Resources(q, after, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Resources {
			if n := len(all); n > 0 && all[n-1].GetName() >= r.GetName() {
				t.Fatalf("%s comes after %s", r.GetName(), all[n-1].GetName())
			}
			all = append(all, r)
		}
		more = page.MoreUnderConditions
		if after = page.Next; after == "" {
			return all, more
		}
	}
}

func subjects(t rapid.TB, s *access.State, q access.SubjectQuery) (all []*permissionv1.AllowedSubject) {
	t.Helper()
	for after := ""; ; {
		found, next, err := s.Subjects(q, after, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range found {
			if n := len(all); n > 0 && all[n-1].GetName() >= one.GetName() {
				t.Fatalf("%s comes after %s", one.GetName(), all[n-1].GetName())
			}
			all = append(all, one)
		}
		if after = next; after == "" {
			return all
		}
	}
}

func names(found []*permissionv1.AccessibleResource) (all []string) {
	for _, r := range found {
		all = append(all, r.GetName())
	}
	return all
}

func each(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) { test(t, open(t, engine).fresh()) })
	}
}

// make makes grants, memberships and properties.
func (w *world) make(t testing.TB, facts ...fact) {
	t.Helper()
	w.update(t, func(tx kv.Tx) error {
		for i, f := range facts {
			if err := w.grant(tx, i, f); err != nil {
				return err
			}
		}
		return nil
	})
}

func TestResources_saysWhatIsCovered(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		sue := w.on("ORG/staff/sue")
		w.make(t, fact{subject: "ORG/staff/sue", role: "roles/viewer", resource: "ORG/groups/g1"},
			fact{subject: "ORG/teams/t", role: "roles/viewer", resource: "ORG/groups/g2/topics/x"},
			fact{subject: "ORG/allStaff", role: "roles/viewer", resource: "ORG/groups/g3"},
			fact{subject: "ORG/staff/sue", role: "roles/viewer", resource: "ORG/groups/g3/topics/y", deny: true},
			fact{subject: "ORG/staff/sue", role: "roles/viewer", resource: "ORG/groups/g4", expired: true},
			fact{subject: "ORG/staff/sue", role: "roles/viewer", resource: "ORG/groups/g5", condition: `request.message_type == "offer"`})
		w.update(t, func(tx kv.Tx) error { return w.Subjects.AddMember(tx, begin, w.on("ORG/teams/t"), sue) })
		w.view(t, func(s *access.State, _ func(a, p, r string) bool) error {
			q := access.ResourceQuery{Subject: sue, Permission: "groupchat.groups.get", Attributes: attributes()}
			found, more := resources(t, s, q)
			want := []string{w.on("ORG/groups/g1"), w.on("ORG/groups/g2/topics/x"), w.on("ORG/groups/g3")}
			if !slices.Equal(names(found), want) || more {
				t.Errorf("found %v, more %t, want %v", names(found), more, want)
			}
			if !found[0].GetCoversAllBelow() || found[2].GetCoversAllBelow() {
				t.Errorf("g1 covers all below and g3 does not: %v", found)
			}
			q.Collection = w.on("ORG/groups/-/topics")
			if found, _ = resources(t, s, q); len(found) != 3 {
				t.Errorf("of topics and above: %v", names(found))
			}
			q.Collection = w.on("ORG/groups")
			if found, _ = resources(t, s, q); len(found) != 2 {
				t.Errorf("of groups: %v", names(found))
			}
			q.Collection = w.on("ORG/customers")
			if found, _ = resources(t, s, q); len(found) != 0 {
				t.Errorf("of customers: %v", names(found))
			}
			q.Permission = "groupchat.groups.gte"
			if _, err := s.Resources(q, "", 2); errs.ReasonOf(err) != "PERMISSION_UNKNOWN" {
				t.Errorf("of no permission: %v", err)
			}
			return nil
		})
	})
}

func TestSubjects_namesClassesAndWhoIsWithoutThem(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.make(t, fact{subject: "ORG/everyone", role: "roles/viewer", resource: "ORG"},
			fact{subject: "ORG/allCustomers", role: "roles/viewer", resource: "ORG/groups/g1", deny: true},
			fact{subject: "ORG/teams/t", role: "roles/viewer", resource: "ORG/groups/g1", deny: true},
			fact{subject: "ORG/customers/c1", role: "roles/viewer", resource: "ORG/groups/g1"},
			fact{subject: "ORG/staff/sue", role: "roles/viewer", resource: "ORG/groups/g1"})
		w.update(t, func(tx kv.Tx) error {
			if err := w.Subjects.SetState(tx, begin, w.on("ORG/staff/idle"), "SUSPENDED"); err != nil {
				return err
			}
			return w.Subjects.AddMember(tx, begin, w.on("ORG/teams/t"), w.on("ORG/staff/tom"))
		})
		w.view(t, func(s *access.State, _ func(a, p, r string) bool) error {
			q := access.SubjectQuery{Permission: "groupchat.groups.get", Resource: w.on("ORG/groups/g1/-")}
			found := subjects(t, s, access.SubjectQuery{Permission: q.Permission, Resource: w.on("ORG/groups/g1")})
			var all []string
			for _, one := range found {
				all = append(all, one.GetName())
				if strings.HasSuffix(one.GetName(), "/allStaff") {
					want := []string{w.on("ORG/staff/idle"), w.on("ORG/staff/tom")}
					if !slices.Equal(one.GetExcluded(), want) || one.GetConditional() || one.GetMoreExcluded() {
						t.Errorf("all staff is %v, want it without %v", one, want)
					}
				}
			}
			want := []string{w.on("ORG/allStaff"), w.on("ORG/serviceAccounts/-"), w.on("ORG/staff/sue")}
			if !slices.Equal(all, want) {
				t.Errorf("found %v, want %v", all, want)
			}
			if _, _, err := s.Subjects(access.SubjectQuery{Permission: q.Permission, Resource: "organizations/zeta"}, "", 2); errs.ReasonOf(err) != "RESOURCE_FOREIGN" {
				t.Errorf("of another organisation: %v", err)
			}
			return nil
		})
	})
}

// TestSubjects_pagesThroughMany has more candidates than a page looks at.
func TestSubjects_pagesThroughMany(t *testing.T) {
	w := open(t, "bolt").fresh()
	const many = 4500
	w.update(t, func(tx kv.Tx) error {
		for i := range many {
			if err := w.Subjects.AddMember(tx, begin, w.on("ORG/teams/t"), fmt.Sprintf("%s/staff/s%05d", w.organization, i)); err != nil {
				return err
			}
		}
		return w.grant(tx, 0, fact{subject: "ORG/teams/t", role: "roles/viewer", resource: "ORG/groups/g1"})
	})
	w.view(t, func(s *access.State, _ func(a, p, r string) bool) error {
		count := 0
		for after := ""; ; {
			found, next, err := s.Subjects(access.SubjectQuery{Permission: "groupchat.groups.get", Resource: w.on("ORG/groups/g1")}, after, 1000)
			if err != nil {
				return err
			}
			count += len(found)
			if after = next; after == "" {
				break
			}
		}
		if count != many {
			t.Errorf("%d subjects, want %d", count, many)
		}
		return nil
	})
}

func TestPermissions_areThoseThatChecksAllow(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.make(t, fact{subject: "ORG/staff/sue", role: "roles/auditor", resource: "ORG"},
			fact{subject: "ORG/staff/sue", role: "roles/customer.service", resource: "ORG/groups/g1"})
		w.view(t, func(s *access.State, ask func(a, p, r string) bool) error {
			sue, on := w.on("ORG/staff/sue"), w.on("ORG/groups/g1")
			var all []string
			for after := ""; ; {
				found, next, err := s.Permissions(sue, on, nil, after, 3)
				if err != nil {
					return err
				}
				for _, p := range found {
					all = append(all, p.GetPermission())
				}
				if after = next; after == "" {
					break
				}
			}
			var want []string
			for _, p := range authz.Catalogue() {
				if ask(sue, p.Name, on) {
					want = append(want, p.Name)
				}
			}
			if !slices.Equal(all, want) || len(all) < 5 {
				t.Errorf("found %v, want %v", all, want)
			}
			return nil
		})
	})
}

func gold(t testing.TB) *structpb.Struct {
	p, err := structpb.NewStruct(map[string]any{"level": "gold"})
	if err != nil {
		t.Fatal(err)
	}
	return p
}
