package subject

import (
	"iter"

	"guildhall.dev/pkg/kv"
)

// Members yields the accounts that are in exactly the team, by name.
func (s *Subjects) Members(r kv.Reader, team string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for rec, err := range s.memberships.Scan(r, kv.Query{Index: byTeam, Prefix: kv.Key{kv.String(team)}}) {
			if !yield(rec.Value.GetAccount(), err) {
				return
			}
		}
	}
}
