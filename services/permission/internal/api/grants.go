package api

import (
	"context"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/filter"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/revision"
	"guildhall.dev/services/permission/internal/subject"
)

// Types of the events of grants.
const (
	grantCreated = "guildhall.permission.grant.created.v1"
	grantUpdated = "guildhall.permission.grant.updated.v1"
	grantDeleted = "guildhall.permission.grant.deleted.v1"
)

// createGrants is the permission of CreateGrant. The interceptors ask for it
// on the organisation, the handler on the resource too.
const createGrants = "permission.grants.create"

type grants struct{ Config }

// CreateGrant implements permissionv1.GrantServiceServer.
func (s *grants) CreateGrant(ctx context.Context, req *permissionv1.CreateGrantRequest) (*permissionv1.Grant, error) {
	if _, err := organization.Parse("parent", req.GetParent()); err != nil {
		return nil, err
	}
	if id := req.GetGrantId(); id != "" {
		if err := resource.CheckID("grant_id", id); err != nil {
			return nil, err
		}
	}
	by := caller(ctx)
	created, err := change.DoTogether(ctx, s.Lanes, req.GetParent(), req, func(tx *change.Tx) (*permissionv1.Grant, error) {
		return s.Give(tx, by, s.asked(tx, by, req.GetParent(), req.GetGrantId(), req.GetGrant()))
	})
	s.KeepRefusal(ctx, req.GetParent(), err)
	return created, err
}

// asked returns the grant that a caller asks to make, under its name.
func (s *grants) asked(tx *change.Tx, by authn.Caller, parent, id string, g *permissionv1.Grant) *permissionv1.Grant {
	g = proto.CloneOf(g)
	g.Name = parent + "/grants/" + idOr(id, tx)
	g.Creator, g.ManagedBy, g.Duty, g.ConsistencyToken = by.Name, "", "", ""
	return g
}

// checkGiver refuses a grant that cannot be, or that is more than its giver's
// to give.
func (cfg Config) checkGiver(tx *change.Tx, by authn.Caller, g *permissionv1.Grant) error {
	if err := cfg.Grants.Check(tx, tx.Time, g); err != nil {
		return err
	}
	return cfg.mayGrant(tx, by, g)
}

// GetGrant implements permissionv1.GrantServiceServer.
func (s *grants) GetGrant(ctx context.Context, req *permissionv1.GetGrantRequest) (found *permissionv1.Grant, err error) {
	if _, err := grant.Pattern.Parse("name", req.GetName()); err != nil {
		return nil, err
	}
	err = s.Journal.Store.View(ctx, func(r kv.Reader) error {
		found, err = s.Grants.Get(r, req.GetName())
		return err
	})
	return found, err
}

