package grant

import (
	"strings"

	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// FactOf returns what no two grants of people have in common, as one text; see
// GRANT_EXISTS.
func FactOf(g *permissionv1.Grant) string { return strings.Join(factOf(g), "\x00") }

// Find returns the grant that people gave in the organisation and that says the
// same as g, nil when there is none. When it ends and why it was given may
// differ.
func (s *Grants) Find(r kv.Reader, organization string, g *permissionv1.Grant) (*permissionv1.Grant, error) {
	key := kv.Key{kv.String(organization)}
	for _, part := range factOf(g) {
		key = append(key, kv.String(part))
	}
	rec, found, err := s.table.FindBy(r, byFact, key)
	if err != nil || !found {
		return nil, err
	}
	return shown(rec), nil
}
