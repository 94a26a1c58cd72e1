package jsonbody

import (
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// maxNames bounds the enum values that a message lists.
const maxNames = 20

// isOurs reports whether a message is written as an object of its fields.
// Those of google.protobuf have forms of their own (ProtoJSON).
func isOurs(m protoreflect.MessageDescriptor) bool {
	return m != nil && m.ParentFile().Package() != "google.protobuf"
}

// expected says in words what a field takes.
func expected(field protoreflect.FieldDescriptor) string {
	switch {
	case field.IsMap():
		return "an object whose values are each " + one(field.MapValue())
	case field.IsList():
		return "a list, each element " + one(field)
	}
	return one(field)
}

func one(field protoreflect.FieldDescriptor) string {
	switch field.Kind() {
	case protoreflect.BoolKind:
		return "true or false"
	case protoreflect.StringKind:
		return "a string"
	case protoreflect.BytesKind:
		return "a string in base64"
	case protoreflect.EnumKind:
		return "one of " + names(field.Enum())
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return "a number"
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind,
		protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return "a whole number, in quotes when it has more than 15 digits"
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return wellKnown(field.Message())
	}
	return "a whole number that fits in 32 bits"
}

func wellKnown(m protoreflect.MessageDescriptor) string {
	switch m.FullName() {
	case "google.protobuf.Timestamp":
		return `a time as in "2026-01-31T08:00:00Z"`
	case "google.protobuf.Duration":
		return `a duration in seconds as in "90s"`
	case "google.protobuf.FieldMask":
		return `field names as in "displayName,email"`
	}
	return "a JSON object of type " + string(m.Name())
}

func names(enum protoreflect.EnumDescriptor) string {
	var out []string
	for i := range min(enum.Values().Len(), maxNames) {
		if value := enum.Values().Get(i); value.Number() != 0 {
			out = append(out, string(value.Name()))
		}
	}
	return strings.Join(out, ", ")
}
