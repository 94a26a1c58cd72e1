package subject

import (
	"slices"
	"time"

	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/permission/store/v1"
	"guildhall.dev/services/permission/internal/revision"
)

// touchedAtOnce is how many names one revision touches: far below what a value
// of the store can hold.
const touchedAtOnce = 500

// AddMember takes over that an account is in a team or a segment.
func (s *Subjects) AddMember(tx kv.Tx, at time.Time, team, account string) error {
	m := &storev1.Membership{Team: team, Account: account}
	_, found, err := s.memberships.Find(tx, keyOf(m))
	if err != nil || found {
		return err
	}
	if _, err := s.memberships.Create(tx, m); err != nil {
		return err
	}
	return touch(tx, at, account)
}

// RemoveMember takes over that an account is no longer in a team or a segment.
func (s *Subjects) RemoveMember(tx kv.Tx, at time.Time, team, account string) error {
	m := &storev1.Membership{Team: team, Account: account}
	_, found, err := s.memberships.Find(tx, keyOf(m))
	if err != nil || !found {
		return err
	}
	if _, err := s.memberships.Delete(tx, keyOf(m), ""); err != nil {
		return err
	}
	return touch(tx, at, account)
}

// SetParent takes over which team a team is below; "" is none.
func (s *Subjects) SetParent(tx kv.Tx, at time.Time, team, parent string) error {
	old, err := s.parent(tx, team)
	if err != nil || old == parent {
		return err
	}
	if parent == "" {
		_, err = s.parents.Delete(tx, kv.Key{kv.String(team)}, "")
	} else {
		_, err = s.parents.Put(tx, &storev1.TeamParent{Team: team, Parent: parent}, "")
	}
	if err != nil {
		return err
	}
	return touch(tx, at, team)
}

// RemoveTeam takes over that a team is gone: nobody is in it any more, and the
// teams below it are where it was. identity moves them there before it deletes a
// team, and says so in events of theirs, which may come after this one: what is
// denied to the teams above reaches them meanwhile.
func (s *Subjects) RemoveTeam(tx kv.Tx, at time.Time, team string) error {
	parent, err := s.parent(tx, team)
	if err != nil {
		return err
	}
	if err := s.SetParent(tx, at, team, ""); err != nil {
		return err
	}
	var below []string
	for rec, err := range s.parents.Scan(tx, kv.Query{Index: byParent, Prefix: kv.Key{kv.String(team)}}) {
		if err != nil {
			return err
		}
		below = append(below, rec.Value.GetTeam())
	}
	for _, t := range below {
		place := parent
		if t == parent {
			place = "" // there was a circle
		}
		if err := s.SetParent(tx, at, t, place); err != nil {
			return err
		}
	}
	_, err = s.RemoveMembers(tx, at, team, maxTeam)
	return err
}

// maxTeam is more than the members that identity lets a team have.
const maxTeam = 1 << 20

// RemoveMembers takes over that up to limit accounts, any, are no longer in a
// team or a segment, and returns whether others still are: a segment may have
// more than one transaction can delete.
func (s *Subjects) RemoveMembers(tx kv.Tx, at time.Time, team string, limit int) (more bool, err error) {
	var accounts []string
	for rec, err := range s.memberships.Scan(tx, kv.Query{Index: byTeam, Prefix: kv.Key{kv.String(team)}}) {
		if err != nil {
			return false, err
		}
		if more = len(accounts) == limit; more {
			break
		}
		accounts = append(accounts, rec.Value.GetAccount())
	}
	for _, account := range accounts {
		if _, err := s.memberships.Delete(tx, keyOf(&storev1.Membership{Team: team, Account: account}), ""); err != nil {
			return false, err
		}
	}
	for chunk := range slices.Chunk(accounts, touchedAtOnce) {
		if _, err := revision.Bump(tx, OrganizationOf(team), at, chunk...); err != nil {
			return false, err
		}
	}
	return more, nil
}

// RemoveAccount takes over that an account is gone for good. Whoever has the
// name from then on is somebody else.
func (s *Subjects) RemoveAccount(tx kv.Tx, at time.Time, account string) error {
	facts, err := s.Facts(tx, account)
	in := slices.Concat(facts.Teams, facts.Segments)
	if err != nil {
		return err
	}
	if err := s.forget(tx, account); err != nil {
		return err
	}
	if !facts.Denied && len(in) == 0 && !facts.anyEnded() {
		return nil
	}
	return s.leave(tx, at, account, in)
}

// LeaveAll takes an account out of all its teams and segments.
func (s *Subjects) LeaveAll(tx kv.Tx, at time.Time, account string) error {
	facts, err := s.Facts(tx, account)
	in := slices.Concat(facts.Teams, facts.Segments)
	if err != nil || len(in) == 0 {
		return err
	}
	return s.leave(tx, at, account, in)
}

func (s *Subjects) leave(tx kv.Tx, at time.Time, account string, in []string) error {
	for _, team := range in {
		if _, err := s.memberships.Delete(tx, keyOf(&storev1.Membership{Team: team, Account: account}), ""); err != nil {
			return err
		}
	}
	return touch(tx, at, account)
}

func keyOf(m *storev1.Membership) kv.Key {
	return kv.Key{kv.String(m.GetAccount()), kv.String(m.GetTeam())}
}

func touch(tx kv.Tx, at time.Time, name string) error {
	_, err := revision.Bump(tx, OrganizationOf(name), at, name)
	return err
}
