package grant_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/testkit"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/condition"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/revision"
	"guildhall.dev/services/permission/internal/role"
	"guildhall.dev/services/permission/internal/subject"

	_ "guildhall.dev/proto/gen/guildhall/feedback/v1"
	_ "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	_ "guildhall.dev/proto/gen/guildhall/identity/v1"
)

const (
	acme  = "organizations/acme"
	sue   = acme + "/staff/sue"
	tom   = acme + "/staff/tom"
	sales = acme + "/teams/sales"
	group = acme + "/groups/g1"
)

var at = time.Unix(1_800_000_000, 500)

// centre is the centre on an empty store.
type centre struct {
	*grant.Grants
	subjects *subject.Subjects
	roles    *role.Roles
	store    kv.Store
}

func eachCentre(t *testing.T, test func(t *testing.T, c *centre)) {
	t.Helper()
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) { test(t, newCentre(t, engine)) })
	}
}

func newCentre(t testing.TB, engine string) *centre {
	t.Helper()
	c := &centre{roles: role.New(role.NewCatalogue(authz.Catalogue())), subjects: subject.New()}
	conditions, err := condition.New()
	if err != nil {
		t.Fatal(err)
	}
	c.Grants = grant.New(c.roles, c.subjects, conditions)
	c.store = testkit.Store(t, engine, "permission", append(kv.RawTables(c.roles, c.subjects, c.Grants), revision.Tables()...))
	return c
}

