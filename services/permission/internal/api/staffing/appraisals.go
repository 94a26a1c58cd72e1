package staffing

import (
	"context"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/journal"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/people/appraisal"
)

// scorecards implements permissionv1.ScorecardServiceServer.
type scorecards struct{ Config }

func (s scorecards) CreateScorecard(ctx context.Context, req *permissionv1.CreateScorecardRequest) (*permissionv1.Scorecard, error) {
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.Scorecard, error) {
		return s.Appraisals.CreateScorecard(tx, req.GetParent(), req.GetScorecardId(), req.GetScorecard())
	})
}

func (s scorecards) GetScorecard(ctx context.Context, req *permissionv1.GetScorecardRequest) (*permissionv1.Scorecard, error) {
	return journal.Read(ctx, s.Journal, func(r kv.Reader) (*permissionv1.Scorecard, error) {
		return s.Appraisals.GetScorecard(r, req.GetName())
	})
}

func (s scorecards) ListScorecards(ctx context.Context, req *permissionv1.ListScorecardsRequest) (*permissionv1.ListScorecardsResponse, error) {
	found, next, err := journal.List(ctx, s.Journal, req, []string{"ListScorecards", req.GetParent()}, func(r kv.Reader, after []byte, limit int) ([]*permissionv1.Scorecard, []byte, error) {
		return s.Appraisals.ListScorecards(r, req.GetParent(), after, limit)
	})
	if err != nil {
		return nil, err
	}
	return &permissionv1.ListScorecardsResponse{Scorecards: found, NextPageToken: next}, nil
}

func (s scorecards) UpdateScorecard(ctx context.Context, req *permissionv1.UpdateScorecardRequest) (*permissionv1.Scorecard, error) {
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.Scorecard, error) {
		return s.Appraisals.UpdateScorecard(tx, req.GetScorecard(), req.GetUpdateMask())
	})
}

func (s scorecards) DeleteScorecard(ctx context.Context, req *permissionv1.DeleteScorecardRequest) (*permissionv1.Scorecard, error) {
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.Scorecard, error) {
		return s.Appraisals.DeleteScorecard(tx, req.GetName(), req.GetEtag())
	})
}

func (s scorecards) RecordMeasurements(ctx context.Context, req *permissionv1.RecordMeasurementsRequest) (*permissionv1.RecordMeasurementsResponse, error) {
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.RecordMeasurementsResponse, error) {
		err := s.Appraisals.Record(tx, req.GetName(), authn.CallerOf(ctx).Name, req.GetMeasurements())
		return &permissionv1.RecordMeasurementsResponse{Recorded: int32(len(req.GetMeasurements()))}, err
	})
}

// appraisals implements permissionv1.AppraisalServiceServer.
type appraisals struct{ Config }

func (s appraisals) RunAppraisal(ctx context.Context, req *permissionv1.RunAppraisalRequest) (*permissionv1.Appraisal, error) {
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.Appraisal, error) {
		return s.Appraisals.Run(tx, appraisal.Order{
			Account: req.GetParent(), ID: req.GetAppraisalId(), By: authn.CallerOf(ctx).Name, Scorecard: req.GetScorecard(),
			Start: req.GetPeriodStartTime(), End: req.GetPeriodEndTime(),
		})
	})
}

func (s appraisals) GetAppraisal(ctx context.Context, req *permissionv1.GetAppraisalRequest) (*permissionv1.Appraisal, error) {
	return journal.Read(ctx, s.Journal, func(r kv.Reader) (*permissionv1.Appraisal, error) {
		return s.Appraisals.Get(r, req.GetName())
	})
}

func (s appraisals) ListAppraisals(ctx context.Context, req *permissionv1.ListAppraisalsRequest) (*permissionv1.ListAppraisalsResponse, error) {
	found, next, err := journal.List(ctx, s.Journal, req, []string{"ListAppraisals", req.GetParent()}, func(r kv.Reader, after []byte, limit int) ([]*permissionv1.Appraisal, []byte, error) {
		return s.Appraisals.List(r, req.GetParent(), after, limit)
	})
	if err != nil {
		return nil, err
	}
	return &permissionv1.ListAppraisalsResponse{Appraisals: found, NextPageToken: next}, nil
}

func (s appraisals) AppealAppraisal(ctx context.Context, req *permissionv1.AppealAppraisalRequest) (*permissionv1.Appraisal, error) {
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.Appraisal, error) {
		return s.Appraisals.Appeal(tx, req.GetName(), req.GetEtag(), authn.CallerOf(ctx).Name, req.GetAppeal())
	})
}

func (s appraisals) DecideAppeal(ctx context.Context, req *permissionv1.DecideAppealRequest) (*permissionv1.Appraisal, error) {
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.Appraisal, error) {
		return s.Appraisals.Decide(tx, req.GetName(), req.GetEtag(), authn.CallerOf(ctx).Name, req.GetDecision(), req.GetUphold())
	})
}

// awards implements permissionv1.AwardServiceServer.
type awards struct{ Config }

func (s awards) CreateAward(ctx context.Context, req *permissionv1.CreateAwardRequest) (*permissionv1.Award, error) {
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.Award, error) {
		return s.Appraisals.CreateAward(tx, req.GetParent(), req.GetAwardId(), authn.CallerOf(ctx).Name, req.GetAward())
	})
}

func (s awards) GetAward(ctx context.Context, req *permissionv1.GetAwardRequest) (*permissionv1.Award, error) {
	return journal.Read(ctx, s.Journal, func(r kv.Reader) (*permissionv1.Award, error) {
		return s.Appraisals.GetAward(r, req.GetName())
	})
}

func (s awards) ListAwards(ctx context.Context, req *permissionv1.ListAwardsRequest) (*permissionv1.ListAwardsResponse, error) {
	found, next, err := journal.List(ctx, s.Journal, req, []string{"ListAwards", req.GetParent()}, func(r kv.Reader, after []byte, limit int) ([]*permissionv1.Award, []byte, error) {
		return s.Appraisals.ListAwards(r, req.GetParent(), after, limit)
	})
	if err != nil {
		return nil, err
	}
	return &permissionv1.ListAwardsResponse{Awards: found, NextPageToken: next}, nil
}

func (s awards) UpdateAward(ctx context.Context, req *permissionv1.UpdateAwardRequest) (*permissionv1.Award, error) {
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.Award, error) {
		return s.Appraisals.UpdateAward(tx, req.GetAward(), req.GetUpdateMask())
	})
}

func (s awards) DeleteAward(ctx context.Context, req *permissionv1.DeleteAwardRequest) (*permissionv1.Award, error) {
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.Award, error) {
		return s.Appraisals.DeleteAward(tx, req.GetName(), req.GetEtag())
	})
}
