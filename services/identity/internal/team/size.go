package team

import (
	"fmt"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
)

// sizes is (team) -> TeamSize. It is apart from teams, so that a new member
// does not make the etag of somebody who renames the team stale.
func sizes() *kv.Table[*storev1.TeamSize] {
	return kv.NewTable(kv.TableConfig[*storev1.TeamSize]{
		Name: "team_sizes", Key: func(s *storev1.TeamSize) kv.Key { return sizeKey(s.GetTeam()) },
	})
}

func sizeKey(team string) kv.Key { return kv.Key{kv.String(team)} }

// resize counts members that come or go. The error is Exhausted (TEAM_FULL).
func (b *Book) resize(tx kv.Tx, team string, by int32) error {
	return b.count(tx, team, func(s *storev1.TeamSize) error {
		if s.Members += by; by > 0 && s.Members > b.most {
			return errs.New(errs.Exhausted, "TEAM_FULL", fmt.Sprintf("a team has at most %d members", b.most))
		}
		return nil
	})
}

// branch counts teams that come directly below a team or go. The error is
// Exhausted (TEAM_FULL).
func (b *Book) branch(tx kv.Tx, team string, by int32) error {
	return b.count(tx, team, func(s *storev1.TeamSize) error {
		if s.Teams += by; by > 0 && s.Teams > b.widest {
			return errs.New(errs.Exhausted, "TEAM_FULL", fmt.Sprintf("a team has at most %d teams directly below it", b.widest))
		}
		return nil
	})
}

func (b *Book) count(tx kv.Tx, team string, add func(s *storev1.TeamSize) error) error {
	rec, found, err := b.sizes.Find(tx, sizeKey(team))
	if err != nil {
		return err
	}
	size := rec.Value
	if !found {
		size = &storev1.TeamSize{Team: team}
	}
	if err := add(size); err != nil {
		return err
	}
	_, err = b.sizes.Put(tx, size, "")
	return err
}

// forgetSize is for a team that is deleted with all its members.
func (b *Book) forgetSize(tx kv.Tx, team string) error {
	_, found, err := b.sizes.Find(tx, sizeKey(team))
	if err != nil || !found {
		return err
	}
	_, err = b.sizes.Delete(tx, sizeKey(team), "")
	return err
}
