package subject

import (
	"slices"

	"guildhall.dev/pkg/kv"
)

// IsIn reports whether the account is in the team, or in a team below it.
func (s *Subjects) IsIn(r kv.Reader, account, team string) (bool, error) {
	facts, err := s.Facts(r, account)
	if err != nil {
		return false, err
	}
	for _, direct := range facts.Teams {
		if direct == team {
			return true, nil
		}
		above, _, err := s.Above(r, direct)
		if err != nil || slices.Contains(above, team) {
			return err == nil, err
		}
	}
	return false, nil
}
