package rpc

import (
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"guildhall.dev/pkg/datamask"
	"guildhall.dev/pkg/filter"
)

// shapes are what the interceptors know of RPCs about classes of data, each
// read from its descriptor when it is first needed.
type shapes struct {
	files    *protoregistry.Files // nil is all linked ones
	byMethod sync.Map             // full method -> *shape
	plans    datamask.Plans
}

// shape is one RPC.
type shape struct {
	// reveals are classes that it reveals in a form that no mask reaches.
	reveals []string
	// update is the shape of a standard update; its resource is nil in others.
	update updateShape
	// records are the types that filter and order_by speak of.
	records []protoreflect.MessageDescriptor
	// filter and order are the request's fields; nil when it has none.
	filter, order protoreflect.FieldDescriptor
	// overwritten are the request's fields of which that is said.
	overwritten []protoreflect.FieldDescriptor
	// selections are expressions in the request.
	selections []selection
}

// use is a class that a request works with by something else than its answer.
type use struct {
	class string
	// within is the collection of the organisation that it is about, with all
	// that is in it; "" is what the call is made on.
	within string
	// field of the request, and what it does, for the caller.
	field, what string
	// selects says that it decides what is in the answer.
	selects bool
}

const notSeen = ": you do not see it in full"

func (s *shapes) of(method string) *shape {
	if known, ok := s.byMethod.Load(method); ok {
		return known.(*shape)
	}
	known, _ := s.byMethod.LoadOrStore(method, s.read(method))
	return known.(*shape)
}

func (s *shapes) read(method string) *shape {
	files := s.files
	if files == nil {
		files = protoregistry.GlobalFiles
	}
	name := protoreflect.FullName(strings.ReplaceAll(strings.TrimPrefix(method, "/"), "/", "."))
	d, err := files.FindDescriptorByName(name)
	m, ok := d.(protoreflect.MethodDescriptor)
	if err != nil || !ok {
		return &shape{} // it has no rule either, and is denied
	}
	sh := &shape{
		reveals: datamask.Reveals(m), records: recordsOf(m.Output()),
		filter: textField(m.Input(), "filter"), order: textField(m.Input(), "order_by"),
	}
	sh.update, _ = updateOf(method, m.Input())
	sh.overwritten = overwrittenBy(m.Input())
	sh.selections = selectionsOf(m.Input(), files)
	return sh
}

func textField(md protoreflect.MessageDescriptor, name protoreflect.Name) protoreflect.FieldDescriptor {
	if fd := md.Fields().ByName(name); fd != nil && fd.Kind() == protoreflect.StringKind && !fd.IsList() {
		return fd
	}
	return nil
}

// recordsOf returns the types whose fields a filter names: those of the lists in
// the answer, or the answer itself, as of an export.
func recordsOf(answer protoreflect.MessageDescriptor) []protoreflect.MessageDescriptor {
	records := []protoreflect.MessageDescriptor{answer}
	for i := range answer.Fields().Len() {
		if fd := answer.Fields().Get(i); fd.IsList() && fd.Message() != nil {
			records = append(records, fd.Message())
		}
	}
	return records
}

// uses returns the classes that the request works with.
func (sh *shape) uses(request protoreflect.Message) []use {
	var found []use
	for _, class := range sh.reveals {
		found = append(found, use{class: class, what: "the call reveals this class of data in a form that cannot be masked"})
	}
	for _, fd := range []protoreflect.FieldDescriptor{sh.filter, sh.order} {
		if fd == nil {
			continue
		}
		for _, path := range filter.Mentions(request.Get(fd).String()) {
			for _, record := range sh.records {
				for _, class := range datamask.ClassesAt(record, path) {
					found = append(found, use{class: class, field: string(fd.Name()), what: "leave out " + path + notSeen, selects: true})
				}
			}
		}
	}
	for _, fd := range sh.overwritten {
		if class, _ := datamask.ClassOf(fd); request.Has(fd) {
			found = append(found, use{class: class, field: string(fd.Name()), what: "leave it out" + notSeen})
		}
	}
	for _, s := range sh.selections {
		found = append(found, s.uses(sh.update, request)...)
	}
	if sh.update.resource == nil || !request.Has(sh.update.resource) {
		return found
	}
	resource := request.Get(sh.update.resource).Message()
	for _, path := range sh.update.paths(request, resource) {
		for _, class := range datamask.ClassesAt(resource.Descriptor(), path) {
			found = append(found, use{class: class, field: string(sh.update.resource.Name()) + "." + path, what: "leave it out" + notSeen})
		}
	}
	return found
}

// paths returns what the update changes: the paths of its mask, all fields with
// "*", and without a mask those that are set.
func (u updateShape) paths(request, resource protoreflect.Message) (paths []string) {
	mask := request.Get(u.mask).Message()
	named := mask.Get(mask.Descriptor().Fields().ByName("paths")).List()
	for i := range named.Len() {
		paths = append(paths, named.Get(i).String())
	}
	switch fields := resource.Descriptor().Fields(); {
	case slices.Contains(paths, "*"):
		paths = nil
		for i := range fields.Len() {
			paths = append(paths, string(fields.Get(i).Name()))
		}
	case len(paths) == 0:
		resource.Range(func(fd protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
			paths = append(paths, string(fd.Name()))
			return true
		})
		slices.Sort(paths)
	}
	return paths
}
