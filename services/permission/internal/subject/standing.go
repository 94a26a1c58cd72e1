package subject

import (
	"slices"
	"strings"
	"time"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/permission/store/v1"
)

// Denied reports whether the account may do nothing.
func (s *Subjects) Denied(r kv.Reader, account string) (bool, error) {
	rec, found, err := s.standings.Find(r, kv.Key{kv.String(account)})
	return found && !mayAct(rec.Value.GetState()), err
}

// mayAct are the states in which grants count. A pending account cannot log in
// yet, but what it will hold may be asked. A state that this version does not
// know denies.
func mayAct(state string) bool {
	return slices.Contains([]string{"ACTIVE", "PENDING"}, strings.TrimPrefix(state, "ACCOUNT_STATE_"))
}

// Word is what identity says of the state of an account.
type Word struct {
	Account string
	// State is as identity spells it.
	State string
	// Version orders the words about one account.
	Version int64
}

// Hear takes over a word that identity said directly, unless one with the same
// or a higher version is in force, and returns the version that is then. The
// word is kept also when it says that the account may act: the feed, which is
// behind, must not take it back. The error is Invalid (SUBJECT_INVALID).
func (s *Subjects) Hear(tx kv.Tx, at time.Time, w Word) (int64, error) {
	if err := checkAccount(w.Account); err != nil {
		return 0, err
	}
	return s.hear(tx, at, w, true)
}

// Follow is Hear for a word of identity's feed, which comes for every account
// there is: what says that an account may act, as it always did, is not kept.
func (s *Subjects) Follow(tx kv.Tx, at time.Time, w Word) error {
	_, err := s.hear(tx, at, w, false)
	return err
}

func (s *Subjects) hear(tx kv.Tx, at time.Time, w Word, keep bool) (int64, error) {
	old, found, err := s.standings.Find(tx, kv.Key{kv.String(w.Account)})
	switch {
	case err != nil:
		return 0, err
	case found && old.Value.GetVersion() >= w.Version:
		return old.Value.GetVersion(), nil
	case !found && mayAct(w.State) && !keep:
		return w.Version, nil
	}
	next := &storev1.Standing{Account: w.Account, State: w.State, Version: w.Version}
	if _, err := s.standings.Put(tx, next, ""); err != nil {
		return 0, err
	}
	return w.Version, touchMoved(tx, at, old.Value, next)
}

// SetState makes the state of an account what it was found to be in identity,
// whatever was said before; a version that is known stays, so that words from
// before it are still ignored.
func (s *Subjects) SetState(tx kv.Tx, at time.Time, account, state string) error {
	key := kv.Key{kv.String(account)}
	old, found, err := s.standings.Find(tx, key)
	if err != nil || found && old.Value.GetState() == state || !found && mayAct(state) {
		return err
	}
	next := &storev1.Standing{Account: account, State: state, Version: old.Value.GetVersion()}
	if mayAct(state) && next.GetVersion() == 0 {
		_, err = s.standings.Delete(tx, key, "")
	} else {
		_, err = s.standings.Put(tx, next, "")
	}
	if err != nil {
		return err
	}
	return touchMoved(tx, at, old.Value, next)
}

// Unheard reports whether nothing was heard of an account since its standing
// was read as old; nil is none.
func (s *Subjects) Unheard(r kv.Reader, account string, old *storev1.Standing) (bool, error) {
	rec, _, err := s.standings.Find(r, kv.Key{kv.String(account)})
	return rec.Value.GetVersion() == old.GetVersion() && rec.Value.GetState() == old.GetState(), err
}

// touchMoved notes a change of what checks see; old may be nil.
func touchMoved(tx kv.Tx, at time.Time, old, next *storev1.Standing) error {
	if mayAct(next.GetState()) && (old == nil || mayAct(old.GetState())) {
		return nil
	}
	if old.GetState() == next.GetState() {
		return nil
	}
	return touch(tx, at, next.GetAccount())
}

// forget removes what was said of an account that is gone for good.
func (s *Subjects) forget(tx kv.Tx, account string) error {
	key := kv.Key{kv.String(account)}
	if _, found, err := s.standings.Find(tx, key); err != nil {
		return err
	} else if found {
		if _, err := s.standings.Delete(tx, key, ""); err != nil {
			return err
		}
	}
	if _, found, err := s.ended.Find(tx, key); err != nil || !found {
		return err
	}
	_, err := s.ended.Delete(tx, key, "")
	return err
}

func checkAccount(name string) error {
	if IsAccount(name) {
		return nil
	}
	return errs.InvalidField("account", "SUBJECT_INVALID", "name an account")
}
