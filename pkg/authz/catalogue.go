package authz

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"guildhall.dev/pkg/datamask"
)

// Permission is one permission that some RPC asks for, or that it takes to see a
// class of data in what RPCs return.
type Permission struct {
	// Name is the whole, as in "groupchat.messages.create"; Service, Resource
	// and Verb are its parts.
	Name, Service, Resource, Verb string
	// Methods are the full names of the RPCs that ask for it, sorted; none of a
	// class of data.
	Methods []string
	// Patterns are the shapes of the names it is asked on, sorted, as in
	// "organizations/*/groups/*": read from the RPCs' HTTP bindings, so empty
	// for a permission that only unbound RPCs ask for.
	Patterns []string
	// Mutates says that at least one of the RPCs changes state.
	Mutates bool
}

// Catalogue returns every permission that the protos linked into the program
// declare, by name. Broken rules are left out: rpc.CheckRegistered reports
// them.
func Catalogue() []Permission { return catalogue(nil) }

func catalogue(files *protoregistry.Files) []Permission {
	found := make(map[string]*Permission)
	for m := range Methods(files) {
		rule, err := CompileRule(m)
		if err != nil || rule.Access != ByPermission {
			continue
		}
		info := found[rule.Permission]
		if info == nil {
			parts := strings.SplitN(rule.Permission, ".", 3)
			info = &Permission{Name: rule.Permission, Service: parts[0], Resource: parts[1], Verb: parts[2]}
			found[rule.Permission] = info
		}
		info.Methods = append(info.Methods, rule.Method)
		info.Patterns = append(info.Patterns, rule.patterns(m)...)
		info.Mutates = info.Mutates || rule.Mutates
	}
	for _, class := range datamask.Classes(files) {
		for _, verb := range []string{datamask.ReadVerb, datamask.MaskedVerb} {
			p := &Permission{Service: datamask.Service, Resource: class.Name, Verb: verb}
			p.Name = p.Service + "." + p.Resource + "." + p.Verb
			found[p.Name] = p
		}
	}
	out := make([]Permission, 0, len(found))
	for _, name := range slices.Sorted(maps.Keys(found)) {
		info := found[name]
		slices.Sort(info.Methods)
		slices.Sort(info.Patterns)
		info.Patterns = slices.Compact(info.Patterns)
		out = append(out, *info)
	}
	return out
}

// variable is one bound field of an HTTP path template (AIP-127).
var variable = regexp.MustCompile(`\{([a-z0-9_.]+)=([^}]+)\}`)

func (r *Rule) patterns(m protoreflect.MethodDescriptor) []string {
	if r.fixed != "" {
		return []string{r.fixed}
	}
	http, _ := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
	var out []string
	for _, binding := range append([]*annotations.HttpRule{http}, http.GetAdditionalBindings()...) {
		for _, v := range variable.FindAllStringSubmatch(pathOf(binding), -1) {
			if v[1] == r.field {
				out = append(out, v[2])
			}
		}
	}
	return out
}

func pathOf(http *annotations.HttpRule) string {
	switch p := http.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		return p.Get
	case *annotations.HttpRule_Post:
		return p.Post
	case *annotations.HttpRule_Put:
		return p.Put
	case *annotations.HttpRule_Patch:
		return p.Patch
	case *annotations.HttpRule_Delete:
		return p.Delete
	case *annotations.HttpRule_Custom:
		return p.Custom.GetPath()
	}
	return ""
}
