// Package datamask takes out of messages what their reader may not see.
//
// Fields of our protos belong to classes of data (guildhall.options.v1), and
// organisations restrict classes by field policies. Who sees which class on
// which resource is the permission service's to say; this package knows which
// fields of a message belong to a class, which resource each of them is about,
// and what a mask leaves of a value. The interceptors of pkg/rpc put the two
// together, for every RPC: no handler masks anything, and none can forget to.
//
// A message type is compiled once, into a Plan. One without classified fields
// has none, and costs its RPCs nothing; one with them is walked along the
// fields that lead to some, and only where the organisation restricts
// something.
package datamask

import (
	"slices"
	"strings"
	"sync"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"

	optionsv1 "guildhall.dev/proto/gen/guildhall/options/v1"
)

// Sight is how somebody sees one class of data on one resource. The zero Sight
// sees nothing.
type Sight struct {
	Visibility permissionv1.Visibility
	// Mask is the policy's; unspecified is each field's own.
	Mask optionsv1.Mask
	// Key is for MASK_HASH.
	Key []byte
}

// Full reports whether everything is seen.
func (s Sight) Full() bool { return s.Visibility == permissionv1.Visibility_VISIBILITY_FULL }

// Plan says where the classified fields of a message type are. It is read-only.
type Plan struct {
	// Classes are those of the fields, by name, each once.
	Classes []string
	root    *node
}

// node is a message type on the way to classified fields.
type node struct {
	// name is the field that holds the name of the resource that the message
	// is; nil in a message that is none.
	name   protoreflect.FieldDescriptor
	fields []field
}

// field is classified, or holds messages with classified fields, or both.
type field struct {
	fd    protoreflect.FieldDescriptor
	class int // of Plan.Classes; -1 is none
	mask  optionsv1.Mask
	below *node // nil when there is nothing below
}

// Plans compiles message types, each once. The zero Plans is ready. It is safe
// for concurrent use.
type Plans struct {
	byType sync.Map // protoreflect.FullName -> *Plan, nil for a type without classes
}

// Of returns the plan of a message type; nil when no field of it, or below it,
// has a class.
func (p *Plans) Of(md protoreflect.MessageDescriptor) *Plan {
	if known, ok := p.byType.Load(md.FullName()); ok {
		return known.(*Plan)
	}
	known, _ := p.byType.LoadOrStore(md.FullName(), compile(md))
	return known.(*Plan)
}

func compile(md protoreflect.MessageDescriptor) *Plan {
	classes := classesBelow(md)
	if len(classes) == 0 {
		return nil
	}
	c := compiler{classes: classes, nodes: make(map[protoreflect.FullName]*node)}
	return &Plan{Classes: classes, root: c.node(md)}
}

func classesBelow(md protoreflect.MessageDescriptor) (classes []string) {
	collect(md, make(map[protoreflect.FullName]bool), func(class string, _ Field) { classes = append(classes, class) })
	slices.Sort(classes)
	return slices.Compact(classes)
}

type compiler struct {
	classes []string
	nodes   map[protoreflect.FullName]*node // types may be recursive
}

func (c *compiler) node(md protoreflect.MessageDescriptor) *node {
	if n, ok := c.nodes[md.FullName()]; ok {
		return n
	}
	n := &node{name: nameOf(md)}
	c.nodes[md.FullName()] = n
	for i := range md.Fields().Len() {
		f := field{fd: md.Fields().Get(i), class: -1}
		class, mask := ClassOf(f.fd)
		if class != "" {
			f.class, _ = slices.BinarySearch(c.classes, class)
			f.mask = mask
		}
		if below := messageOf(f.fd); below != nil && len(classesBelow(below)) > 0 {
			f.below = c.node(below)
		}
		if f.class >= 0 || f.below != nil {
			n.fields = append(n.fields, f)
		}
	}
	return n
}

// nameOf returns the field with a resource's name (AIP-122): the one that is
// marked as its identifier (AIP-203), or else is called "name".
func nameOf(md protoreflect.MessageDescriptor) protoreflect.FieldDescriptor {
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		behaviors, _ := proto.GetExtension(fd.Options(), annotations.E_FieldBehavior).([]annotations.FieldBehavior)
		if isText(fd) && slices.Contains(behaviors, annotations.FieldBehavior_IDENTIFIER) {
			return fd
		}
	}
	if fd := md.Fields().ByName("name"); fd != nil && isText(fd) {
		return fd
	}
	return nil
}

func isText(fd protoreflect.FieldDescriptor) bool {
	return fd.Kind() == protoreflect.StringKind && !fd.IsList() && !fd.IsMap()
}

// resourceOf returns the resource that a message is about: itself, when it has
// a name in the organisation, or what the message around it is about.
func (n *node) resourceOf(m protoreflect.Message, organization, around string) string {
	if n.name == nil {
		return around
	}
	if name := m.Get(n.name).String(); strings.HasPrefix(name, organization) &&
		(len(name) == len(organization) || name[len(organization)] == '/') {
		return name
	}
	return around
}

// masks reports whether something of a value is left.
func (s Sight) masks() bool { return s.Visibility == permissionv1.Visibility_VISIBILITY_MASKED }
