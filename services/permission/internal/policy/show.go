package policy

import (
	"encoding/json"
	"slices"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// Collection is the collection of the thing, as permissions name it: "roles",
// "grants", "resourceTypes", "properties".
func (c Change) Collection() string {
	switch {
	case isRole(c.Name):
		return "roles"
	case isGrant(c.Name):
		return "grants"
	case isType(c.Name):
		return "resourceTypes"
	}
	return "properties"
}

// Proto returns the change as the API shows it.
func (c Change) Proto() *permissionv1.PolicyChange {
	out := &permissionv1.PolicyChange{Action: c.Action, Name: c.Name, Field: c.Field}
	if g, ok := c.thing().(*permissionv1.Grant); ok {
		out.Grant = proto.CloneOf(g)
	}
	if c.Action == permissionv1.PolicyChange_ACTION_UPDATE && c.Collection() != "properties" {
		out.Fields = differences(canonical(c.Old), canonical(c.Now))
	}
	return out
}

// differences says how two things of one kind differ, in the order of their
// fields.
func differences(old, now proto.Message) []*permissionv1.PolicyFieldChange {
	a, b := old.ProtoReflect(), now.ProtoReflect()
	var out []*permissionv1.PolicyFieldChange
	for i := range a.Descriptor().Fields().Len() {
		field := a.Descriptor().Fields().Get(i)
		had, has := values(a, field), values(b, field)
		d := &permissionv1.PolicyFieldChange{Field: string(field.Name()), Removed: without(had, has), Added: without(has, had)}
		if len(d.GetRemoved()) > 0 || len(d.GetAdded()) > 0 {
			out = append(out, d)
		}
	}
	return out
}

func without(all, others []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(text string) bool { return slices.Contains(others, text) })
}

// values are the elements of a field as people read them.
func values(m protoreflect.Message, field protoreflect.FieldDescriptor) (out []string) {
	switch {
	case !m.Has(field):
	case field.IsList():
		for i := range m.Get(field).List().Len() {
			out = append(out, text(field, m.Get(field).List().Get(i)))
		}
	default:
		out = append(out, text(field, m.Get(field)))
	}
	return out
}

// text is a value: a message in JSON, which for a time is RFC 3339.
func text(field protoreflect.FieldDescriptor, v protoreflect.Value) string {
	switch field.Kind() {
	case protoreflect.MessageKind:
		encoded, err := protojson.Marshal(v.Message().Interface())
		if err != nil {
			return "?" // no message of ours fails to encode
		}
		var plain string
		if json.Unmarshal(encoded, &plain) == nil {
			return plain
		}
		return compact(encoded)
	case protoreflect.EnumKind:
		if value := field.Enum().Values().ByNumber(v.Enum()); value != nil {
			return string(value.Name())
		}
	}
	return v.String()
}

// compact takes out the spaces that protojson puts in at random.
func compact(text []byte) string {
	var value any
	if json.Unmarshal(text, &value) != nil {
		return string(text)
	}
	plain, err := json.Marshal(value)
	if err != nil {
		return string(text)
	}
	return string(plain)
}
