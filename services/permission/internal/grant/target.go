package grant

import "guildhall.dev/pkg/kv"

// CheckTarget refuses a subject and a resource that no grant of the
// organisation could name, with the errors of Check about the two.
func (s *Grants) CheckTarget(r kv.Reader, organization, subject, resource string) error {
	if err := s.checkSubject(r, organization, subject); err != nil {
		return err
	}
	return checkResource(organization, resource)
}