func (c *centre) update(t testing.TB, fn func(tx kv.Tx) error) {
	t.Helper()
	if err := c.store.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func (c *centre) create(t testing.TB, id, subject, role, resource string) (g *permissionv1.Grant) {
	t.Helper()
	c.update(t, func(tx kv.Tx) (err error) {
		g, _, err = c.Create(tx, at, &permissionv1.Grant{Name: acme + "/grants/" + id, Subject: subject, Role: role, Resource: resource})
		return err
	})
	return g
}

// try returns the error of a create.
func (c *centre) try(t testing.TB, g *permissionv1.Grant) error {
	t.Helper()
	return c.store.Update(t.Context(), func(tx kv.Tx) error { _, _, err := c.Create(tx, at, g); return err })
}

func (c *centre) delete(t testing.TB, name, etag string) error {
	t.Helper()
	return c.store.Update(t.Context(), func(tx kv.Tx) error { _, _, err := c.Delete(tx, at, name, etag); return err })
}

func (c *centre) list(t testing.TB, f grant.Filter) (ids []string) {
	t.Helper()
	err := c.store.View(t.Context(), func(r kv.Reader) error {
		grants, _, err := c.List(r, acme, f, nil, 1000)
		for _, g := range grants {
			ids = append(ids, strings.TrimPrefix(g.GetName(), acme+"/grants/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func wantError(t testing.TB, err error, kind errs.Kind, reason, field string) {
	t.Helper()
	if !errs.Is(err, kind) || errs.ReasonOf(err) != reason {
		t.Errorf("got %v, want %s [%s]", err, kind, reason)
		return
	}
	if v := errs.From(err).Violations; field != "" && (len(v) != 1 || v[0].Field != field) {
		t.Errorf("violations %v, want one of %s", v, field)
	}
}

func TestCreate_storesWhatWasGiven(t *testing.T) {
	eachCentre(t, func(t *testing.T, c *centre) {
		want := &permissionv1.Grant{
			Name: acme + "/grants/g1", Subject: sue, Role: "roles/viewer", Resource: group, Reason: "stands in for Tom",
			Creator: tom, ExpireTime: timestamppb.New(at.Add(time.Hour)), Etag: "theirs",
		}
		c.update(t, func(tx kv.Tx) error {
			got, v, err := c.Create(tx, at, want)
			if err != nil {
				return err
			}
			changes, _, err := revision.Since(tx, acme, 0)
			if v.Number != 1 || len(changes) != 1 || changes[0].Revision != v || !slices.Equal(changes[0].Touched, []string{sue}) {
				t.Errorf("revision %v, changes %v", v, changes)
			}
			read, getErr := c.Get(tx, want.GetName())
			if getErr != nil || !proto.Equal(read, got) || got.GetEtag() == "theirs" || got.GetExpireTime().GetNanos() != 0 {
				t.Errorf("created %v, read %v, %v", got, read, getErr)
			}
			return err
		})
	})
}

func TestCreate_refuses(t *testing.T) {
	c := newCentre(t, "bolt")
	c.create(t, "taken", sue, "roles/viewer", acme)
	good := &permissionv1.Grant{Name: acme + "/grants/g1", Subject: sue, Role: "roles/viewer", Resource: group}
	for _, test := range []struct {
		name          string
		change        func(g *permissionv1.Grant)
		kind          errs.Kind
		reason, field string
	}{
		{"the same name", func(g *permissionv1.Grant) { g.Name = acme + "/grants/taken" }, errs.Exists, "GRANT_EXISTS", ""},
		{"the same fact", func(g *permissionv1.Grant) { g.Resource = acme }, errs.Exists, "GRANT_EXISTS", "grant"},
		{"a foreign subject", func(g *permissionv1.Grant) { g.Subject = "organizations/zeta/staff/sue" }, errs.Invalid, "SUBJECT_INVALID", "grant.subject"},
		{"no subject at all", func(g *permissionv1.Grant) { g.Subject = group }, errs.Invalid, "SUBJECT_INVALID", "grant.subject"},
		{"a sister service", func(g *permissionv1.Grant) { g.Subject = "services/groupchat" }, errs.Invalid, "SUBJECT_INVALID", "grant.subject"},
		{"a foreign resource", func(g *permissionv1.Grant) { g.Resource = "organizations/zeta/groups/g1" }, errs.Invalid, "RESOURCE_FOREIGN", "grant.resource"},
		{"a foreign organisation with our prefix", func(g *permissionv1.Grant) { g.Resource = "organizations/acme2" }, errs.Invalid, "RESOURCE_FOREIGN", "grant.resource"},
		{"a collection", func(g *permissionv1.Grant) { g.Resource = acme + "/groups" }, errs.Invalid, "RESOURCE_NAME_INVALID", "grant.resource"},
		{"a wildcard", func(g *permissionv1.Grant) { g.Resource = acme + "/groups/-" }, errs.Invalid, "RESOURCE_NAME_INVALID", "grant.resource"},
		{"dots", func(g *permissionv1.Grant) { g.Resource = acme + "/groups/.." }, errs.Invalid, "RESOURCE_NAME_INVALID", "grant.resource"},
		{"an empty segment", func(g *permissionv1.Grant) { g.Resource = acme + "//g1" }, errs.Invalid, "RESOURCE_NAME_INVALID", "grant.resource"},
		{"no organisation", func(g *permissionv1.Grant) { g.Resource = "groups/g1" }, errs.Invalid, "RESOURCE_NAME_INVALID", "grant.resource"},
		{"an unknown built-in role", func(g *permissionv1.Grant) { g.Role = "roles/king" }, errs.NotFound, "ROLE_NOT_FOUND", "grant.role"},
		{"the role of oneself", func(g *permissionv1.Grant) { g.Role = role.Self }, errs.NotFound, "ROLE_NOT_FOUND", "grant.role"},
		{"a role that a service gives", func(g *permissionv1.Grant) { g.Role = "roles/group.owner" }, errs.Invalid, "ROLE_MANAGED", "grant.role"},
		{"a custom role that is not there", func(g *permissionv1.Grant) { g.Role = acme + "/roles/none" }, errs.NotFound, "ROLE_NOT_FOUND", "grant.role"},
		{"a foreign role", func(g *permissionv1.Grant) { g.Role = "organizations/zeta/roles/r" }, errs.NotFound, "ROLE_NOT_FOUND", "grant.role"},
		{"a malformed role", func(g *permissionv1.Grant) { g.Role = "king" }, errs.NotFound, "ROLE_NOT_FOUND", "grant.role"},
		{"an end in the past", func(g *permissionv1.Grant) { g.ExpireTime = timestamppb.New(at.Add(-time.Second)) }, errs.Invalid, "EXPIRE_TIME_PAST", "grant.expire_time"},
		{"an end in this second", func(g *permissionv1.Grant) { g.ExpireTime = timestamppb.New(at.Add(time.Nanosecond)) }, errs.Invalid, "EXPIRE_TIME_PAST", "grant.expire_time"},
		{"an end that is no time", func(g *permissionv1.Grant) { g.ExpireTime = &timestamppb.Timestamp{Seconds: 1 << 60} }, errs.Invalid, "EXPIRE_TIME_PAST", "grant.expire_time"},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := proto.CloneOf(good)
			test.change(g)
			wantError(t, c.try(t, g), test.kind, test.reason, test.field)
		})
	}
	if got := c.list(t, grant.Filter{}); !slices.Equal(got, []string{"taken"}) {
		t.Errorf("grants %v", got)
	}
}

func TestList_byFilter(t *testing.T) {
	eachCentre(t, func(t *testing.T, c *centre) {
		c.create(t, "g1", sue, "roles/viewer", acme)
		c.create(t, "g2", sue, "roles/auditor", group)
		c.create(t, "g3", tom, "roles/viewer", group)
		c.create(t, "g4", tom, role.Operator, authz.Installation)
		c.update(t, func(tx kv.Tx) error {
			_, _, err := c.Create(tx, at, &permissionv1.Grant{
				Name: "organizations/zeta/grants/z1", Subject: "organizations/zeta/staff/z", Role: "roles/viewer", Resource: authz.Installation,
			})
			return err
		})
		for _, test := range []struct {
			filter grant.Filter
			want   []string
		}{
			{grant.Filter{}, []string{"g1", "g2", "g3", "g4"}},
			{grant.Filter{Subject: sue}, []string{"g1", "g2"}},
			{grant.Filter{Resource: group}, []string{"g2", "g3"}},
			{grant.Filter{Resource: authz.Installation}, []string{"g4"}},
			{grant.Filter{Role: "roles/viewer"}, []string{"g1", "g3"}},
			{grant.Filter{Subject: "organizations/zeta/staff/z"}, nil},
		} {
			if got := c.list(t, test.filter); !slices.Equal(got, test.want) {
				t.Errorf("%+v: %v, want %v", test.filter, got, test.want)
			}
		}
	})
}

func TestDelete_keepsAnAdministrator(t *testing.T) {
	eachCentre(t, func(t *testing.T, c *centre) {
		name := func(id string) string { return acme + "/grants/" + id }
		c.create(t, "first", sue, role.Admin, acme)
		c.create(t, "elsewhere", tom, role.Admin, group)
		c.create(t, "everyone", subject.AllStaff(acme), role.Admin, acme)
		c.update(t, func(tx kv.Tx) error {
			_, _, err := c.Create(tx, at, &permissionv1.Grant{
				Name: name("ending"), Subject: tom, Role: role.Admin, Resource: acme, ExpireTime: timestamppb.New(at.Add(time.Hour)),
			})
			return err
		})
		wantError(t, c.delete(t, name("first"), ""), errs.Precondition, "LAST_ADMINISTRATOR", "")
		c.create(t, "team", sales, role.Admin, acme)
		wantError(t, c.delete(t, name("first"), ""), errs.Precondition, "LAST_ADMINISTRATOR", "") // nobody is in it
		c.update(t, func(tx kv.Tx) error {
			if err := c.subjects.SetState(tx, at, acme+"/staff/una", "SUSPENDED"); err != nil {
				return err
			}
			return c.subjects.AddMember(tx, at, sales, acme+"/staff/una")
		})
		wantError(t, c.delete(t, name("first"), ""), errs.Precondition, "LAST_ADMINISTRATOR", "") // who is may do nothing
		c.update(t, func(tx kv.Tx) error { return c.subjects.AddMember(tx, at, sales, acme+"/staff/uwe") })
		if err := c.delete(t, name("first"), ""); err != nil {
			t.Fatalf("with a team that administers: %v", err)
		}
		wantError(t, c.delete(t, name("team"), ""), errs.Precondition, "LAST_ADMINISTRATOR", "")
		c.create(t, "suspended", acme+"/staff/sam", role.Admin, acme)
		c.update(t, func(tx kv.Tx) error { return c.subjects.SetState(tx, at, acme+"/staff/sam", "SUSPENDED") })
		wantError(t, c.delete(t, name("team"), ""), errs.Precondition, "LAST_ADMINISTRATOR", "")
		for _, id := range []string{"elsewhere", "everyone", "ending", "suspended"} {
			if err := c.delete(t, name(id), ""); err != nil {
				t.Errorf("delete %s, on which nothing depends: %v", id, err)
			}
		}
	})
}

func TestDelete_keepsAnOperator(t *testing.T) {
	c := newCentre(t, "bolt")
	c.create(t, "first", sue, role.Operator, authz.Installation)
	c.create(t, "elsewhere", tom, role.Operator, acme)
	c.create(t, "team", sales, role.Operator, authz.Installation)
	wantError(t, c.delete(t, acme+"/grants/first", ""), errs.Precondition, "LAST_OPERATOR", "")
	c.create(t, "second", tom, role.Operator, authz.Installation)
	for _, id := range []string{"first", "elsewhere", "team"} {
		if err := c.delete(t, acme+"/grants/"+id, ""); err != nil {
			t.Errorf("delete %s: %v", id, err)
		}
	}
	wantError(t, c.delete(t, acme+"/grants/second", ""), errs.Precondition, "LAST_OPERATOR", "")
}

func TestDelete_refuses(t *testing.T) {
	c := newCentre(t, "bolt")
	c.create(t, "g1", sue, "roles/viewer", acme)
	wantError(t, c.delete(t, acme+"/grants/none", ""), errs.NotFound, "GRANT_NOT_FOUND", "")
	wantError(t, c.delete(t, acme+"/grants/g1", "stale"), errs.Conflict, "ETAG_MISMATCH", "etag")
	c.update(t, func(tx kv.Tx) error {
		_, err := c.SetManaged(tx, at, grant.Word{Service: "groupchat", Subject: sue, Resource: group, Role: "roles/group.member", Version: 1}, "m1")
		return err
	})
	wantError(t, c.delete(t, acme+"/grants/m1", ""), errs.Precondition, "GRANT_MANAGED", "")
}

func TestDeleteOf_endsAllAndOnlyTheSubjects(t *testing.T) {
	eachCentre(t, func(t *testing.T, c *centre) {
		for i := range 5 {
			c.create(t, fmt.Sprintf("t%d", i), sales, "roles/viewer", fmt.Sprintf("%s/groups/g%d", acme, i))
		}
		c.create(t, "other", acme+"/teams/sales2", "roles/viewer", acme)
		c.update(t, func(tx kv.Tx) error {
			gone, err := c.DeleteOf(tx, at, sales, false)
			if len(gone) != 5 || gone[4].Revision.Number != 7 {
				t.Errorf("gone %v", gone)
			}
			return err
		})
		if got := c.list(t, grant.Filter{}); !slices.Equal(got, []string{"other"}) {
			t.Errorf("left %v", got)
		}
	})
}

func TestSeed_repeatsItselfWithoutEffect(t *testing.T) {
	eachCentre(t, func(t *testing.T, c *centre) {
		for i, want := range []int{4, 0} {
			c.update(t, func(tx kv.Tx) error {
				made, err := c.Seed(tx, at, acme, sue, "services/permission", true)
				if len(made) != want {
					t.Errorf("run %d made %d, want %d", i, len(made), want)
				}
				return err
			})
		}
		if got := c.list(t, grant.Filter{}); !slices.Equal(got, []string{"administrator", "all-customers", "all-staff", "operator"}) {
			t.Errorf("grants %v", got)
		}
		// An equal fact under another name must leave no half-written one.
		c.update(t, func(tx kv.Tx) error {
			_, _, err := c.Create(tx, at, &permissionv1.Grant{
				Name: "organizations/zeta/grants/mine", Subject: "organizations/zeta/staff/z", Role: role.Admin, Resource: "organizations/zeta",
			})
			if err != nil {
				return err
			}
			_, err = c.Seed(tx, at, "organizations/zeta", "organizations/zeta/staff/z", "services/permission", false)
			return err
		})
		if err := c.store.View(t.Context(), func(r kv.Reader) error {
			grants, _, err := c.List(r, "organizations/zeta", grant.Filter{Subject: "organizations/zeta/staff/z"}, nil, 10)
			if len(grants) != 1 {
				t.Errorf("grants %v, want one", grants)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	})
}
