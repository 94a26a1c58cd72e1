package merger

import (
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
)

// Finalize makes a merge whose time is over one that cannot be undone, and removes what
// that would have taken, and what is left of the duplicate but its name and where it
// leads: some in each call, until there is no more.
func (m *Merger) Finalize(tx *change.Tx, name string) error {
	tx.Unchanged() // but for the end
	k, err := m.cfg.Merges.Get(tx, name)
	if err != nil {
		return err
	}
	if k.Running() || k.GetDuplicate() == nil || tx.Time.Before(k.Record.GetUndoDeadline().AsTime()) {
		return nil // it was undone, or another replica was quicker
	}
	if held, err := m.held(tx, k.Record.GetSurvivor()); held || err != nil {
		return err // a hold keeps what there is of both, and is looked at again
	}
	if more, err := m.cfg.Accounts.EraseRest(tx, k.Record.GetDuplicate()); more || err != nil {
		return err
	}
	if more, err := m.cfg.Merges.Trim(tx, name); more || err != nil {
		return err
	}
	if err := m.cfg.Accounts.Strip(tx, k.Record.GetDuplicate()); err != nil {
		return err
	}
	return m.cfg.Merges.Close(tx, k)
}

// held reports whether a legal hold is in force on a customer.
func (m *Merger) held(r kv.Reader, customer string) (bool, error) {
	err := m.cfg.Accounts.CheckHold(r, customer)
	if errs.ReasonOf(err) == "LEGAL_HOLD" {
		return true, nil
	}
	return false, err
}
