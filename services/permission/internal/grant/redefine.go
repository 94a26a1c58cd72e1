package grant

import (
	"slices"
	"time"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
)

// DeniesAny reports whether a grant of the organisation denies one of the
// roles, also one that has ended. It reads the grants that deny, which are few
// beside those that give.
func (s *Grants) DeniesAny(r kv.Reader, organization string, roles []string) (bool, error) {
	if len(roles) == 0 {
		return false, nil
	}
	for rec, err := range s.table.Scan(r, kv.Query{Index: byDeny, Prefix: kv.Key{kv.String(organization)}}) {
		if err != nil {
			return false, err
		}
		if slices.Contains(roles, rec.Value.GetRole()) {
			return true, nil
		}
	}
	return false, nil
}

// Filled returns, for each post of the organisation, whether somebody fills it.
func (s *Grants) Filled(r kv.Reader, at time.Time, organization string) ([]bool, error) {
	var all []bool
	for _, p := range postsOf(organization) {
		f := filling{s: s, r: r, at: at, organization: organization, post: p}
		if err := f.findBars(nil); err != nil {
			return nil, err
		}
		filled, err := f.filled("")
		if err != nil {
			return nil, err
		}
		all = append(all, filled)
	}
	return all, nil
}

// StillFilled refuses a change of roles that has been made, with Precondition
// (LAST_ADMINISTRATOR, LAST_OPERATOR), when a post is no longer filled that
// was: the roles are denied to somebody, and now have what the post is for.
func (s *Grants) StillFilled(r kv.Reader, at time.Time, organization string, before []bool) error {
	after, err := s.Filled(r, at, organization)
	if err != nil {
		return err
	}
	for i, p := range postsOf(organization) {
		if before[i] && !after[i] {
			return errs.New(errs.Precondition, p.reason, p.denied)
		}
	}
	return nil
}
