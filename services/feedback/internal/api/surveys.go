package api

import (
	"context"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/fieldmask"
	"guildhall.dev/pkg/journal"
	"guildhall.dev/pkg/kv"
	feedbackv1 "guildhall.dev/proto/gen/guildhall/feedback/v1"
)

// surveys answers the RPCs of SurveyService.
type surveys struct{ *Server }

func (s surveys) CreateSurvey(ctx context.Context, req *feedbackv1.CreateSurveyRequest) (*feedbackv1.Survey, error) {
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*feedbackv1.Survey, error) {
		return s.Surveys.Create(tx, req.GetParent(), req.GetSurveyId(), req.GetSurvey())
	})
}

// GetSurvey hides from customers what is still being written.
func (s surveys) GetSurvey(ctx context.Context, req *feedbackv1.GetSurveyRequest) (*feedbackv1.Survey, error) {
	v, err := journal.Read(ctx, s.Journal, func(r kv.Reader) (*feedbackv1.Survey, error) {
		return s.Surveys.Get(r, req.GetName())
	})
	if err != nil {
		return nil, err
	}
	if _, customer := caller(ctx); customer && v.GetState() == feedbackv1.Survey_STATE_DRAFT {
		return nil, errs.NotFoundName("SURVEY_NOT_FOUND", req.GetName())
	}
	return v, nil
}

func (s surveys) ListSurveys(ctx context.Context, req *feedbackv1.ListSurveysRequest) (*feedbackv1.ListSurveysResponse, error) {
	items, next, err := journal.List(ctx, s.Journal, req, []string{"ListSurveys", req.GetParent()}, func(r kv.Reader, after []byte, limit int) ([]*feedbackv1.Survey, []byte, error) {
		return s.Surveys.List(r, req.GetParent(), after, limit)
	})
	if err != nil {
		return nil, err
	}
	return &feedbackv1.ListSurveysResponse{Surveys: items, NextPageToken: next}, nil
}

func (s surveys) UpdateSurvey(ctx context.Context, req *feedbackv1.UpdateSurveyRequest) (*feedbackv1.Survey, error) {
	paths, err := fieldmask.Paths(req.GetUpdateMask(), req.GetSurvey(), "display_name", "questions")
	if err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*feedbackv1.Survey, error) {
		return s.Surveys.Update(tx, req.GetSurvey(), paths)
	})
}

func (s surveys) DeleteSurvey(ctx context.Context, req *feedbackv1.DeleteSurveyRequest) (*feedbackv1.Survey, error) {
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*feedbackv1.Survey, error) {
		return s.Surveys.Delete(tx, req.GetName(), req.GetEtag())
	})
}

func (s surveys) PublishSurvey(ctx context.Context, req *feedbackv1.PublishSurveyRequest) (*feedbackv1.Survey, error) {
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*feedbackv1.Survey, error) {
		return s.Surveys.Publish(tx, req.GetName(), req.GetEtag())
	})
}

func (s surveys) CloseSurvey(ctx context.Context, req *feedbackv1.CloseSurveyRequest) (*feedbackv1.Survey, error) {
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*feedbackv1.Survey, error) {
		return s.Surveys.Close(tx, req.GetName(), req.GetEtag())
	})
}

func (s surveys) ReopenSurvey(ctx context.Context, req *feedbackv1.ReopenSurveyRequest) (*feedbackv1.Survey, error) {
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*feedbackv1.Survey, error) {
		return s.Surveys.Reopen(tx, req.GetName(), req.GetEtag())
	})
}

func (s surveys) CreateResponse(ctx context.Context, req *feedbackv1.CreateResponseRequest) (*feedbackv1.Response, error) {
	c, _ := authn.FromContext(ctx)
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*feedbackv1.Response, error) {
		if err := s.Refuse(tx, c.Name); err != nil {
			return nil, err
		}
		return s.Surveys.Respond(tx, req.GetParent(), c.Name, req.GetResponse())
	})
}

func (s surveys) GetResponse(ctx context.Context, req *feedbackv1.GetResponseRequest) (*feedbackv1.Response, error) {
	return journal.Read(ctx, s.Journal, func(r kv.Reader) (*feedbackv1.Response, error) {
		return s.Surveys.GetResponse(r, req.GetName())
	})
}

func (s surveys) ListResponses(ctx context.Context, req *feedbackv1.ListResponsesRequest) (*feedbackv1.ListResponsesResponse, error) {
	items, next, err := journal.List(ctx, s.Journal, req, []string{"ListResponses", req.GetParent()}, func(r kv.Reader, after []byte, limit int) ([]*feedbackv1.Response, []byte, error) {
		return s.Surveys.ListResponses(r, req.GetParent(), after, limit)
	})
	if err != nil {
		return nil, err
	}
	return &feedbackv1.ListResponsesResponse{Responses: items, NextPageToken: next}, nil
}

func (s surveys) SummarizeSurvey(ctx context.Context, req *feedbackv1.SummarizeSurveyRequest) (*feedbackv1.SurveySummary, error) {
	return journal.Read(ctx, s.Journal, func(r kv.Reader) (*feedbackv1.SurveySummary, error) {
		return s.Surveys.Summarize(r, req.GetName())
	})
}
