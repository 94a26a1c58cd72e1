package grant

import (
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// maxSelected bounds what one Select reads when most of it is left out.
const maxSelected = 10_000

// Select returns up to limit grants that people gave in the organisation and
// that have all of the filter's fields, whatever number of them is set; those
// that a service keeps are not theirs to delete. more says that there may be
// others.
func (s *Grants) Select(r kv.Reader, organization string, f Filter, limit int) (grants []*permissionv1.Grant, more bool, err error) {
	scanned := 0
	for rec, err := range s.table.Scan(r, f.query(organization, nil, 0)) {
		if err != nil {
			return nil, false, err
		}
		if scanned == maxSelected {
			return grants, true, nil
		}
		scanned++
		if rec.Value.GetManagedBy() != "" || !f.matches(rec.Value) {
			continue
		}
		if len(grants) == limit {
			return grants, true, nil
		}
		grants = append(grants, shown(rec))
	}
	return grants, false, nil
}

func (f Filter) matches(g *permissionv1.Grant) bool {
	return (f.Subject == "" || g.GetSubject() == f.Subject) &&
		(f.Resource == "" || g.GetResource() == f.Resource) &&
		(f.Role == "" || g.GetRole() == f.Role)
}

// Place is a grant and where it stands in the list that it was found in.
type Place struct {
	Grant *permissionv1.Grant
	// Position is where a list goes on behind the grant.
	Position []byte
}

// Walk is List with the position of each grant, for those who leave out some
// of what they read. more says that there are others.
func (s *Grants) Walk(r kv.Reader, organization string, f Filter, after []byte, limit int) (places []Place, more bool, err error) {
	page, err := s.table.List(r, f.query(organization, after, limit))
	if err != nil {
		return nil, false, err
	}
	for _, rec := range page.Records {
		places = append(places, Place{shown(rec), rec.Position})
	}
	return places, page.Next != nil, nil
}

// query is the filter by the index that leaves the fewest to read.
func (f Filter) query(organization string, after []byte, limit int) kv.Query {
	q := kv.Query{Prefix: kv.Key{kv.String(organization)}, After: after, Limit: limit}
	switch {
	case f.Subject != "":
		q.Index, q.Prefix = bySubject, q.Prefix.With(kv.String(f.Subject))
	case f.Resource != "":
		q.Index, q.Prefix = byResource, q.Prefix.With(kv.String(f.Resource))
	case f.Role != "":
		q.Index, q.Prefix = byRole, q.Prefix.With(kv.String(f.Role))
	}
	return q
}

// After returns up to limit grants of the organisation behind the one named,
// by name, and whether there are more; "" begins. It needs no position of a list, so that a cursor that
// lives long holds a name and no key.
func (s *Grants) After(r kv.Reader, organization, name string, limit int) (grants []*permissionv1.Grant, more bool, err error) {
	q := kv.Query{Prefix: kv.Key{kv.String(organization)}, Limit: limit}
	if name != "" {
		// No id is another with a zero byte behind it.
		q.From = kv.Key{kv.String(idOf(name) + "\x00")}
	}
	page, err := s.table.List(r, q)
	if err != nil {
		return nil, false, err
	}
	for _, rec := range page.Records {
		grants = append(grants, shown(rec))
	}
	return grants, page.Next != nil, nil
}

// GetMany returns the grants of the names, in their order; nil where there is
// none.
func (s *Grants) GetMany(r kv.Reader, names []string) ([]*permissionv1.Grant, error) {
	keys := make([]kv.Key, len(names))
	for i, name := range names {
		keys[i] = keyOf(name)
	}
	records, err := s.table.GetMany(r, keys)
	if err != nil {
		return nil, err
	}
	grants := make([]*permissionv1.Grant, len(records))
	for i, rec := range records {
		if rec.Found() {
			grants[i] = shown(rec)
		}
	}
	return grants, nil
}
