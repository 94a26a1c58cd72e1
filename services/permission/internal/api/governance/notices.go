package governance

import (
	"context"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/filter"
	"guildhall.dev/pkg/journal"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/people/notice"
)

type notices struct{ Config }

// GetNotice implements permissionv1.NoticeServiceServer.
func (s *notices) GetNotice(ctx context.Context, req *permissionv1.GetNoticeRequest) (*permissionv1.Notice, error) {
	if err := notice.Check(req.GetName()); err != nil {
		return nil, err
	}
	return journal.Read(ctx, s.Journal, func(r kv.Reader) (*permissionv1.Notice, error) {
		return s.Notices.Get(r, req.GetName())
	})
}

// ListNotices implements permissionv1.NoticeServiceServer.
func (s *notices) ListNotices(ctx context.Context, req *permissionv1.ListNoticesRequest) (*permissionv1.ListNoticesResponse, error) {
	if err := checkAccount(req.GetParent()); err != nil {
		return nil, err
	}
	terms, err := filter.Parse(req.GetFilter(), filter.Field{Name: "acknowledged", Type: filter.Bool})
	if err != nil {
		return nil, err
	}
	var sort *bool
	if t, ok := terms.Lookup("acknowledged"); ok {
		sort = &t.Bool
	}
	items, next, err := journal.List(ctx, s.Journal, req, []string{"ListNotices", req.GetParent(), req.GetFilter()},
		func(r kv.Reader, after []byte, limit int) ([]*permissionv1.Notice, []byte, error) {
			return s.Notices.List(r, req.GetParent(), sort, after, limit)
		})
	if err != nil {
		return nil, err
	}
	return &permissionv1.ListNoticesResponse{Notices: items, NextPageToken: next}, nil
}

// AcknowledgeNotice implements permissionv1.NoticeServiceServer. The request
// that the notice explains moves on in the same transaction.
func (s *notices) AcknowledgeNotice(ctx context.Context, req *permissionv1.AcknowledgeNoticeRequest) (*permissionv1.Notice, error) {
	if err := notice.Check(req.GetName()); err != nil {
		return nil, err
	}
	by := authn.CallerOf(ctx).Name
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.Notice, error) {
		n, first, err := s.Notices.Acknowledge(tx, req.GetName(), req.GetEtag(), by)
		if err != nil || !first {
			return n, err
		}
		return n, s.Requests.Acknowledge(tx, n, by)
	})
}
