package grants

import (
	"context"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/filter"
	"guildhall.dev/pkg/journal"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/subject"
)

// grants implements permissionv1.GrantServiceServer.
type grants struct{ Config }

// CreateGrant implements permissionv1.GrantServiceServer.
func (s *grants) CreateGrant(ctx context.Context, req *permissionv1.CreateGrantRequest) (*permissionv1.Grant, error) {
	if err := subject.Organization.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	by := authn.CallerOf(ctx)
	created, err := change.DoTogether(ctx, s.Lanes, req.GetParent(), req, func(tx *change.Tx) (*permissionv1.Grant, error) {
		id, err := tx.IDOr("grant_id", req.GetGrantId())
		if err != nil {
			return nil, err
		}
		return s.Edits.Give(tx, by, asked(by, req.GetParent(), id, req.GetGrant()))
	})
	s.Journal.KeepRefusal(ctx, req.GetParent(), err)
	return created, err
}

// asked returns the grant that a caller asks to make, under its name.
func asked(by authn.Caller, parent, id string, g *permissionv1.Grant) *permissionv1.Grant {
	g = proto.CloneOf(g)
	g.Name = parent + "/grants/" + id
	g.Creator, g.ManagedBy, g.Duty, g.ConsistencyToken = by.Name, "", "", ""
	return g
}

// GetGrant implements permissionv1.GrantServiceServer.
func (s *grants) GetGrant(ctx context.Context, req *permissionv1.GetGrantRequest) (*permissionv1.Grant, error) {
	if err := grant.Pattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	return journal.Read(ctx, s.Journal, func(r kv.Reader) (*permissionv1.Grant, error) {
		return s.Grants.Get(r, req.GetName())
	})
}

// ListGrants implements permissionv1.GrantServiceServer.
func (s *grants) ListGrants(ctx context.Context, req *permissionv1.ListGrantsRequest) (*permissionv1.ListGrantsResponse, error) {
	if err := subject.Organization.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	f, err := parseFilter(req.GetFilter())
	if err != nil {
		return nil, err
	}
	found, next, err := journal.List(ctx, s.Journal, req, []string{"ListGrants", req.GetParent(), req.GetFilter()},
		func(r kv.Reader, after []byte, limit int) ([]*permissionv1.Grant, []byte, error) {
			return s.Grants.List(r, req.GetParent(), f, after, limit)
		})
	if err != nil {
		return nil, err
	}
	return &permissionv1.ListGrantsResponse{Grants: found, NextPageToken: next}, nil
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
	if err := grant.Pattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	by := authn.CallerOf(ctx)
	deleted, err := change.DoTogether(ctx, s.Lanes, subject.OrganizationOf(req.GetName()), req, func(tx *change.Tx) (*permissionv1.Grant, error) {
		return s.Edits.Revoke(tx, by, req.GetName(), req.GetEtag())
	})
	s.Journal.KeepRefusal(ctx, req.GetName(), err)
	return deleted, err
}

// SetManagedGrant implements permissionv1.GrantServiceServer.
func (s *grants) SetManagedGrant(ctx context.Context, req *permissionv1.SetManagedGrantRequest) (*permissionv1.SetManagedGrantResponse, error) {
	w := grant.Word{
		Service: authn.CallerOf(ctx).Service(), Subject: req.GetSubject(), Resource: req.GetResource(),
		Role: req.GetRole(), Version: req.GetVersion(),
	}
	return change.DoTogether(ctx, s.Lanes, subject.OrganizationOf(req.GetSubject()), req, func(tx *change.Tx) (*permissionv1.SetManagedGrantResponse, error) {
		// A word about somebody who was erased may come late: it is heard, and not kept.
		if gone, err := s.Erasures.Begun(tx, w.Subject); gone || err != nil {
			tx.Unchanged()
			return &permissionv1.SetManagedGrantResponse{Version: w.Version}, err
		}
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
		e.Record(tx)
		resp := &permissionv1.SetManagedGrantResponse{Version: e.Version}
		if e.Revision.Number > 0 {
			resp.ConsistencyToken = s.Tokens.Of(subject.OrganizationOf(req.GetSubject()), e.Revision)
		}
		return resp, nil
	})
}
