package datamask

import (
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	optionsv1 "guildhall.dev/proto/gen/guildhall/options/v1"
)

// The classes of personal fields that name none.
const (
	Identity = "identity"
	Content  = "content"
)

// Service begins the names of the permissions to see classes of data.
const Service = "data"

// The verbs of the two permissions of a class.
const (
	ReadVerb   = "read"
	MaskedVerb = "readMasked"
)

// ReadPermission returns the permission to see a class in full.
func ReadPermission(class string) string { return Service + "." + class + "." + ReadVerb }

// MaskedPermission returns the permission to see a class masked.
func MaskedPermission(class string) string { return Service + "." + class + "." + MaskedVerb }

// ParsePermission returns the class and the verb of a permission to see a class
// of data; not ok for any other.
func ParsePermission(name string) (class, verb string, ok bool) {
	rest, ok := strings.CutPrefix(name, Service+".")
	if !ok {
		return "", "", false
	}
	return strings.Cut(rest, ".")
}

// ClassOf returns the class of a field and its own mask; "" for none. Secrets
// have no class: no RPC returns one to whom it is not for.
func ClassOf(fd protoreflect.FieldDescriptor) (class string, mask optionsv1.Mask) {
	if d, ok := proto.GetExtension(fd.Options(), optionsv1.E_DataClass).(*optionsv1.DataClass); ok && d.GetName() != "" {
		return d.GetName(), d.GetMask()
	}
	switch personal, _ := proto.GetExtension(fd.Options(), optionsv1.E_PersonalData).(optionsv1.PersonalData); personal {
	case optionsv1.PersonalData_PERSONAL_DATA_UNSPECIFIED:
		return "", 0
	case optionsv1.PersonalData_PERSONAL_DATA_CONTENT:
		return Content, 0
	default:
		return Identity, 0
	}
}

// Reveals returns the classes that an RPC reveals in a form that no mask
// reaches.
func Reveals(m protoreflect.MethodDescriptor) []string {
	classes, _ := proto.GetExtension(m.Options(), optionsv1.E_Reveals).([]string)
	return classes
}

// Class is a class of data.
type Class struct {
	Name string
	// Fields are its fields in what RPCs return, by name.
	Fields []Field
}

// Field is a field of a class.
type Field struct {
	// Name is the full name, as in "guildhall.identity.v1.Customer.email".
	Name string
	Mask optionsv1.Mask
}

// Classes returns the classes of all that the RPCs in files return or reveal, by
// name. Nil files are all protos linked into the program. It looks at all of
// them: keep the answer.
func Classes(files *protoregistry.Files) []Class {
	if files == nil {
		files = protoregistry.GlobalFiles
	}
	found := make(map[string]map[string]Field)
	note := func(class string, f Field) {
		if found[class] == nil {
			found[class] = make(map[string]Field)
		}
		if f.Name != "" {
			found[class][f.Name] = f
		}
	}
	seen := make(map[protoreflect.FullName]bool)
	files.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				for _, class := range Reveals(methods.Get(j)) {
					note(class, Field{})
				}
				collect(methods.Get(j).Output(), seen, note)
			}
		}
		return true
	})
	out := make([]Class, 0, len(found))
	for _, name := range slices.Sorted(maps.Keys(found)) {
		fields := slices.SortedFunc(maps.Values(found[name]), func(a, b Field) int { return strings.Compare(a.Name, b.Name) })
		out = append(out, Class{Name: name, Fields: fields})
	}
	return out
}

func collect(md protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool, note func(string, Field)) {
	if seen[md.FullName()] {
		return
	}
	seen[md.FullName()] = true
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		if class, mask := ClassOf(fd); class != "" {
			note(class, Field{Name: string(fd.FullName()), Mask: mask})
		}
		if sub := messageOf(fd); sub != nil {
			collect(sub, seen, note)
		}
	}
}

// messageOf returns the type of the messages that a field holds, also in a list
// or as the values of a map; nil when it holds none.
func messageOf(fd protoreflect.FieldDescriptor) protoreflect.MessageDescriptor {
	if fd.IsMap() {
		fd = fd.MapValue()
	}
	return fd.Message()
}

// ClassesAt returns the classes of what a path names, as in "email" or
// "address.city": of each field on the way, and of all below the last. A path
// that names no field has none.
func ClassesAt(md protoreflect.MessageDescriptor, path string) []string {
	found := make(map[string]bool)
	for name := range strings.SplitSeq(path, ".") {
		if md == nil {
			break // a key of a map, or no field: the handler refuses it
		}
		fd := md.Fields().ByName(protoreflect.Name(name))
		if fd == nil {
			return nil
		}
		if class, _ := ClassOf(fd); class != "" {
			found[class] = true
		}
		if md = messageOf(fd); fd.IsMap() {
			break
		}
	}
	if md != nil {
		collect(md, make(map[protoreflect.FullName]bool), func(class string, _ Field) { found[class] = true })
	}
	return slices.Sorted(maps.Keys(found))
}
