package change

import (
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// written are fields that every write changes and that say nothing.
var written = []protoreflect.Name{"etag", "update_time", "revision"}

// ChangedFields returns the names of the fields in which two messages of one
// type differ, sorted, for a Change. In a message field that both have set it
// names the fields below it, "settings.language", one level deep, but for the
// well-known types: a timestamp is one value. A nil message has all fields
// unset. Two messages of different types, and two nil ones, give nil. The etag, update_time and revision of a
// resource, which change with every write, are left out.
func ChangedFields(old, now proto.Message) []string {
	a, b, ok := reflectBoth(old, now)
	if !ok {
		return nil
	}
	var names []string
	for i := range a.Descriptor().Fields().Len() {
		fd := a.Descriptor().Fields().Get(i)
		if slices.Contains(written, fd.Name()) || same(a, b, fd) {
			continue
		}
		names = append(names, below(a, b, fd)...)
	}
	slices.Sort(names)
	return names
}

func reflectBoth(old, now proto.Message) (a, b protoreflect.Message, ok bool) {
	switch {
	case old == nil && now == nil:
		return nil, nil, false
	case old == nil:
		b = now.ProtoReflect()
		a = b.Type().Zero()
	case now == nil:
		a = old.ProtoReflect()
		b = a.Type().Zero()
	default:
		a, b = old.ProtoReflect(), now.ProtoReflect()
	}
	return a, b, a.Descriptor() == b.Descriptor()
}

// below returns the name of a field that differs, or of those in it.
func below(a, b protoreflect.Message, fd protoreflect.FieldDescriptor) []string {
	name := string(fd.Name())
	if fd.Message() == nil || fd.IsList() || fd.IsMap() || !a.Has(fd) || !b.Has(fd) ||
		fd.Message().ParentFile().Package() == "google.protobuf" {
		return []string{name}
	}
	inA, inB := a.Get(fd).Message(), b.Get(fd).Message()
	var names []string
	for i := range fd.Message().Fields().Len() {
		if child := fd.Message().Fields().Get(i); !same(inA, inB, child) {
			names = append(names, name+"."+string(child.Name()))
		}
	}
	if names == nil { // only unknown fields differ
		names = []string{name}
	}
	return names
}

func same(a, b protoreflect.Message, fd protoreflect.FieldDescriptor) bool {
	return a.Has(fd) == b.Has(fd) && a.Get(fd).Equal(b.Get(fd))
}
