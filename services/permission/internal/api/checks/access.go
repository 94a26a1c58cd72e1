package checks

import (
	"context"
	"encoding/hex"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/journal"
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
	query := []string{"ListResources", req.GetParent(), req.GetSubject(), req.GetPermission(), req.GetCollection(), digest(req.GetAttributes())}
	resp := &permissionv1.ListResourcesResponse{}
	var err error
	resp.Resources, resp.NextPageToken, err = listAt(ctx, s.Config, req, query, &resp.Revision, func(state *access.State, after string, limit int) ([]*permissionv1.AccessibleResource, string, error) {
		page, err := state.Resources(access.ResourceQuery{
			Subject: req.GetSubject(), Permission: req.GetPermission(), Collection: req.GetCollection(), Attributes: req.GetAttributes(),
		}, after, limit)
		resp.MoreUnderConditions = page.MoreUnderConditions
		return page.Resources, page.Next, err
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// ListSubjects implements permissionv1.AccessServiceServer.
func (s *lists) ListSubjects(ctx context.Context, req *permissionv1.ListSubjectsRequest) (*permissionv1.ListSubjectsResponse, error) {
	if err := subject.Organization.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	query := []string{"ListSubjects", req.GetParent(), req.GetPermission(), req.GetResource(), digest(req.GetAttributes())}
	resp := &permissionv1.ListSubjectsResponse{}
	var err error
	resp.Subjects, resp.NextPageToken, err = listAt(ctx, s.Config, req, query, &resp.Revision, func(state *access.State, after string, limit int) ([]*permissionv1.AllowedSubject, string, error) {
		return state.Subjects(access.SubjectQuery{
			Permission: req.GetPermission(), Resource: req.GetResource(), Attributes: req.GetAttributes(),
		}, after, limit)
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
	query := []string{"ListEffectivePermissions", req.GetParent(), req.GetSubject(), req.GetResource(), digest(req.GetAttributes())}
	resp := &permissionv1.ListEffectivePermissionsResponse{}
	var err error
	resp.Permissions, resp.NextPageToken, err = listAt(ctx, s.Config, req, query, &resp.Revision, func(state *access.State, after string, limit int) ([]*permissionv1.EffectivePermission, string, error) {
		return state.Permissions(req.GetSubject(), req.GetResource(), req.GetAttributes(), after, limit)
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// listAt is journal.List on the newest state of the organisation that the query
// names second, whose revision it sets. Places in these lists are names.
func listAt[T any](ctx context.Context, cfg Config, req journal.Paged, query []string, at *int64, read func(state *access.State, after string, limit int) ([]T, string, error)) ([]T, string, error) {
	now, organization := cfg.Clock(), query[1]
	return journal.List(ctx, cfg.Journal, req, query, func(r kv.Reader, after []byte, limit int) ([]T, []byte, error) {
		head, err := revision.Head(r, organization)
		if err != nil {
			return nil, nil, err
		}
		*at = head.Number
		found, next, err := read(cfg.Lists.At(r, organization, now), string(after), limit)
		return found, []byte(next), err
	})
}

// accountOf refuses a name that is no account of the parent. The interceptors
// have asked about the name; that it is the parent's is not theirs to know.
func accountOf(parent, field, name string) error {
	if err := subject.Organization.Check("parent", parent); err != nil {
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
