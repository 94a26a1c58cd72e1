package role

import (
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
)

// CheckNamed refuses a role that nobody in the organisation can hold by a
// grant: NotFound (ROLE_NOT_FOUND) on the field. One that a service gives can be
// held.
func (s *Roles) CheckNamed(r kv.Reader, organization, field, name string) error {
	missing := errs.New(errs.NotFound, "ROLE_NOT_FOUND", "there is no such role that can be granted; see ListRoles",
		errs.Field(field, "ROLE_NOT_FOUND", "name a role of ListRoles"))
	if IsBuiltIn(name) {
		if _, ok := s.sets[name]; !ok || name == Self {
			return missing
		}
		return nil
	}
	if !Pattern.Matches(name) || OrganizationOf(name) != organization {
		return missing
	}
	_, err := s.Get(r, name)
	if errs.Is(err, errs.NotFound) {
		return missing
	}
	return err
}
