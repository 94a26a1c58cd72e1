package api

import (
	"context"
	"slices"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/organization"
	"guildhall.dev/services/identity/internal/revise"
	"guildhall.dev/services/identity/internal/team"
)

// teams implements TeamService.
type teams struct{ *Centres }

// CreateTeam makes a team. Whoever joins one that is below another holds what
// both do, so its maker must.
func (s teams) CreateTeam(ctx context.Context, req *identityv1.CreateTeamRequest) (*identityv1.Team, error) {
	ids, err := organization.Pattern.Parse("parent", req.GetParent())
	if err != nil {
		return nil, err
	}
	above := req.GetTeam().GetParent()
	if above != "" {
		if err := s.mayNest(ctx, team.Pattern.Format(ids[0], "-"), above); err != nil {
			return nil, err
		}
	}
	made, err := change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.Team, error) {
		name, err := s.nameIn(tx, req.GetParent(), "teams", "team_id", req.GetTeamId())
		if err != nil {
			return nil, err
		}
		return s.Teams.Create(tx, revise.Named(req.GetTeam(), name))
	})
	if above == "" {
		return made, err // at the top it changes nothing for anybody
	}
	return Heard(ctx, s.Centres, made, err)
}

// GetTeam returns a team.
func (s teams) GetTeam(ctx context.Context, req *identityv1.GetTeamRequest) (*identityv1.Team, error) {
	if _, err := team.Pattern.Parse("name", req.GetName()); err != nil {
		return nil, err
	}
	return Read(ctx, s.Centres, func(r kv.Reader) (*identityv1.Team, error) { return s.Teams.Get(r, req.GetName()) })
}

// ListTeams returns a page of teams, by name.
func (s teams) ListTeams(ctx context.Context, req *identityv1.ListTeamsRequest) (*identityv1.ListTeamsResponse, error) {
	if _, err := organization.Pattern.Parse("parent", req.GetParent()); err != nil {
		return nil, err
	}
	condition, err := team.ParseFilter(req.GetFilter())
	if err != nil {
		return nil, err
	}
	found, next, err := PageOf(ctx, s.Centres, req, "ListTeams", func(r kv.Reader, after []byte, limit int) ([]*identityv1.Team, []byte, error) {
		return s.Teams.List(r, team.Query{Organization: req.GetParent(), Filter: condition, After: after, Limit: limit})
	}, req.GetFilter())
	return &identityv1.ListTeamsResponse{Teams: found, NextPageToken: next}, err
}

// UpdateTeam changes the masked fields, of which the parent is one.
func (s teams) UpdateTeam(ctx context.Context, req *identityv1.UpdateTeamRequest) (*identityv1.Team, error) {
	if _, err := team.Pattern.Parse("team.name", req.GetTeam().GetName()); err != nil {
		return nil, err
	}
	changes, err := team.Changes(req.GetTeam(), req.GetUpdateMask())
	if err != nil {
		return nil, err
	}
	if slices.Contains(changes, "parent") {
		return s.move(ctx, req)
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.Team, error) {
		return s.Teams.Update(tx, req.GetTeam(), req.GetUpdateMask())
	})
}

// DeleteTeam deletes a team and its memberships.
func (s teams) DeleteTeam(ctx context.Context, req *identityv1.DeleteTeamRequest) (*identityv1.Team, error) {
	if _, err := team.Pattern.Parse("name", req.GetName()); err != nil {
		return nil, err
	}
	if err := s.frees(ctx, req.GetName()); err != nil {
		return nil, err
	}
	deleted, err := change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.Team, error) {
		return s.Teams.Delete(tx, req.GetName(), req.GetEtag(), req.GetForce())
	})
	return Heard(ctx, s.Centres, deleted, err)
}

// CreateTeamMember adds a member of staff to a team of its organisation.
func (s teams) CreateTeamMember(ctx context.Context, req *identityv1.CreateTeamMemberRequest) (*identityv1.TeamMember, error) {
	if _, err := team.Pattern.Parse("parent", req.GetParent()); err != nil {
		return nil, err
	}
	name := req.GetTeamMember().GetAccount()
	if _, err := account.StaffPattern.Parse("team_member.account", name); err != nil {
		return nil, err
	}
	if resource.Parent(name) != resource.Parent(req.GetParent()) {
		return nil, errs.NotFoundName("STAFF_MEMBER_NOT_FOUND", name)
	}
	// A member holds what the team does.
	if err := s.Covers(ctx, req.GetParent()); err != nil {
		return nil, err
	}
	added, err := change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.TeamMember, error) {
		if _, err := s.Teams.Get(tx, req.GetParent()); err != nil {
			return nil, err
		}
		if err := s.Accounts.CheckThere(tx, name); err != nil {
			return nil, err
		}
		return s.Teams.AddMember(tx, req.GetParent(), name)
	})
	return Heard(ctx, s.Centres, added, err)
}

// ListTeamMembers returns a page of members, by account.
func (s teams) ListTeamMembers(ctx context.Context, req *identityv1.ListTeamMembersRequest) (*identityv1.ListTeamMembersResponse, error) {
	if _, err := team.Pattern.Parse("parent", req.GetParent()); err != nil {
		return nil, err
	}
	found, next, err := PageOf(ctx, s.Centres, req, "ListTeamMembers", func(r kv.Reader, after []byte, limit int) ([]*identityv1.TeamMember, []byte, error) {
		return s.Teams.ListMembers(r, req.GetParent(), after, limit)
	})
	return &identityv1.ListTeamMembersResponse{TeamMembers: found, NextPageToken: next}, err
}

// DeleteTeamMember removes a member.
func (s teams) DeleteTeamMember(ctx context.Context, req *identityv1.DeleteTeamMemberRequest) (*identityv1.TeamMember, error) {
	if _, err := team.MemberPattern.Parse("name", req.GetName()); err != nil {
		return nil, err
	}
	if err := s.frees(ctx, resource.Parent(req.GetName())); err != nil {
		return nil, err
	}
	removed, err := change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.TeamMember, error) {
		return s.Teams.RemoveMember(tx, req.GetName())
	})
	return Heard(ctx, s.Centres, removed, err)
}
