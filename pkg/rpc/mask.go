package rpc

import (
	"strings"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"guildhall.dev/pkg/errs"
)

// updateShape is a standard update's request (AIP-134): a resource, and the
// mask of its fields that change. A PATCH of one field carries a resource whose
// other fields are empty, and judging those would refuse every PATCH of a
// resource with a required field.
//
// So of the resource only masked fields are validated, at any depth; rules that
// span fields of a partly masked message are left to the handler, which sees
// the merged one. Without a mask, the fields that are set are the mask. With
// "*" the resource is replaced, and validated, whole. Every other field of the
// request is validated as usual.
type updateShape struct {
	resource, mask protoreflect.FieldDescriptor
}

// updateOf returns the shape of a method called Update… whose request has a
// field "update_mask" of type FieldMask and a resource named like the method
// ("group" for UpdateGroup), or else a single other message field.
func updateOf(method string, request protoreflect.MessageDescriptor) (updateShape, bool) {
	noun, ok := strings.CutPrefix(method[strings.LastIndexByte(method, '/')+1:], "Update")
	if !ok {
		return updateShape{}, false
	}
	shape := updateShape{mask: request.Fields().ByName("update_mask")}
	if shape.mask == nil || shape.mask.Message() == nil || shape.mask.Message().FullName() != "google.protobuf.FieldMask" {
		return updateShape{}, false
	}
	var messages []protoreflect.FieldDescriptor
	for i := range request.Fields().Len() {
		fd := request.Fields().Get(i)
		if fd == shape.mask || fd.Message() == nil || fd.Cardinality() == protoreflect.Repeated {
			continue
		}
		if strings.EqualFold(strings.ReplaceAll(string(fd.Name()), "_", ""), noun) {
			shape.resource = fd
			return shape, true
		}
		messages = append(messages, fd)
	}
	if len(messages) != 1 {
		return updateShape{}, false
	}
	shape.resource = messages[0]
	return shape, true
}

// filter returns which rules apply to the request; nil is all of them. Invalid
// (UPDATE_MASK_INVALID) when the mask names a field that is not there.
func (u updateShape) filter(request protoreflect.Message) (protovalidate.Filter, error) {
	if !request.Has(u.resource) {
		return nil, nil
	}
	resource := request.Get(u.resource).Message()
	root, err := u.masked(request, resource)
	if err != nil || root == nil {
		return nil, err
	}
	partly := make(map[proto.Message]*maskNode)
	root.spread(resource, partly)
	return protovalidate.FilterFunc(func(m protoreflect.Message, d protoreflect.Descriptor) bool {
		node, ok := partly[m.Interface()]
		if !ok {
			return true
		}
		switch d := d.(type) {
		case protoreflect.FieldDescriptor:
			return node.children[d.Name()] != nil
		case protoreflect.OneofDescriptor:
			for i := range d.Fields().Len() {
				if node.children[d.Fields().Get(i).Name()] != nil {
					return true
				}
			}
		}
		return false
	}), nil
}

// maskNode is a field of the mask. One without children is masked whole.
type maskNode struct {
	children map[protoreflect.Name]*maskNode
}

// masked returns the mask as a tree, or nil when it covers everything.
func (u updateShape) masked(request, resource protoreflect.Message) (*maskNode, error) {
	root := &maskNode{children: make(map[protoreflect.Name]*maskNode)}
	mask := request.Get(u.mask).Message()
	paths := mask.Get(mask.Descriptor().Fields().ByName("paths")).List()
	if paths.Len() == 0 {
		resource.Range(func(fd protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
			root.children[fd.Name()] = &maskNode{}
			return true
		})
		return root, nil
	}
	for i := range paths.Len() {
		path := paths.Get(i).String()
		if path == "*" {
			return nil, nil
		}
		if !root.add(path, resource.Descriptor()) {
			return nil, errs.InvalidField("update_mask", "UPDATE_MASK_INVALID",
				"name fields of the resource, as in display_name or settings.language")
		}
	}
	return root, nil
}

// add puts one path into the tree, and reports false when it names no field.
func (n *maskNode) add(path string, m protoreflect.MessageDescriptor) bool {
	name, rest, deeper := strings.Cut(path, ".")
	fd := m.Fields().ByName(protoreflect.Name(name))
	if fd == nil {
		return false
	}
	child, known := n.children[fd.Name()]
	switch {
	case !deeper, fd.IsMap(): // a map's keys are masked with the map (AIP-161)
		n.children[fd.Name()] = &maskNode{}
		return true
	case fd.Message() == nil || fd.IsList():
		return false
	case known && child.children == nil:
		return (&maskNode{children: make(map[protoreflect.Name]*maskNode)}).add(rest, fd.Message()) // masked whole already
	case !known:
		child = &maskNode{children: make(map[protoreflect.Name]*maskNode)}
		n.children[fd.Name()] = child
	}
	return child.add(rest, fd.Message())
}

// spread notes which messages of the resource are masked in part.
func (n *maskNode) spread(m protoreflect.Message, into map[proto.Message]*maskNode) {
	if n.children == nil {
		return
	}
	into[m.Interface()] = n
	for name, child := range n.children {
		fd := m.Descriptor().Fields().ByName(name)
		if child.children != nil && m.Has(fd) {
			child.spread(m.Get(fd).Message(), into)
		}
	}
}
