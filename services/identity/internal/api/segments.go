package api

import (
	"context"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/organization"
	"guildhall.dev/services/identity/internal/revise"
	"guildhall.dev/services/identity/internal/segment"
)

// segments implements SegmentService.
type segments struct{ *Centres }

// CreateSegment makes a segment.
func (s segments) CreateSegment(ctx context.Context, req *identityv1.CreateSegmentRequest) (*identityv1.Segment, error) {
	if _, err := organization.Pattern.Parse("parent", req.GetParent()); err != nil {
		return nil, err
	}
	// The id is chosen here and not in the transaction: permission is asked about
	// the name, and the transaction that comes after must make the same.
	id := req.GetSegmentId()
	if id == "" {
		id = resource.NewID()
	}
	defer s.Evaluations.Wake()
	made, _, err := Permitted(ctx, s.Centres, req, func(tx *change.Tx, permit segment.Permit) (*identityv1.Segment, error) {
		name, err := s.nameIn(tx, req.GetParent(), "segments", "segment_id", id)
		if err != nil {
			return nil, err
		}
		return s.Segments.Create(tx, revise.Named(req.GetSegment(), name), permit)
	})
	return made, err
}

// GetSegment returns a segment.
func (s segments) GetSegment(ctx context.Context, req *identityv1.GetSegmentRequest) (*identityv1.Segment, error) {
	if _, err := segment.Pattern.Parse("name", req.GetName()); err != nil {
		return nil, err
	}
	return Read(ctx, s.Centres, func(r kv.Reader) (*identityv1.Segment, error) { return s.Segments.Get(r, req.GetName()) })
}

// ListSegments returns a page of segments, by name.
func (s segments) ListSegments(ctx context.Context, req *identityv1.ListSegmentsRequest) (*identityv1.ListSegmentsResponse, error) {
	if _, err := organization.Pattern.Parse("parent", req.GetParent()); err != nil {
		return nil, err
	}
	found, next, err := PageOf(ctx, s.Centres, req, "ListSegments", func(r kv.Reader, after []byte, limit int) ([]*identityv1.Segment, []byte, error) {
		return s.Segments.List(r, req.GetParent(), after, limit)
	})
	return &identityv1.ListSegmentsResponse{Segments: found, NextPageToken: next}, err
}

// UpdateSegment changes the masked fields. Who another rule leaves out has left
// when it returns.
func (s segments) UpdateSegment(ctx context.Context, req *identityv1.UpdateSegmentRequest) (*identityv1.Segment, error) {
	if _, err := segment.Pattern.Parse("segment.name", req.GetSegment().GetName()); err != nil {
		return nil, err
	}
	defer s.Evaluations.Wake()
	resp, moved, err := Permitted(ctx, s.Centres, req, func(tx *change.Tx, permit segment.Permit) (*identityv1.Segment, error) {
		return s.Segments.Update(tx, req.GetSegment(), req.GetUpdateMask(), permit)
	})
	if !moved {
		return resp, err
	}
	return left(ctx, s.Centres, req.GetSegment().GetName(), resp, err)
}

// DeleteSegment deletes a segment with its memberships.
func (s segments) DeleteSegment(ctx context.Context, req *identityv1.DeleteSegmentRequest) (*identityv1.Segment, error) {
	if _, err := segment.Pattern.Parse("name", req.GetName()); err != nil {
		return nil, err
	}
	if err := s.frees(ctx, req.GetName()); err != nil {
		return nil, err
	}
	defer s.Evaluations.Wake()
	deleted, err := change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.Segment, error) {
		return s.Segments.Delete(tx, req.GetName(), req.GetEtag())
	})
	return Heard(ctx, s.Centres, deleted, err)
}

// ListSegmentRevisions returns a page of the rules that a segment has had.
func (s segments) ListSegmentRevisions(ctx context.Context, req *identityv1.ListSegmentRevisionsRequest) (*identityv1.ListSegmentRevisionsResponse, error) {
	if _, err := segment.Pattern.Parse("parent", req.GetParent()); err != nil {
		return nil, err
	}
	found, next, err := PageOf(ctx, s.Centres, req, "ListSegmentRevisions", func(r kv.Reader, after []byte, limit int) ([]*identityv1.SegmentRevision, []byte, error) {
		return s.Segments.Revisions(r, req.GetParent(), after, limit)
	})
	return &identityv1.ListSegmentRevisionsResponse{SegmentRevisions: found, NextPageToken: next}, err
}

// EvaluateSegment begins to hold a rule against all customers.
func (s segments) EvaluateSegment(ctx context.Context, req *identityv1.EvaluateSegmentRequest) (*identityv1.SegmentEvaluation, error) {
	if _, err := segment.Pattern.Parse("name", req.GetName()); err != nil {
		return nil, err
	}
	defer s.Evaluations.Wake()
	begun, _, err := Permitted(ctx, s.Centres, req, func(tx *change.Tx, permit segment.Permit) (*identityv1.SegmentEvaluation, error) {
		return s.Segments.Evaluate(tx, req.GetName(), permit)
	})
	return begun, err
}

// GetSegmentEvaluation returns how far the newest evaluation is.
func (s segments) GetSegmentEvaluation(ctx context.Context, req *identityv1.GetSegmentEvaluationRequest) (*identityv1.SegmentEvaluation, error) {
	ids, err := segment.EvaluationPattern.Parse("name", req.GetName())
	if err != nil {
		return nil, err
	}
	return Read(ctx, s.Centres, func(r kv.Reader) (*identityv1.SegmentEvaluation, error) {
		return s.Segments.Evaluation(r, segment.Pattern.Format(ids...))
	})
}
