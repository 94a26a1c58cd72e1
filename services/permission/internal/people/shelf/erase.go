package shelf

import (
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
)

// eraseChunk is how many resources one transaction erases.
const eraseChunk = 100

// Erase deletes a part of what the query selects, whatever its state, and reports
// whether there is more.
func (s *Shelf[T]) Erase(tx *change.Tx, q kv.Query) (more bool, err error) {
	q.Limit = eraseChunk
	page, err := s.table.List(tx, q)
	if err != nil {
		return false, err
	}
	for _, rec := range page.Records {
		if _, err := s.Delete(tx, rec.Value.GetName(), "", nil); err != nil {
			return false, err
		}
	}
	return page.Next != nil, nil
}
