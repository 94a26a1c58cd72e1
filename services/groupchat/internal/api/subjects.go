package api

import (
	"context"

	"guildhall.dev/pkg/subjectdata"
	subjectv1 "guildhall.dev/proto/gen/guildhall/subject/v1"
	"guildhall.dev/services/groupchat/internal/intent"
)

// subjects answers the RPCs of GroupchatSubjectService, and has service permission
// hear soon of the memberships that they end or move: many at a time, so that nobody
// waits for each.
type subjects struct {
	*subjectdata.Server
	intents *intent.Deliverer
}

func (s subjects) EraseSubject(ctx context.Context, req *subjectv1.EraseSubjectRequest) (*subjectv1.EraseSubjectResponse, error) {
	defer s.intents.Hasten()
	return s.Server.EraseSubject(ctx, req)
}

func (s subjects) MoveSubject(ctx context.Context, req *subjectv1.MoveSubjectRequest) (*subjectv1.MoveSubjectResponse, error) {
	defer s.intents.Hasten()
	return s.Server.MoveSubject(ctx, req)
}
