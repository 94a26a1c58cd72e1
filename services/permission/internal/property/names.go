package property

import (
	"slices"
	"strings"

	"guildhall.dev/pkg/kv"
)

// Names returns up to limit names of the organisation, behind the one given,
// of which something is stored, in order, and whether there may be more.
func (s *Properties) Names(r kv.Reader, organization, after string, limit int) (names []string, more bool, err error) {
	q := kv.Query{Prefix: kv.Key{kv.String(organization)}, From: kv.Key{kv.String(after + "\x00")}, Limit: limit}
	page, err := s.table.List(r, q)
	if err != nil {
		return nil, false, err
	}
	for _, rec := range page.Records {
		names = append(names, rec.Value.GetName())
	}
	return names, page.Next != nil, nil
}

// Under is Names for the names that begin with the collection, as in
// "organizations/acme/staff".
func (s *Properties) Under(r kv.Reader, organization, collection, after string, limit int) (names []string, more bool, err error) {
	names, more, err = s.Names(r, organization, max(collection+"/", after), limit)
	if end := slices.IndexFunc(names, func(n string) bool { return !strings.HasPrefix(n, collection+"/") }); end >= 0 {
		return names[:end], false, err
	}
	return names, more, err
}
