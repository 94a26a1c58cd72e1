package api

import (
	"context"
	"errors"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/team"
)

// errMoved says that a team is no longer where permission was asked about it.
var errMoved = errors.New("the team was moved meanwhile")

// move is UpdateTeam for another parent. Who may move a team is for another
// service to say, so it is asked before the transaction; if the team has left
// its place until then, it is asked again.
func (s teams) move(ctx context.Context, req *identityv1.UpdateTeamRequest) (*identityv1.Team, error) {
	for {
		from, err := s.mayMove(ctx, req.GetTeam())
		if err != nil {
			return nil, err
		}
		moved, err := change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.Team, error) {
			now, err := s.Teams.Get(tx, req.GetTeam().GetName())
			if err != nil {
				return nil, err
			}
			if now.GetParent() != from {
				return nil, errMoved
			}
			return s.Teams.Update(tx, req.GetTeam(), req.GetUpdateMask())
		})
		if !errors.Is(err, errMoved) {
			return Heard(ctx, s.Centres, moved, err)
		}
	}
}

// mayMove refuses a move by which the caller would gain: under a team that
// holds more, or out from under one to which more is denied. It returns where
// the team is.
func (s teams) mayMove(ctx context.Context, to *identityv1.Team) (from string, err error) {
	if err := s.Store.View(ctx, func(r kv.Reader) error {
		now, err := s.Teams.Get(r, to.GetName())
		from = now.GetParent()
		return err
	}); err != nil {
		return "", err
	}
	if from == to.GetParent() {
		return from, nil
	}
	if to.GetParent() != "" {
		if err := s.mayNest(ctx, to.GetName(), to.GetParent()); err != nil {
			return "", err
		}
	}
	if from != "" {
		err = s.frees(ctx, from)
	}
	return from, err
}

// mayNest refuses a place that a team cannot have, and one that would give its
// members more than the caller holds.
func (s teams) mayNest(ctx context.Context, name, parent string) error {
	if _, err := team.Pattern.Parse("team.parent", parent); err != nil {
		return err
	}
	if err := s.Store.View(ctx, func(r kv.Reader) error { return s.Teams.CheckPlace(r, name, parent) }); err != nil {
		return err
	}
	return s.Covers(ctx, parent)
}
