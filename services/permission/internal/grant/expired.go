package grant

import (
	"slices"
	"time"

	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// expiryIndex finds the grants that end by themselves by when they do.
func expiryIndex() kv.Index[*permissionv1.Grant] {
	return kv.Index[*permissionv1.Grant]{Name: byExpiry, Keys: func(g *permissionv1.Grant) []kv.Key {
		if g.GetExpireTime() == nil {
			return nil
		}
		return []kv.Key{{kv.Time(g.GetExpireTime().AsTime())}}
	}}
}

// Expired returns the subjects, each once, of the grants that ended by
// themselves from one time on and before another, and false when these are of
// more grants than limit. It is what no change announces.
func (s *Grants) Expired(r kv.Reader, from, until time.Time, limit int) (subjects []string, all bool, err error) {
	page, err := s.table.List(r, kv.Query{
		Index: byExpiry, From: kv.Key{kv.Time(from)}, Until: kv.Key{kv.Time(until)}, Limit: limit,
	})
	if err != nil {
		return nil, false, err
	}
	for _, rec := range page.Records {
		subjects = append(subjects, rec.Value.GetSubject())
	}
	slices.Sort(subjects)
	return slices.Compact(subjects), page.Next == nil, nil
}
