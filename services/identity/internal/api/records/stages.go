package records

import (
	"context"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/api"
	"guildhall.dev/services/identity/internal/revise"
	"guildhall.dev/services/identity/internal/stage"
)

// stages implements StageService.
type stages struct{ *api.Centres }

// TransitionStage moves a customer to another stage.
func (s stages) TransitionStage(ctx context.Context, req *identityv1.TransitionStageRequest) (*identityv1.Customer, error) {
	if err := account.CustomerPattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	caller, err := api.CallerOf(ctx)
	if err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.Customer, error) {
		rec, err := s.Accounts.SetStage(tx, req.GetName(), req.GetStage(), req.GetEtag(), caller.Name, req.GetReason())
		if err != nil {
			return nil, err
		}
		return api.Customer(rec), nil
	})
}

// ListStageTransitions returns a page of a customer's moves.
func (s stages) ListStageTransitions(ctx context.Context, req *identityv1.ListStageTransitionsRequest) (*identityv1.ListStageTransitionsResponse, error) {
	if err := account.CustomerPattern.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	found, next, err := api.PageOf(ctx, s.Centres, req, "ListStageTransitions", func(r kv.Reader, after []byte, limit int) ([]*identityv1.StageTransition, []byte, error) {
		if _, err := s.Accounts.Get(r, req.GetParent()); err != nil {
			return nil, nil, err
		}
		return s.Stages.Transitions(r, req.GetParent(), after, limit)
	})
	return &identityv1.ListStageTransitionsResponse{StageTransitions: found, NextPageToken: next}, err
}

// GetStageReport returns what became of an organisation's customers.
func (s stages) GetStageReport(ctx context.Context, req *identityv1.GetStageReportRequest) (*identityv1.StageReport, error) {
	if err := stage.ReportPattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	first, second, err := stage.Days(req.GetStartDate(), req.GetEndDate(), s.Clock())
	if err != nil {
		return nil, err
	}
	return api.Read(ctx, s.Centres, func(r kv.Reader) (*identityv1.StageReport, error) {
		organization := revise.ParentOf(req.GetName())
		if _, err := s.Organizations.Get(r, organization); err != nil {
			return nil, err
		}
		return s.Stages.Report(r, organization, first, second)
	})
}

// GetStagePolicy returns an organisation's.
func (s stages) GetStagePolicy(ctx context.Context, req *identityv1.GetStagePolicyRequest) (*identityv1.StagePolicy, error) {
	return api.GetSetting(ctx, s.Centres, s.Stages.Policies, stage.PolicyPattern, req.GetName())
}

// UpdateStagePolicy changes the masked fields.
func (s stages) UpdateStagePolicy(ctx context.Context, req *identityv1.UpdateStagePolicyRequest) (*identityv1.StagePolicy, error) {
	return api.UpdateSetting(ctx, s.Centres, s.Stages.Policies, stage.PolicyPattern, "stage_policy", req.GetStagePolicy(), req)
}