// ListGrants implements permissionv1.GrantServiceServer.
func (s *grants) ListGrants(ctx context.Context, req *permissionv1.ListGrantsRequest) (*permissionv1.ListGrantsResponse, error) {
	if _, err := organization.Parse("parent", req.GetParent()); err != nil {
		return nil, err
	}
	f, err := parseFilter(req.GetFilter())
	if err != nil {
		return nil, err
	}
	l, err := s.list(ctx, req.GetPageSize(), req.GetPageToken(), "ListGrants", req.GetParent(), req.GetFilter())
	if err != nil {
		return nil, err
	}
	resp := &permissionv1.ListGrantsResponse{}
	err = s.Journal.Store.View(ctx, func(r kv.Reader) error {
		found, next, err := s.Grants.List(r, req.GetParent(), f, l.after, l.size)
		resp.Grants, resp.NextPageToken = found, s.next(l, next)
		return err
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// parseFilter reads the one condition that an index serves.
func parseFilter(text string) (grant.Filter, error) {
	terms, err := filter.Parse(text,
		filter.Field{Name: "subject", Type: filter.String},
		filter.Field{Name: "resource", Type: filter.String},
		filter.Field{Name: "role", Type: filter.String})
	if err != nil || len(terms) == 0 {
		return grant.Filter{}, err
	}
	if len(terms) > 1 || terms[0].Text == "" {
		return grant.Filter{}, errs.InvalidField("filter", "FILTER_INVALID", `send one of subject = "…", resource = "…" or role = "…"`)
	}
	switch t := terms[0]; t.Field {
	case "subject":
		return grant.Filter{Subject: t.Text}, nil
	case "resource":
		return grant.Filter{Resource: t.Text}, nil
	default:
		return grant.Filter{Role: t.Text}, nil
	}
}

// DeleteGrant implements permissionv1.GrantServiceServer.
func (s *grants) DeleteGrant(ctx context.Context, req *permissionv1.DeleteGrantRequest) (*permissionv1.Grant, error) {
	if _, err := grant.Pattern.Parse("name", req.GetName()); err != nil {
		return nil, err
	}
	by := caller(ctx)
	deleted, err := change.DoTogether(ctx, s.Lanes, subject.OrganizationOf(req.GetName()), req, func(tx *change.Tx) (*permissionv1.Grant, error) {
		if err := s.mayRevokeNamed(tx, by, req.GetName()); err != nil {
			return nil, err
		}
		deleted, v, err := s.Grants.Delete(tx, tx.Time, req.GetName(), req.GetEtag())
		if err != nil {
			return nil, err
		}
		recordDeleted(tx, deleted, v)
		return s.changedGrant(deleted, v), nil
	})
	s.KeepRefusal(ctx, req.GetName(), err)
	return deleted, err
}

// SetManagedGrant implements permissionv1.GrantServiceServer.
func (s *grants) SetManagedGrant(ctx context.Context, req *permissionv1.SetManagedGrantRequest) (*permissionv1.SetManagedGrantResponse, error) {
	w := grant.Word{
		Service: caller(ctx).Service(), Subject: req.GetSubject(), Resource: req.GetResource(),
		Role: req.GetRole(), Version: req.GetVersion(),
	}
	return change.DoTogether(ctx, s.Lanes, subject.OrganizationOf(req.GetSubject()), req, func(tx *change.Tx) (*permissionv1.SetManagedGrantResponse, error) {
		if w.Role != "" {
			a, err := s.Appointed(tx, tx.Time, w.Subject, w.Resource, w.Role)
			if err != nil {
				return nil, err
			}
			w.Expires = a.GetExpireTime().GetSeconds()
		}
		e, err := s.Grants.SetManaged(tx, tx.Time, w, tx.NewID())
		if err != nil {
			return nil, err
		}
		recordManaged(tx, e)
		resp := &permissionv1.SetManagedGrantResponse{Version: e.Version}
		if e.Revision.Number > 0 {
			resp.ConsistencyToken = s.Tokens.Of(subject.OrganizationOf(req.GetSubject()), e.Revision)
		}
		return resp, nil
	})
}

func recordManaged(tx *change.Tx, e grant.Effect) {
	switch {
	case e.Before == nil && e.After == nil:
		tx.Unchanged()
	case e.Before == nil:
		recordCreated(tx, e.After, e.Revision)
	case e.After == nil:
		recordDeleted(tx, e.Before, e.Revision)
	default:
		tx.Record(change.Change{
			Resource: e.After.GetName(), Type: grantUpdated, Data: grant.Event(e.After, e.Revision),
			ChangedFields: change.ChangedFields(e.Before, e.After),
		})
	}
}

func recordCreated(tx *change.Tx, g *permissionv1.Grant, v revision.Revision) {
	tx.Record(change.Change{
		Resource: g.GetName(), Type: grantCreated, Data: grant.Event(g, v), ChangedFields: change.ChangedFields(nil, g),
	})
}

func recordDeleted(tx *change.Tx, g *permissionv1.Grant, v revision.Revision) {
	tx.Record(change.Change{Resource: g.GetName(), Type: grantDeleted, Data: grant.Event(g, v)})
}
