// Package mark reads the marks that our protos put on fields: personal data
// and secrets (guildhall/options/v1).
//
// The marks are the only list of such fields there is. Code that must keep
// them out of a place asks here, so that a field is marked once, in its proto,
// and kept out everywhere.
package mark

import (
	"errors"
	"fmt"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/anypb"

	optionsv1 "guildhall.dev/proto/gen/guildhall/options/v1"
)

// maxDepth bounds the descent into nested messages and Any values, as
// protobuf bounds it when it parses.
const maxDepth = 100

var errDeep = errors.New("mark: a message is nested too deeply")

// Reader answers questions about marks. It remembers what it learned of a
// message type, so the common case, a type without marks, costs one look-up.
// The zero Reader is ready. It is safe for concurrent use.
type Reader struct {
	types sync.Map // protoreflect.FullName -> marks
}

// marks says which kinds of fields a message type holds, itself or below.
type marks struct{ personal, secret bool }

// Find returns the path of the first set field of m that is marked, personal
// or secret, or "" when there is none. It looks into nested messages, lists,
// maps and Any values; an Any of a type that is not linked into the program
// cannot be judged and is an error.
func (r *Reader) Find(m proto.Message) (path string, err error) {
	if m == nil {
		return "", nil
	}
	return r.find(m.ProtoReflect(), 0)
}

// ClearSecrets clears every set secret field of m, also in nested messages,
// and reports whether there was one. Any values are left alone: requests and
// responses of ours hold none.
func (r *Reader) ClearSecrets(m proto.Message) bool {
	if m == nil {
		return false
	}
	return r.clear(m.ProtoReflect(), 0)
}

func (r *Reader) find(m protoreflect.Message, depth int) (string, error) {
	if depth > maxDepth {
		return "", errDeep
	}
	if m.Descriptor().FullName() == anyName {
		return r.findInAny(m.Interface(), depth)
	}
	if of := r.of(m.Descriptor()); !of.personal && !of.secret {
		return "", nil
	}
	var path string
	var err error
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if personal(fd) || secret(fd) {
			path = string(fd.Name())
			return false
		}
		each(fd, v, func(child protoreflect.Message) bool {
			path, err = r.find(child, depth+1)
			return path == "" && err == nil
		})
		if path != "" {
			path = string(fd.Name()) + "." + path
		}
		return path == "" && err == nil
	})
	return path, err
}

const anyName = "google.protobuf.Any"

func (r *Reader) findInAny(m proto.Message, depth int) (string, error) {
	packed, ok := m.(*anypb.Any)
	if !ok || packed.GetTypeUrl() == "" {
		return "", nil
	}
	mt, err := protoregistry.GlobalTypes.FindMessageByURL(packed.GetTypeUrl())
	if err != nil {
		return "", fmt.Errorf("mark: an Any of an unknown type: %w", err)
	}
	if of := r.of(mt.Descriptor()); !of.personal && !of.secret {
		return "", nil
	}
	inner := mt.New()
	if err := proto.Unmarshal(packed.GetValue(), inner.Interface()); err != nil {
		return "", fmt.Errorf("mark: an Any that does not parse: %w", err)
	}
	return r.find(inner, depth+1)
}

func (r *Reader) clear(m protoreflect.Message, depth int) bool {
	if depth > maxDepth || !r.of(m.Descriptor()).secret {
		return false
	}
	cleared := false
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if secret(fd) {
			m.Clear(fd)
			cleared = true
			return true
		}
		each(fd, v, func(child protoreflect.Message) bool {
			cleared = r.clear(child, depth+1) || cleared
			return true
		})
		return true
	})
	return cleared
}

// each calls visit with the messages that a field holds, until it says false.
func each(fd protoreflect.FieldDescriptor, v protoreflect.Value, visit func(protoreflect.Message) bool) {
	switch {
	case fd.IsMap():
		if fd.MapValue().Message() == nil {
			return
		}
		v.Map().Range(func(_ protoreflect.MapKey, item protoreflect.Value) bool { return visit(item.Message()) })
	case fd.Message() == nil:
	case fd.IsList():
		for i := range v.List().Len() {
			if !visit(v.List().Get(i).Message()) {
				return
			}
		}
	default:
		visit(v.Message())
	}
}

// of returns the marks of a type and of all types it can hold.
func (r *Reader) of(md protoreflect.MessageDescriptor) marks {
	if known, ok := r.types.Load(md.FullName()); ok {
		return known.(marks)
	}
	var found marks
	collect(md, &found, make(map[protoreflect.FullName]bool))
	r.types.Store(md.FullName(), found)
	return found
}

// collect walks the types below md once each; types may hold themselves.
func collect(md protoreflect.MessageDescriptor, found *marks, seen map[protoreflect.FullName]bool) {
	if seen[md.FullName()] {
		return
	}
	seen[md.FullName()] = true
	if md.FullName() == anyName {
		found.personal = true // it may hold anything
		return
	}
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		found.personal = found.personal || personal(fd)
		found.secret = found.secret || secret(fd)
		if fd.Message() != nil {
			collect(fd.Message(), found, seen)
		}
	}
}

// personal reports whether a field is marked as personal data, or belongs to a
// class of data: what an organisation can keep from some readers goes to no
// place that all can read.
func personal(fd protoreflect.FieldDescriptor) bool {
	if class, ok := proto.GetExtension(fd.Options(), optionsv1.E_DataClass).(*optionsv1.DataClass); ok && class.GetName() != "" {
		return true
	}
	kind, _ := proto.GetExtension(fd.Options(), optionsv1.E_PersonalData).(optionsv1.PersonalData)
	return kind != optionsv1.PersonalData_PERSONAL_DATA_UNSPECIFIED
}

func secret(fd protoreflect.FieldDescriptor) bool {
	marked, _ := proto.GetExtension(fd.Options(), optionsv1.E_Secret).(bool)
	return marked
}
