package governance

import (
	"context"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/filter"
	"guildhall.dev/pkg/journal"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/people/review"
	"guildhall.dev/services/permission/internal/subject"
)

type reviews struct{ Config }

// CreateAccessReview implements permissionv1.AccessReviewServiceServer.
func (s *reviews) CreateAccessReview(ctx context.Context, req *permissionv1.CreateAccessReviewRequest) (*permissionv1.AccessReview, error) {
	if err := subject.Organization.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.AccessReview, error) {
		return s.Reviews.Create(tx, authn.CallerOf(ctx).Name, req.GetParent(), req.GetAccessReviewId(), req.GetAccessReview())
	})
}

// GetAccessReview implements permissionv1.AccessReviewServiceServer.
func (s *reviews) GetAccessReview(ctx context.Context, req *permissionv1.GetAccessReviewRequest) (*permissionv1.AccessReview, error) {
	if err := review.Pattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	return journal.Read(ctx, s.Journal, func(r kv.Reader) (*permissionv1.AccessReview, error) {
		return s.Reviews.Get(r, req.GetName())
	})
}

// ListAccessReviews implements permissionv1.AccessReviewServiceServer.
func (s *reviews) ListAccessReviews(ctx context.Context, req *permissionv1.ListAccessReviewsRequest) (*permissionv1.ListAccessReviewsResponse, error) {
	if err := subject.Organization.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	const prefix = "STATE_"
	terms, err := filter.Parse(req.GetFilter(),
		filter.Field{Name: "state", Type: filter.Enum, Values: words(permissionv1.AccessReview_State_value, prefix)})
	if err != nil {
		return nil, err
	}
	var state permissionv1.AccessReview_State
	if t, ok := terms.Lookup("state"); ok {
		state = permissionv1.AccessReview_State(permissionv1.AccessReview_State_value[prefix+t.Text])
	}
	items, next, err := journal.List(ctx, s.Journal, req, []string{"ListAccessReviews", req.GetParent(), req.GetFilter()},
		func(r kv.Reader, after []byte, limit int) ([]*permissionv1.AccessReview, []byte, error) {
			return s.Reviews.List(r, req.GetParent(), state, after, limit)
		})
	if err != nil {
		return nil, err
	}
	return &permissionv1.ListAccessReviewsResponse{AccessReviews: items, NextPageToken: next}, nil
}

// StartAccessReview implements permissionv1.AccessReviewServiceServer.
func (s *reviews) StartAccessReview(ctx context.Context, req *permissionv1.StartAccessReviewRequest) (*permissionv1.AccessReview, error) {
	if err := review.Pattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.AccessReview, error) {
		return s.Reviews.Start(tx, req.GetName(), req.GetEtag())
	})
}

// CloseAccessReview implements permissionv1.AccessReviewServiceServer.
func (s *reviews) CloseAccessReview(ctx context.Context, req *permissionv1.CloseAccessReviewRequest) (*permissionv1.AccessReview, error) {
	if err := review.Pattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.AccessReview, error) {
		return s.Reviews.Close(tx, req.GetName(), req.GetEtag(), authn.CallerOf(ctx).Name, req.GetApplyDefault())
	})
}

// CancelAccessReview implements permissionv1.AccessReviewServiceServer.
func (s *reviews) CancelAccessReview(ctx context.Context, req *permissionv1.CancelAccessReviewRequest) (*permissionv1.AccessReview, error) {
	if err := review.Pattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.AccessReview, error) {
		return s.Reviews.Cancel(tx, req.GetName(), req.GetEtag(), authn.CallerOf(ctx).Name)
	})
}

// SummarizeAccessReview implements permissionv1.AccessReviewServiceServer.
func (s *reviews) SummarizeAccessReview(ctx context.Context, req *permissionv1.SummarizeAccessReviewRequest) (*permissionv1.SummarizeAccessReviewResponse, error) {
	if err := review.Pattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	now := s.Clock()
	return journal.Read(ctx, s.Journal, func(r kv.Reader) (*permissionv1.SummarizeAccessReviewResponse, error) {
		return s.Reviews.Summarize(r, req.GetName(), now)
	})
}

