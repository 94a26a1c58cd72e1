package request

import (
	"guildhall.dev/pkg/change"
	"guildhall.dev/services/permission/internal/people/shelf"
)

// Erase removes a part of what an account has asked for and of what was asked about
// it, whatever became of it, and reports whether there is more: why somebody should
// have something is said in words about a person.
func (s *Requests) Erase(tx *change.Tx, account string) (more bool, err error) {
	if more, err = s.shelf.Erase(tx, shelf.Below(account)); more || err != nil {
		return more, err
	}
	return s.shelf.Erase(tx, listQuery(organizationOf(account), Filter{Subject: account}))
}
