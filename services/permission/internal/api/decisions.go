package api

import (
	"context"

	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/decision"
)

type decisions struct{ Config }

// ListDecisions implements permissionv1.DecisionServiceServer.
func (s *decisions) ListDecisions(ctx context.Context, req *permissionv1.ListDecisionsRequest) (*permissionv1.ListDecisionsResponse, error) {
	if _, err := organization.Parse("parent", req.GetParent()); err != nil {
		return nil, err
	}
	f, err := decision.ParseFilter(req.GetFilter())
	if err != nil {
		return nil, err
	}
	l, err := s.list(ctx, req.GetPageSize(), req.GetPageToken(), "ListDecisions", req.GetParent(), req.GetFilter())
	if err != nil {
		return nil, err
	}
	resp := &permissionv1.ListDecisionsResponse{}
	err = s.Journal.Store.View(ctx, func(r kv.Reader) error {
		found, next, err := s.Decisions.List(r, req.GetParent(), f, l.after, l.size)
		resp.Decisions, resp.NextPageToken = found, s.next(l, next)
		return err
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}
