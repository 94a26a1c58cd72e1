package checks

import (
	"context"

	"guildhall.dev/pkg/journal"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/decision"
	"guildhall.dev/services/permission/internal/subject"
)

type decisions struct{ Config }

// ListDecisions implements permissionv1.DecisionServiceServer.
func (s *decisions) ListDecisions(ctx context.Context, req *permissionv1.ListDecisionsRequest) (*permissionv1.ListDecisionsResponse, error) {
	if err := subject.Organization.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	f, err := decision.ParseFilter(req.GetFilter())
	if err != nil {
		return nil, err
	}
	found, next, err := journal.List(ctx, s.Journal, req, []string{"ListDecisions", req.GetParent(), req.GetFilter()},
		func(r kv.Reader, after []byte, limit int) ([]*permissionv1.Decision, []byte, error) {
			return s.Decisions.List(r, req.GetParent(), f, after, limit)
		})
	if err != nil {
		return nil, err
	}
	return &permissionv1.ListDecisionsResponse{Decisions: found, NextPageToken: next}, nil
}
