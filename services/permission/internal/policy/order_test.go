package policy

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

const acme = "organizations/acme"

func roleChange(id string, gone bool, includes ...string) Change {
	r := &permissionv1.Role{Name: acme + "/roles/" + id}
	for _, name := range includes {
		r.IncludedRoles = append(r.IncludedRoles, acme+"/roles/"+name)
	}
	return change(r.Name, r, gone)
}

func change(name string, thing proto.Message, gone bool) Change {
	if gone {
		return Change{Name: name, Old: thing}
	}
	return Change{Name: name, Now: thing}
}

func ids(changes []Change) (out []string) {
	for _, c := range changes {
		out = append(out, c.Name[len(acme)+1:])
	}
	return out
}

func TestOrder_putsFirstWhatOthersNeed(t *testing.T) {
	changed := func(name string, thing proto.Message) Change { return Change{Name: name, Old: thing, Now: thing} }
	changes := []Change{
		change(acme+"/resourceTypes/gone", &permissionv1.ResourceType{}, true),
		roleChange("gone", true),
		change(acme+"/grants/gone", &permissionv1.Grant{}, true),
		change(acme+"/staff/gone#properties", &permissionv1.Properties{}, true),
		changed(acme+"/grants/changed", &permissionv1.Grant{}),
		change(acme+"/grants/new", &permissionv1.Grant{}, false),
		changed(acme+"/roles/changed", &permissionv1.Role{}),
		roleChange("new", false),
		changed(acme+"/resourceTypes/changed", &permissionv1.ResourceType{}),
		change(acme+"/resourceTypes/new", &permissionv1.ResourceType{}, false),
		change(acme+"/staff/new#properties", &permissionv1.Properties{}, false),
	}
	order(changes)
	want := []string{
		"staff/new#properties", "resourceTypes/new", "resourceTypes/changed", "roles/new", "roles/changed", "grants/new", "grants/changed",
		"grants/gone", "roles/gone", "resourceTypes/gone", "staff/gone#properties",
	}
	if diff := cmp.Diff(want, ids(changes)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestOrder_ofRolesThatIncludeOthers: however a document has them, a new role
// comes after those that it includes, and one that goes before them.
func TestOrder_ofRolesThatIncludeOthers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		gone := rapid.Bool().Draw(t, "gone")
		count := rapid.IntRange(1, 8).Draw(t, "roles")
		var changes []Change
		for i := range count {
			var includes []string
			for j := range i {
				if rapid.IntRange(0, 2).Draw(t, "included") == 0 {
					includes = append(includes, fmt.Sprintf("r%d", j))
				}
			}
			changes = append(changes, roleChange(fmt.Sprintf("r%d", i), gone, append(includes, "elsewhere")...))
		}
		changes = rapid.Permutation(changes).Draw(t, "document")
		order(changes)
		place := func(name string) int {
			return slices.IndexFunc(changes, func(c Change) bool { return c.Name == name })
		}
		for at, c := range changes {
			for _, included := range c.thing().(*permissionv1.Role).GetIncludedRoles() {
				if other := place(included); other >= 0 && (other < at) == gone {
					t.Fatalf("%s at %d, and %s, which it includes, at %d: %v", c.Name, at, included, other, ids(changes))
				}
			}
		}
	})
}

// TestOrder_aCircleEnds: the centre of roles refuses it, with all else that is
// wrong.
func TestOrder_aCircleEnds(t *testing.T) {
	changes := []Change{roleChange("a", false, "b"), roleChange("b", false, "a"), roleChange("self", false, "self")}
	order(changes)
	if len(changes) != 3 {
		t.Errorf("left are %v", ids(changes))
	}
}
