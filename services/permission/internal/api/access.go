package api

import (
	"context"
	"encoding/hex"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/access"
	"guildhall.dev/services/permission/internal/revision"
	"guildhall.dev/services/permission/internal/subject"
)

type lists struct{ Config }

// ListResources implements permissionv1.AccessServiceServer.
func (s *lists) ListResources(ctx context.Context, req *permissionv1.ListResourcesRequest) (*permissionv1.ListResourcesResponse, error) {
	if err := accountOf(req.GetParent(), "subject", req.GetSubject()); err != nil {
		return nil, err
	}
	l, err := s.list(ctx, req.GetPageSize(), req.GetPageToken(), "ListResources", req.GetParent(), req.GetSubject(),
		req.GetPermission(), req.GetCollection(), digest(req.GetAttributes()))
	if err != nil {
		return nil, err
	}
	resp := &permissionv1.ListResourcesResponse{}
	err = s.at(ctx, req.GetParent(), &resp.Revision, func(state *access.State) error {
		page, err := state.Resources(access.ResourceQuery{
			Subject: req.GetSubject(), Permission: req.GetPermission(), Collection: req.GetCollection(), Attributes: req.GetAttributes(),
		}, string(l.after), l.size)
		resp.Resources, resp.MoreUnderConditions, resp.NextPageToken = page.Resources, page.MoreUnderConditions, s.next(l, []byte(page.Next))
		return err
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// ListSubjects implements permissionv1.AccessServiceServer.
func (s *lists) ListSubjects(ctx context.Context, req *permissionv1.ListSubjectsRequest) (*permissionv1.ListSubjectsResponse, error) {
	if _, err := organization.Parse("parent", req.GetParent()); err != nil {
		return nil, err
	}
	l, err := s.list(ctx, req.GetPageSize(), req.GetPageToken(), "ListSubjects", req.GetParent(), req.GetPermission(),
		req.GetResource(), digest(req.GetAttributes()))
	if err != nil {
		return nil, err
	}
	resp := &permissionv1.ListSubjectsResponse{}
	err = s.at(ctx, req.GetParent(), &resp.Revision, func(state *access.State) error {
		found, next, err := state.Subjects(access.SubjectQuery{
			Permission: req.GetPermission(), Resource: req.GetResource(), Attributes: req.GetAttributes(),
		}, string(l.after), l.size)
		resp.Subjects, resp.NextPageToken = found, s.next(l, []byte(next))
		return err
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// ListEffectivePermissions implements permissionv1.AccessServiceServer.
func (s *lists) ListEffectivePermissions(ctx context.Context, req *permissionv1.ListEffectivePermissionsRequest) (*permissionv1.ListEffectivePermissionsResponse, error) {
	if err := accountOf(req.GetParent(), "subject", req.GetSubject()); err != nil {
		return nil, err
	}
	l, err := s.list(ctx, req.GetPageSize(), req.GetPageToken(), "ListEffectivePermissions", req.GetParent(), req.GetSubject(),
		req.GetResource(), digest(req.GetAttributes()))
	if err != nil {
		return nil, err
	}
	resp := &permissionv1.ListEffectivePermissionsResponse{}
	err = s.at(ctx, req.GetParent(), &resp.Revision, func(state *access.State) error {
		found, next, err := state.Permissions(req.GetSubject(), req.GetResource(), req.GetAttributes(), string(l.after), l.size)
		resp.Permissions, resp.NextPageToken = found, s.next(l, []byte(next))
		return err
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// at runs fn on the newest state of the organisation, and sets its revision.
func (cfg Config) at(ctx context.Context, organization string, at *int64, fn func(*access.State) error) error {
	now := cfg.Clock()
	return cfg.Journal.Store.View(ctx, func(r kv.Reader) error {
		head, err := revision.Head(r, organization)
		if err != nil {
			return err
		}
		*at = head.Number
		return fn(cfg.Lists.At(r, organization, now))
	})
}

// accountOf refuses a name that is no account of the parent. The interceptors
// have asked about the name; that it is the parent's is not theirs to know.
func accountOf(parent, field, name string) error {
	if _, err := organization.Parse("parent", parent); err != nil {
		return err
	}
	if !subject.IsAccount(name) || subject.OrganizationOf(name) != parent {
		return errs.InvalidField(field, "SUBJECT_INVALID", "name an account of the parent")
	}
	return nil
}

// digest returns the attributes in a form to tell them from others by.
func digest(a *permissionv1.Attributes) string {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(a)
	if err != nil {
		return "" // they came in a message
	}
	return hex.EncodeToString(b)
}
