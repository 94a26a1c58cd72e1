package grant_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	"guildhall.dev/services/permission/internal/grant"
)

func (c *centre) say(t testing.TB, w grant.Word) (e grant.Effect, err error) {
	t.Helper()
	id := resource.NewID()
	err = c.store.Update(t.Context(), func(tx kv.Tx) (err error) {
		e, err = c.SetManaged(tx, at, w, id)
		return err
	})
	return e, err
}

func TestSetManaged_followsTheMembership(t *testing.T) {
	eachCentre(t, func(t *testing.T, c *centre) {
		// A grant of people on the same resource is a fact of its own.
		c.create(t, "byhand", sue, "roles/viewer", group)
		word := grant.Word{Service: "groupchat", Subject: sue, Resource: group}
		for i, step := range []struct {
			role    string
			version int64
			force   int64 // version in force after it
			want    string
			change  bool
		}{
			{"roles/group.member", 2, 2, "roles/group.member", true},
			{"roles/group.owner", 1, 2, "roles/group.member", false}, // late
			{"roles/group.owner", 2, 2, "roles/group.member", false}, // twice
			{"roles/group.admin", 5, 5, "roles/group.admin", true},   // a new role
			{"roles/group.admin", 6, 6, "roles/group.admin", false},  // the same again
			{"", 7, 7, "", true},                                     // left
			{"roles/group.member", 6, 7, "", false},                  // late, after leaving
			{"", 8, 8, "", false},                                    // left again
			{"roles/group.member", 9, 9, "roles/group.member", true}, // joined anew
			{"roles/group.member", 10, 10, "roles/group.member", false},
		} {
			word.Role, word.Version = step.role, step.version
			e, err := c.say(t, word)
			if err != nil {
				t.Fatal(err)
			}
			if changed := e.Before != nil || e.After != nil; e.Version != step.force || changed != step.change {
				t.Errorf("step %d: version %d, a change %t", i, e.Version, changed)
			}
			if got := c.managedRole(t, sue, group); got != step.want {
				t.Errorf("step %d: role %q, want %q", i, got, step.want)
			}
		}
		if !slices.Contains(c.list(t, grant.Filter{}), "byhand") {
			t.Error("the grant of people is gone")
		}
	})
}

// managedRole returns the one managed role of a subject on a resource.
func (c *centre) managedRole(t testing.TB, subject, resource string) (name string) {
	t.Helper()
	err := c.store.View(t.Context(), func(r kv.Reader) error {
		name = ""
		for g, err := range c.Of(r, subject) {
			if err != nil {
				return err
			}
			if g.GetManagedBy() == "" || g.GetResource() != resource {
				continue
			}
			if name != "" || g.GetManagedBy() != "services/groupchat" {
				t.Errorf("grant %v beside one of %s", g, name)
			}
			name = g.GetRole()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// TestSetManaged_anyOrderEndsAlike delivers the words about a membership in
// random order, some of them twice.
func TestSetManaged_anyOrderEndsAlike(t *testing.T) {
	c := newCentre(t, "bolt")
	rapid.Check(t, func(rt *rapid.T) {
		on := acme + "/groups/" + resource.NewID()
		roles := rapid.SliceOfN(rapid.SampledFrom([]string{"", "roles/group.member", "roles/group.admin", "roles/group.owner"}), 1, 6).Draw(rt, "roles")
		order := rapid.Permutation(append(versions(len(roles)), versions(len(roles))...)).Draw(rt, "order")
		for _, version := range order {
			if _, err := c.say(t, grant.Word{Service: "groupchat", Subject: sue, Resource: on, Role: roles[version-1], Version: version}); err != nil {
				rt.Fatal(err)
			}
		}
		if got, want := c.managedRole(t, sue, on), roles[len(roles)-1]; got != want {
			rt.Fatalf("role %q, want %q", got, want)
		}
	})
}

func versions(n int) []int64 {
	var out []int64
	for i := range n {
		out = append(out, int64(i)+1)
	}
	return out
}

func TestSetManaged_refuses(t *testing.T) {
	c := newCentre(t, "bolt")
	for _, test := range []struct {
		name          string
		word          grant.Word
		reason, field string
	}{
		{"a role that is not of the service", grant.Word{Service: "groupchat", Subject: sue, Resource: group, Role: "roles/organization.admin", Version: 1}, "ROLE_NOT_MANAGED", "role"},
		{"another service", grant.Word{Service: "feedback", Subject: sue, Resource: group, Role: "roles/group.member", Version: 1}, "ROLE_NOT_MANAGED", "role"},
		{"a team", grant.Word{Service: "groupchat", Subject: sales, Resource: group, Role: "roles/group.member", Version: 1}, "SUBJECT_INVALID", "subject"},
		{"the organisation", grant.Word{Service: "groupchat", Subject: sue, Resource: acme, Role: "roles/group.member", Version: 1}, "RESOURCE_NAME_INVALID", "resource"},
		{"the installation", grant.Word{Service: "groupchat", Subject: sue, Resource: "installation", Role: "roles/group.member", Version: 1}, "RESOURCE_NAME_INVALID", "resource"},
		{"another organisation", grant.Word{Service: "groupchat", Subject: sue, Resource: "organizations/zeta/groups/g1", Role: "roles/group.member", Version: 1}, "RESOURCE_NAME_INVALID", "resource"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := c.say(t, test.word)
			wantError(t, err, errs.Invalid, test.reason, test.field)
		})
	}
}
