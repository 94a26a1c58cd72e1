package mirror

import (
	"guildhall.dev/pkg/change"
)

// Erase erases a part of what an account holds and what hangs on it, for good, and
// reports whether there is more. Unlike an end by the feed it leaves the word that
// the account may do nothing: identity gives the name to nobody again.
func (m *Mirror) Erase(tx *change.Tx, account string) (more bool, err error) {
	if err := m.cfg.Subjects.LeaveAll(tx, tx.Time, account); err != nil {
		return false, err
	}
	if err := m.endWith(tx, tx.Time, account); err != nil {
		return false, err
	}
	return m.cfg.Grants.Ending(tx, account)
}
