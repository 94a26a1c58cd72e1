package grant

import (
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// Find returns the grant that people gave of a fact, nil when there is none.
func (s *Grants) Find(r kv.Reader, organization string, f Fact) (*permissionv1.Grant, error) {
	rec, found, err := s.table.FindBy(r, byFact, kv.Key{
		kv.String(organization), kv.String(f.Subject), kv.String(f.Role), kv.String(f.Resource),
	})
	if err != nil || !found {
		return nil, err
	}
	return shown(rec), nil
}
