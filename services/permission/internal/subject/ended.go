package subject

import (
	"slices"
	"strings"
	"time"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/permission/store/v1"
	"guildhall.dev/services/permission/internal/sweep"
)

// mostEnded is how many ended sessions of an account are named. Who logs in and
// out more often within the minutes that a token lives loses older sessions
// than those too, and logs in again: the ids of sessions are in the order of
// their logins (UUIDv7), so that the oldest of them can be told by one id.
const mostEnded = 64

const byForget = "forget"

// endedTable is (account) -> EndedSessions. An account without a session that
// ended in the last minutes has none.
func endedTable() *kv.Table[*storev1.EndedSessions] {
	return kv.NewTable(kv.TableConfig[*storev1.EndedSessions]{
		Name: "ended_sessions", Key: func(e *storev1.EndedSessions) kv.Key { return kv.Key{kv.String(e.GetAccount())} },
		Indexes: []kv.Index[*storev1.EndedSessions]{{
			Name: byForget, Keys: func(e *storev1.EndedSessions) []kv.Key { return []kv.Key{{kv.Time(forgetTime(e))}} },
		}},
	})
}

// Ended is a session that has ended.
type Ended struct {
	// Session is the last segment of its name.
	Session string
	// Forget is when none of its tokens is alive, so that nobody asks any more.
	Forget time.Time
}

// EndSessions takes over that sessions of an account have ended. Those that
// are known to have, and those whose tokens are dead, are passed over. The
// error is Invalid (SUBJECT_INVALID).
func (s *Subjects) EndSessions(tx kv.Tx, at time.Time, account string, sessions []Ended) error {
	if err := checkAccount(account); err != nil {
		return err
	}
	rec, _, err := s.ended.Find(tx, kv.Key{kv.String(account)})
	if err != nil {
		return err
	}
	now := live(&storev1.EndedSessions{
		Account: account, Sessions: rec.Value.GetSessions(), Through: rec.Value.GetThrough(),
	}, at)
	added := false
	for _, e := range sessions {
		added = add(now, at, e) || added
	}
	if !added {
		return nil
	}
	bound(now)
	if _, err := s.ended.Put(tx, now, ""); err != nil {
		return err
	}
	return touch(tx, at, account)
}

// live returns e without the sessions whose tokens are dead.
func live(e *storev1.EndedSessions, at time.Time) *storev1.EndedSessions {
	out := &storev1.EndedSessions{Account: e.GetAccount()}
	for _, s := range e.GetSessions() {
		if s.GetForgetSeconds() > at.Unix() {
			out.Sessions = append(out.Sessions, s)
		}
	}
	if e.GetThrough().GetForgetSeconds() > at.Unix() {
		out.Through = e.GetThrough()
	}
	return out
}

// add enters a session in its place and reports whether it was missing.
func add(e *storev1.EndedSessions, at time.Time, session Ended) bool {
	// The second in which the last token dies is still one of its life.
	forget := session.Forget.Unix() + 1
	if forget <= at.Unix() {
		return false
	}
	i, found := slices.BinarySearchFunc(e.GetSessions(), session.Session, func(s *storev1.EndedSession, id string) int {
		return strings.Compare(s.GetSession(), id)
	})
	if found {
		return false
	}
	e.Sessions = slices.Insert(e.Sessions, i, &storev1.EndedSession{Session: session.Session, ForgetSeconds: forget})
	return true
}

// bound names the oldest sessions by one id when there are too many.
func bound(e *storev1.EndedSessions) {
	extra := len(e.GetSessions()) - mostEnded
	if extra <= 0 {
		return
	}
	// Half of them at once, so that not every further end moves it.
	extra += mostEnded / 2
	through := &storev1.EndedSession{
		Session: e.GetThrough().GetSession(), ForgetSeconds: e.GetThrough().GetForgetSeconds(),
	}
	for _, s := range e.Sessions[:extra] {
		through.Session = max(through.GetSession(), s.GetSession())
		through.ForgetSeconds = max(through.GetForgetSeconds(), s.GetForgetSeconds())
	}
	e.Through, e.Sessions = through, e.Sessions[extra:]
}

// forgetTime is when all of it can be forgotten.
func forgetTime(e *storev1.EndedSessions) time.Time {
	last := e.GetThrough().GetForgetSeconds()
	for _, s := range e.GetSessions() {
		last = max(last, s.GetForgetSeconds())
	}
	return time.Unix(last, 0)
}

func (s *Subjects) readEnded(r kv.Reader, account string, facts *Facts) error {
	rec, found, err := s.ended.Find(r, kv.Key{kv.String(account)})
	if err != nil || !found {
		return err
	}
	facts.EndedThrough = rec.Value.GetThrough().GetSession()
	for _, e := range rec.Value.GetSessions() {
		facts.Ended = append(facts.Ended, e.GetSession())
	}
	return nil
}

func (f Facts) anyEnded() bool { return len(f.Ended) > 0 || f.EndedThrough != "" }

// HasEnded reports whether the session has ended; "" is none and has not.
func (f Facts) HasEnded(session string) bool {
	if session == "" || !f.anyEnded() {
		return false
	}
	return session <= f.EndedThrough || slices.Contains(f.Ended, session)
}

// Job removes ended sessions whose tokens are dead. It is housekeeping alone: one
// that is still there says no to tokens that are refused anyway. So it is no
// change of what checks say, and caches may keep what they have.
func (s *Subjects) Job() sweep.Job {
	return sweep.Job{
		Action: "permission.standing.forget", Due: sweep.Due(s.ended, byForget, (*storev1.EndedSessions).GetAccount), Together: 100,
		Do: func(tx *change.Tx, account string) (bool, error) { return false, s.ForgetEnded(tx, tx.Time, account) },
	}
}

// ForgetEnded removes the ended sessions of an account if all their tokens are
// dead.
func (s *Subjects) ForgetEnded(tx kv.Tx, at time.Time, account string) error {
	key := kv.Key{kv.String(account)}
	rec, found, err := s.ended.Find(tx, key)
	if err != nil || !found || at.Before(forgetTime(rec.Value)) {
		return err
	}
	_, err = s.ended.Delete(tx, key, "")
	return err
}
