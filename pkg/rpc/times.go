package rpc

import (
	"strconv"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/errs"
)

// timekeeper finds times and durations that are none: with nanoseconds beyond a
// second, or of mixed signs (google/protobuf/timestamp.proto, duration.proto). No rule
// speaks of them, AsTime takes them, and JSON refuses to write them: one that is kept
// could not be shown any more. It remembers which types have times. The zero
// timekeeper is ready.
type timekeeper struct {
	types sync.Map // protoreflect.FullName -> bool
}

// check returns Invalid (VALIDATION_FAILED) when a time of the message, also in one
// below it, is none.
func (k *timekeeper) check(m proto.Message) error {
	if m == nil {
		return nil
	}
	if field := k.find(m.ProtoReflect(), ""); field != "" {
		return errs.New(errs.Invalid, "VALIDATION_FAILED", "the request breaks the rules of its fields",
			errs.Field(field, "TIME_INVALID", "send a time or a duration that JSON can write: nanoseconds from 0 to 999,999,999, and one sign"))
	}
	return nil
}

// find returns the path of the first that is none.
func (k *timekeeper) find(m protoreflect.Message, path string) string {
	switch v := m.Interface().(type) {
	case *timestamppb.Timestamp:
		if !v.IsValid() {
			return path
		}
		return ""
	case *durationpb.Duration:
		if !v.IsValid() {
			return path
		}
		return ""
	}
	if !k.has(m.Descriptor()) {
		return ""
	}
	found := ""
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.IsMap():
			if fd.MapValue().Message() != nil {
				v.Map().Range(func(key protoreflect.MapKey, each protoreflect.Value) bool {
					found = k.find(each.Message(), below(path, string(fd.Name())+"["+key.String()+"]"))
					return found == ""
				})
			}
		case fd.Message() == nil:
		case fd.IsList():
			for i := 0; i < v.List().Len() && found == ""; i++ {
				found = k.find(v.List().Get(i).Message(), below(path, string(fd.Name())+"["+strconv.Itoa(i)+"]"))
			}
		default:
			found = k.find(v.Message(), below(path, string(fd.Name())))
		}
		return found == ""
	})
	return found
}

func below(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// has reports whether messages of a type can have times.
func (k *timekeeper) has(md protoreflect.MessageDescriptor) bool {
	if known, ok := k.types.Load(md.FullName()); ok {
		return known.(bool)
	}
	is := reaches(md, map[protoreflect.FullName]bool{})
	k.types.Store(md.FullName(), is)
	return is
}

// reaches reports whether a type is one of times, or has fields that are; seen are the
// types above it.
func reaches(md protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool) bool {
	switch md.FullName() {
	case "google.protobuf.Timestamp", "google.protobuf.Duration":
		return true
	}
	if seen[md.FullName()] {
		return false
	}
	seen[md.FullName()] = true
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		if fd.IsMap() {
			fd = fd.MapValue()
		}
		if fd.Message() != nil && reaches(fd.Message(), seen) {
			return true
		}
	}
	return false
}
