package datamask

import (
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	optionsv1 "guildhall.dev/proto/gen/guildhall/options/v1"
)

// Reading is one message on its way to one reader.
type Reading struct {
	Plan    *Plan
	Message proto.Message
	// Organization is the reader's; names of others' resources count as none.
	Organization string
	// Around is the resource that is meant where a message has no name: what the
	// RPC was called on.
	Around string
	// Filtered are classes that the list was filtered by: what the reader does
	// not see in full is no member of it.
	Filtered []string
}

// Resources returns the resources that the message has classified fields of,
// that are set; each once, in the order in which they are met.
func (r Reading) Resources() []string {
	var names []string
	seen := make(map[string]bool)
	r.Plan.root.each(r.Message.ProtoReflect(), r.Organization, r.Around, func(_ protoreflect.Message, f field, on string) {
		if f.class >= 0 && !seen[on] {
			seen[on] = true
			names = append(names, on)
		}
	})
	return names
}

// each calls visit with all set fields of the node and below, a field before
// what is below it, and the resource that it is about.
func (n *node) each(m protoreflect.Message, organization, around string, visit func(m protoreflect.Message, f field, on string)) {
	on := n.resourceOf(m, organization, around)
	for _, f := range n.fields {
		if !m.Has(f.fd) {
			continue
		}
		visit(m, f, on)
		if f.below == nil || !m.Has(f.fd) {
			continue
		}
		switch v := m.Get(f.fd); {
		case f.fd.IsMap():
			v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
				f.below.each(v.Message(), organization, on, visit)
				return true
			})
		case f.fd.IsList():
			for i := range v.List().Len() {
				f.below.each(v.List().Get(i).Message(), organization, on, visit)
			}
		default:
			f.below.each(v.Message(), organization, on, visit)
		}
	}
}

// Masked counts what was taken out of a message.
type Masked struct {
	Class string
	// Hidden says that nothing was left.
	Hidden bool
}

// Apply returns the message as the reader sees it: the message itself when that
// is all of it, else a copy, for others may hold the message too. sight says
// how the reader sees the class, of Plan.Classes, on one of Resources.
func (r Reading) Apply(sight func(class int, on string) Sight) (proto.Message, map[Masked]int) {
	if r.sees(sight) {
		return r.Message, nil
	}
	clone := proto.Clone(r.Message)
	r.drop(clone.ProtoReflect(), sight)
	counts := make(map[Masked]int)
	r.Plan.root.each(clone.ProtoReflect(), r.Organization, r.Around, func(m protoreflect.Message, f field, on string) {
		if f.class < 0 {
			return
		}
		s := sight(f.class, on)
		if s.Full() {
			return
		}
		s.apply(m, f)
		counts[Masked{Class: r.Plan.Classes[f.class], Hidden: !m.Has(f.fd)}]++
	})
	return clone, counts
}

func (r Reading) sees(sight func(class int, on string) Sight) bool {
	all := true
	r.Plan.root.each(r.Message.ProtoReflect(), r.Organization, r.Around, func(_ protoreflect.Message, f field, on string) {
		all = all && (f.class < 0 || sight(f.class, on).Full())
	})
	return all
}

func (s Sight) apply(m protoreflect.Message, f field) {
	if !s.masks() {
		m.Clear(f.fd)
		return
	}
	mask := s.Mask
	if mask == optionsv1.Mask_MASK_UNSPECIFIED {
		mask = f.mask
	}
	maskField(m, f.fd, mask, s.Key)
}

// drop takes members out of the lists of a message that a filter by what the
// reader does not see has put there: that they are there would tell it.
func (r Reading) drop(m protoreflect.Message, sight func(class int, on string) Sight) {
	if len(r.Filtered) == 0 {
		return
	}
	on := r.Plan.root.resourceOf(m, r.Organization, r.Around)
	for _, f := range r.Plan.root.fields {
		if !f.fd.IsList() || f.below == nil {
			continue
		}
		list := m.Mutable(f.fd).List()
		kept := 0
		for i := range list.Len() {
			if r.member(f.below.resourceOf(list.Get(i).Message(), r.Organization, on), sight) {
				list.Set(kept, list.Get(i))
				kept++
			}
		}
		list.Truncate(kept)
	}
}

func (r Reading) member(on string, sight func(class int, on string) Sight) bool {
	return !slices.ContainsFunc(r.Filtered, func(class string) bool {
		i, known := slices.BinarySearch(r.Plan.Classes, class)
		return known && !sight(i, on).Full()
	})
}
