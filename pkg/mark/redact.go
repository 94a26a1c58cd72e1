package mark

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/anypb"
)

// redacted stands for a text that is not shown. That there was one is often
// what a reader of the log wants to know.
const redacted = "****"

// Redact returns a copy of m that may be logged: marked texts are "****",
// other marked fields and all unknown ones are cleared, also in nested
// messages and in Any values. An Any of an unknown type loses its value. Nil
// stays nil.
func Redact(m proto.Message) proto.Message {
	if m == nil || !m.ProtoReflect().IsValid() {
		return m
	}
	copied := proto.Clone(m)
	redact(copied.ProtoReflect(), 0)
	return copied
}

func redact(m protoreflect.Message, depth int) {
	m.SetUnknown(nil) // a newer sender's field may be marked there
	if depth > maxDepth {
		m.Range(func(fd protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
			m.Clear(fd)
			return true
		})
		return
	}
	if packed, ok := m.Interface().(*anypb.Any); ok {
		redactAny(packed, depth)
		return
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if personal(fd) || secret(fd) {
			hide(m, fd)
			return true
		}
		each(fd, v, func(child protoreflect.Message) bool {
			redact(child, depth+1)
			return true
		})
		return true
	})
}

func hide(m protoreflect.Message, fd protoreflect.FieldDescriptor) {
	if fd.Kind() == protoreflect.StringKind && !fd.IsList() && !fd.IsMap() {
		m.Set(fd, protoreflect.ValueOfString(redacted))
		return
	}
	m.Clear(fd)
}

func redactAny(packed *anypb.Any, depth int) {
	mt, err := protoregistry.GlobalTypes.FindMessageByURL(packed.GetTypeUrl())
	if err != nil {
		packed.Value = nil
		return
	}
	inner := mt.New()
	if err := proto.Unmarshal(packed.GetValue(), inner.Interface()); err != nil {
		packed.Value = nil
		return
	}
	redact(inner, depth+1)
	packed.Value, err = proto.Marshal(inner.Interface())
	if err != nil {
		packed.Value = nil
	}
}
