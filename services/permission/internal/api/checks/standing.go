package checks

import (
	"context"

	"guildhall.dev/pkg/change"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/subject"
)

// standings serves identity's word on who may act at all. It leaves no entries
// in this service's audit log and no events in its feed: the change is
// identity's, whose audit log has who made it and whose feed tells of it.
type standings struct{ Config }

// SetStanding implements permissionv1.StandingServiceServer.
func (s *standings) SetStanding(ctx context.Context, req *permissionv1.SetStandingRequest) (*permissionv1.SetStandingResponse, error) {
	w := subject.Word{Account: req.GetAccount(), State: req.GetState(), Version: req.GetVersion()}
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.SetStandingResponse, error) {
		tx.Unchanged()
		version, err := s.Subjects.Hear(tx, tx.Time, w)
		return &permissionv1.SetStandingResponse{Version: version}, err
	})
}

// CatchUp implements permissionv1.StandingServiceServer. What this process has
// heard of identity may still be on its way to the others, so it waits for them
// as a change does.
func (s *standings) CatchUp(ctx context.Context, _ *permissionv1.CatchUpRequest) (*permissionv1.CatchUpResponse, error) {
	if err := s.Identity.CaughtUp(ctx); err != nil {
		return nil, err
	}
	return &permissionv1.CatchUpResponse{}, s.Cache.Settle(ctx)
}

// EndSessions implements permissionv1.StandingServiceServer.
func (s *standings) EndSessions(ctx context.Context, req *permissionv1.EndSessionsRequest) (*permissionv1.EndSessionsResponse, error) {
	ended := make([]subject.Ended, len(req.GetSessions()))
	for i, e := range req.GetSessions() {
		ended[i] = subject.Ended{Session: e.GetSession(), Forget: e.GetForgetTime().AsTime()}
	}
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.EndSessionsResponse, error) {
		tx.Unchanged()
		return &permissionv1.EndSessionsResponse{}, s.Subjects.EndSessions(tx, tx.Time, req.GetAccount(), ended)
	})
}
