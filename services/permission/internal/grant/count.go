package grant

import (
	"guildhall.dev/pkg/kv"
)

// Count returns how many grants of the organisation give the role, of any
// subject and whether or not they have ended, but at most limit: it reads each
// that it counts.
func (s *Grants) Count(r kv.Reader, organization, roleName string, limit int) (int, error) {
	const chunk = 1000
	q := kv.Query{Index: byRole, Prefix: kv.Key{kv.String(organization), kv.String(roleName)}}
	count := 0
	for count < limit {
		q.Limit = min(chunk, limit-count)
		page, err := s.table.List(r, q)
		if err != nil {
			return 0, err
		}
		count += len(page.Records)
		if page.Next == nil {
			break
		}
		q.After = page.Next
	}
	return count, nil
}
