// Package fieldmask reads the update_mask of standard update methods
// (AIP-134): which fields of a resource a request changes.
//
// What a field means, and which of them callers may change, a service's centre
// knows: a merge that did not ask it would also write what only the service may
// set. So Apply takes paths that Paths returned, and nothing else.
package fieldmask

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/errs"
)

// Reason is the reason of the error of Paths.
const Reason = "UPDATE_MASK_INVALID"

// Paths returns the fields that a request changes, sorted, each once, and all
// of them among the mutable ones, which are top-level names as in
// "display_name".
//
// An empty mask means every mutable field that is set in resource, "*" every
// mutable field. Naming a mutable field that is not set clears it. Naming one
// that is no field, or that callers may not change, is Invalid
// (UPDATE_MASK_INVALID); "name" and "etag", which say what to change and not
// how, are passed over, so that a client may send back a mask of all it has.
func Paths(mask *fieldmaskpb.FieldMask, resource proto.Message, mutable ...string) ([]string, error) {
	if len(mask.GetPaths()) == 0 {
		return populated(resource, mutable), nil
	}
	var out []string
	for _, path := range mask.GetPaths() {
		switch {
		case path == "*":
			out = append(out, mutable...)
		case path == "name", path == "etag":
		case slices.Contains(mutable, path):
			out = append(out, path)
		default:
			return nil, errs.InvalidField("update_mask", Reason, "name fields that can be changed: "+strings.Join(mutable, ", "))
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// Apply sets the fields at the paths, which Paths returned for messages of the
// type, to those of from. What it takes it copies.
func Apply(into, from proto.Message, paths []string) {
	a, b := into.ProtoReflect(), proto.Clone(from).ProtoReflect()
	for _, path := range paths {
		fd := a.Descriptor().Fields().ByName(protoreflect.Name(path))
		if b.Has(fd) {
			a.Set(fd, b.Get(fd))
		} else {
			a.Clear(fd)
		}
	}
}

func populated(resource proto.Message, mutable []string) []string {
	var out []string
	m := resource.ProtoReflect()
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		if m.Has(fd) && slices.Contains(mutable, string(fd.Name())) {
			out = append(out, string(fd.Name()))
		}
	}
	slices.Sort(out)
	return out
}
