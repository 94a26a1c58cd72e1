package grant

import (
	"iter"
	"strings"

	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// ScanRole yields all grants of a role in an organisation, by resource, behind
// a position.
func (s *Grants) ScanRole(r kv.Reader, organization, role string, after []byte) iter.Seq2[kv.Record[*permissionv1.Grant], error] {
	return s.table.Scan(r, kv.Query{
		Index: byRole, Prefix: kv.Key{kv.String(organization), kv.String(role)}, After: after,
	})
}

// ScanGiven yields the grants that people gave in an organisation, by subject,
// behind a position; of one subject when it is not empty. Those that services
// keep, which are many more, it does not read.
func (s *Grants) ScanGiven(r kv.Reader, organization, subject string, after []byte) iter.Seq2[kv.Record[*permissionv1.Grant], error] {
	q := kv.Query{Index: byFact, Prefix: kv.Key{kv.String(organization)}, After: after}
	if subject != "" {
		q.Prefix = q.Prefix.With(kv.String(subject))
	}
	return s.table.Scan(r, q)
}

// ScanResource yields all grants on exactly a resource of an organisation, in no
// order that means anything.
func (s *Grants) ScanResource(r kv.Reader, organization, on string) iter.Seq2[kv.Record[*permissionv1.Grant], error] {
	return s.table.Scan(r, kv.Query{Index: byResource, Prefix: kv.Key{kv.String(organization), kv.String(on)}})
}

// IsResourceOf reports whether the name is that of the organisation, or of the
// form of a resource of it.
func IsResourceOf(organization, name string) bool {
	return (name == organization || strings.HasPrefix(name, organization+"/")) && isResource(name)
}