// ListAccessReviewItems implements permissionv1.AccessReviewServiceServer.
func (s *reviews) ListAccessReviewItems(ctx context.Context, req *permissionv1.ListAccessReviewItemsRequest) (*permissionv1.ListAccessReviewItemsResponse, error) {
	parent := req.GetParent()
	of, err := itemFilter(req)
	if err != nil {
		return nil, err
	}
	items, next, err := journal.List(ctx, s.Journal, req, []string{"ListAccessReviewItems", parent, req.GetFilter()},
		func(r kv.Reader, after []byte, limit int) ([]*permissionv1.AccessReviewItem, []byte, error) {
			if subject.IsAccount(parent) {
				return s.Reviews.Inbox(r, parent, after, limit)
			}
			return s.Reviews.ListItems(r, parent, of, after, limit)
		})
	if err != nil {
		return nil, err
	}
	return &permissionv1.ListAccessReviewItemsResponse{AccessReviewItems: items, NextPageToken: next}, nil
}

// itemFilter reads the one condition that an index serves, and refuses a parent
// that has no items.
func itemFilter(req *permissionv1.ListAccessReviewItemsRequest) (string, error) {
	terms, err := filter.Parse(req.GetFilter(),
		filter.Field{Name: "decision", Type: filter.Enum, Values: []string{"UNDECIDED", "KEEP", "REVOKE"}},
		filter.Field{Name: "outcome", Type: filter.Enum, Values: words(permissionv1.AccessReviewItem_Outcome_value, "OUTCOME_")},
		filter.Field{Name: "assigned", Type: filter.Bool})
	if err != nil {
		return "", err
	}
	if !subject.IsAccount(req.GetParent()) {
		if err := review.Pattern.Check("parent", req.GetParent()); err != nil {
			return "", err
		}
	} else if len(terms) > 0 {
		return "", errs.InvalidField("filter", "FILTER_INVALID", "what an account has to decide is undecided: send no filter")
	}
	switch {
	case len(terms) == 0:
		return "", nil
	case len(terms) == 1 && terms[0].Field == "assigned" && !terms[0].Bool:
		return "UNASSIGNED", nil
	case len(terms) == 1 && terms[0].Field != "assigned":
		return terms[0].Text, nil
	}
	return "", errs.InvalidField("filter", "FILTER_INVALID", "send one of decision = …, outcome = … or assigned = false")
}

// DecideAccessReviewItem implements permissionv1.AccessReviewServiceServer. The
// permission was asked for on the reviewer; that the caller is the one is asked
// here, for an administrator holds it on everybody.
func (s *reviews) DecideAccessReviewItem(ctx context.Context, req *permissionv1.DecideAccessReviewItemRequest) (*permissionv1.AccessReviewItem, error) {
	if err := review.ItemPattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	by := authn.CallerOf(ctx)
	if by.Organization() != subject.OrganizationOf(req.GetName()) {
		return nil, errs.NotFoundName("ACCESS_REVIEW_ITEM_NOT_FOUND", req.GetName())
	}
	if req.GetReviewer() != by.Name {
		return nil, errs.New(errs.Denied, "NOT_THE_REVIEWER", "speak for yourself: send your own name as reviewer")
	}
	it, err := change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.AccessReviewItem, error) {
		return s.Reviews.Decide(tx, req.GetName(), req.GetEtag(), by, req.GetDecision(), req.GetReason())
	})
	s.Journal.KeepRefusal(ctx, req.GetName(), err)
	return it, err
}

// ReassignAccessReviewItem implements permissionv1.AccessReviewServiceServer.
func (s *reviews) ReassignAccessReviewItem(ctx context.Context, req *permissionv1.ReassignAccessReviewItemRequest) (*permissionv1.AccessReviewItem, error) {
	if err := review.ItemPattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.AccessReviewItem, error) {
		return s.Reviews.Reassign(tx, req.GetName(), req.GetEtag(), req.GetReviewer())
	})
}
