package authz

import (
	"iter"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/resource"
)

const (
	maxName     = 512
	maxSegments = 16
	// maxResources bounds what one request may ask about; the protos' own
	// limits are tighter but are checked after this.
	maxResources = 1000
)

// Resources returns the names in the request that the permission is needed
// on, each once. Invalid (RESOURCE_NAME_INVALID, with the field) when one is
// missing or malformed: what cannot be read cannot be authorised. A rule
// without a resource returns none.
func (r *Rule) Resources(request protoreflect.Message) ([]string, error) {
	if r.fixed != "" {
		return []string{r.fixed}, nil
	}
	if r.path == nil {
		return nil, nil
	}
	names := collect(nil, request, r.path)
	if len(names) == 0 {
		return nil, r.malformed()
	}
	if len(names) > maxResources {
		return nil, errs.InvalidField(r.field, "TOO_MANY_RESOURCES", "send at most 1000 names in one request")
	}
	for _, name := range names {
		if !wellFormed(name) {
			return nil, r.malformed()
		}
	}
	if len(names) > 1 {
		slices.Sort(names)
		names = slices.Compact(names)
	}
	return names, nil
}

// Silent reports whether the request leaves the resource out altogether, as
// the later messages of a client's stream may.
func (r *Rule) Silent(request protoreflect.Message) bool {
	if r.path == nil {
		return true
	}
	for _, name := range collect(nil, request, r.path) {
		if name != "" {
			return false
		}
	}
	return true
}

func (r *Rule) malformed() error {
	return errs.InvalidField(r.field, resource.Reason,
		"send the full name of a resource, as in organizations/acme/groups/g1")
}

// collect appends the strings at the path, in the request's order. A message
// that is not set counts as one with an empty name, so that it cannot be used
// to slip past the check.
func collect(into []string, m protoreflect.Message, path []protoreflect.FieldDescriptor) []string {
	fd, rest := path[0], path[1:]
	value := m.Get(fd)
	switch {
	case fd.IsList():
		list := value.List()
		for i := range list.Len() {
			if len(rest) == 0 {
				into = append(into, list.Get(i).String())
			} else {
				into = collect(into, list.Get(i).Message(), rest)
			}
		}
		return into
	case len(rest) == 0:
		return append(into, value.String())
	default:
		return collect(into, value.Message(), rest)
	}
}

// wellFormed reports whether name is a resource name (AIP-122): segments of
// RFC 3986 unreserved characters under "organizations/…". A segment may be the
// wildcard "-" (AIP-159), which no other organisation's name can equal.
func wellFormed(name string) bool {
	if len(name) > maxName || !strings.HasPrefix(name, organizations) {
		return false
	}
	segments := 0
	for segment := range strings.SplitSeq(name, "/") {
		segments++
		if segments > maxSegments || !wellFormedSegment(segment) {
			return false
		}
	}
	return segments >= 2
}

func wellFormedSegment(s string) bool {
	if s == "" || s == "." || s == ".." {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && c != '-' && c != '_' && c != '.' && c != '~' {
			return false
		}
	}
	return true
}

const organizations = "organizations/"

// organizationOf returns the tenant's part of a well-formed name:
// "organizations/acme" of "organizations/acme/groups/g1".
func organizationOf(name string) string {
	if end := strings.IndexByte(name[len(organizations):], '/'); end >= 0 {
		return name[:len(organizations)+end]
	}
	return name
}

// Methods yields every RPC of files; nil is all protos linked into the
// program.
func Methods(files *protoregistry.Files) iter.Seq[protoreflect.MethodDescriptor] {
	if files == nil {
		files = protoregistry.GlobalFiles
	}
	return func(yield func(protoreflect.MethodDescriptor) bool) {
		files.RangeFiles(func(file protoreflect.FileDescriptor) bool {
			services := file.Services()
			for i := range services.Len() {
				ms := services.Get(i).Methods()
				for j := range ms.Len() {
					if !yield(ms.Get(j)) {
						return false
					}
				}
			}
			return true
		})
	}
}
