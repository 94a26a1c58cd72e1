package rpc

import (
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	optionsv1 "guildhall.dev/proto/gen/guildhall/options/v1"

	"guildhall.dev/pkg/datamask"
)

// selection is an expression in a request that tells records apart; see the
// option guildhall.options.v1.selects.
type selection struct {
	// holder is the request's field with the message that has the expression.
	holder, expression protoreflect.FieldDescriptor
	// classes are those of the records' fields, by the name of the field.
	classes    map[string][]string
	collection string
}

// selectionsOf returns the expressions in the messages of a request.
func selectionsOf(request protoreflect.MessageDescriptor, files *protoregistry.Files) (found []selection) {
	for i := range request.Fields().Len() {
		holder := request.Fields().Get(i)
		if holder.Message() == nil || holder.Cardinality() == protoreflect.Repeated {
			continue
		}
		for j := range holder.Message().Fields().Len() {
			fd := holder.Message().Fields().Get(j)
			option, _ := proto.GetExtension(fd.Options(), optionsv1.E_Selects).(*optionsv1.Selects)
			d, err := files.FindDescriptorByName(protoreflect.FullName(option.GetRecords()))
			if records, ok := d.(protoreflect.MessageDescriptor); err == nil && ok {
				found = append(found, selection{holder, fd, fieldsWithClasses(records), option.GetCollection()})
			}
		}
	}
	return found
}

func fieldsWithClasses(records protoreflect.MessageDescriptor) map[string][]string {
	by := make(map[string][]string)
	for i := range records.Fields().Len() {
		name := string(records.Fields().Get(i).Name())
		if classes := datamask.ClassesAt(records, name); len(classes) > 0 {
			by[name] = classes
		}
	}
	return by
}

var identifier = regexp.MustCompile(`[A-Za-z_][A-Za-z0-9_]*`)

// uses returns the classes that the expression of a request speaks of. It reads
// none of its language: a word that is a field's name counts wherever it
// stands, so that none escapes.
func (s selection) uses(update updateShape, request protoreflect.Message) (found []use) {
	if !request.Has(s.holder) {
		return nil
	}
	message := request.Get(s.holder).Message()
	if update.resource == s.holder && !slices.Contains(update.paths(request, message), string(s.expression.Name())) {
		return nil // it stays as it is
	}
	for _, word := range each(identifier.FindAllString(message.Get(s.expression).String(), -1)) {
		for _, class := range s.classes[word] {
			found = append(found, use{
				class: class, within: s.collection, field: string(s.holder.Name()) + "." + string(s.expression.Name()),
				what: "leave out " + word + notSeen,
			})
		}
	}
	return found
}

// on returns what the use is about in a call by the rule on the resources: these;
// the collection with all that is in it; or, of what selects among those of a
// collection below a resource, that one too. Single ones that are kept from the
// caller are taken out of the answer.
func (u use) on(c *call, resources []string) []string {
	if u.within != "" {
		return []string{c.caller.Organization() + "/" + u.within + "/-"}
	}
	if !u.selects {
		return resources
	}
	all := slices.Clone(resources)
	if parts := strings.Split(c.rule.Permission, "."); len(parts) == 3 {
		for _, name := range resources {
			all = append(all, name+"/"+parts[1])
		}
	}
	return all
}

// overwrittenBy returns the request's fields that say what is overwritten.
func overwrittenBy(request protoreflect.MessageDescriptor) (found []protoreflect.FieldDescriptor) {
	for i := range request.Fields().Len() {
		fd := request.Fields().Get(i)
		if d, _ := proto.GetExtension(fd.Options(), optionsv1.E_DataClass).(*optionsv1.DataClass); d.GetOverwrites() {
			found = append(found, fd)
		}
	}
	return found
}
