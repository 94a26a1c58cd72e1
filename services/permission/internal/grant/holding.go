package grant

import (
	"iter"

	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// Holding yields the organisation's grants of exactly the role on exactly the
// resource, by name; an empty resource is all of the role, by resource.
func (s *Grants) Holding(r kv.Reader, organization, role, resource string) iter.Seq2[*permissionv1.Grant, error] {
	prefix := kv.Key{kv.String(organization), kv.String(role)}
	if resource != "" {
		prefix = prefix.With(kv.String(resource))
	}
	return func(yield func(*permissionv1.Grant, error) bool) {
		for rec, err := range s.table.Scan(r, kv.Query{Index: byRole, Prefix: prefix}) {
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(shown(rec), nil) {
				return
			}
		}
	}
}
