package policy

import (
	"cmp"
	"slices"

	"google.golang.org/protobuf/proto"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// order puts changes into the order in which they can be made. Within a kind
// the document's order stays, but that a new role comes after those that it
// includes, and one that goes before them.
func order(changes []Change) {
	tower := &tower{things: map[string]proto.Message{}, heights: map[string]int{}}
	for _, c := range changes {
		tower.things[c.Name] = c.thing()
	}
	slices.SortStableFunc(changes, func(a, b Change) int {
		up := tower.height(a.Name, 0) - tower.height(b.Name, 0)
		if a.Now == nil {
			up = -up
		}
		return cmp.Or(rank(a)-rank(b), up)
	})
}

// rank is which kind of change comes when: properties, types, roles and grants,
// of each what is new before what differs; then what goes, grants first.
func rank(c Change) int {
	kind := 0
	switch {
	case isType(c.Name):
		kind = 1
	case isRole(c.Name):
		kind = 2
	case isGrant(c.Name):
		kind = 3
	}
	switch {
	case c.Now == nil:
		return 20 - kind
	case c.Old == nil:
		return 2 * kind
	}
	return 2*kind + 1
}

// thing is what the change is about, as it is to be or was.
func (c Change) thing() proto.Message {
	if c.Now != nil {
		return c.Now
	}
	return c.Old
}

// tower says how many roles of a plan stand below a role.
type tower struct {
	things  map[string]proto.Message
	heights map[string]int
}

// maxHeight ends the walk along a cycle of roles, which the centre of roles
// refuses.
const maxHeight = 50

func (t *tower) height(name string, depth int) int {
	if h, ok := t.heights[name]; ok {
		return h
	}
	role, ok := t.things[name].(*permissionv1.Role)
	if !ok || depth > maxHeight {
		return 0
	}
	h := 0
	for _, included := range role.GetIncludedRoles() {
		if t.things[included] != nil {
			h = max(h, 1+t.height(included, depth+1))
		}
	}
	t.heights[name] = h
	return h
}
