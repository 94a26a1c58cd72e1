package grants

import (
	"context"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/filter"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/revision"
	"guildhall.dev/services/permission/internal/subject"
)

const (
	// maxPurged is the most grants of one call: one transaction, which holds
	// up others while it runs.
	maxPurged = 1000
	// maxSample is how many names an answer has.
	maxSample = 100
)

// PurgeGrants implements permissionv1.GrantServiceServer.
func (s *grants) PurgeGrants(ctx context.Context, req *permissionv1.PurgeGrantsRequest) (*permissionv1.PurgeGrantsResponse, error) {
	if err := subject.Organization.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	f, err := parsePurge(req.GetFilter())
	if err != nil {
		return nil, err
	}
	if !req.GetForce() {
		return s.preview(ctx, req, f)
	}
	by := authn.CallerOf(ctx)
	purged, err := change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.PurgeGrantsResponse, error) {
		resp, doomed, err := s.selected(tx, req, f)
		if err != nil {
			return nil, err
		}
		if len(doomed) == 0 {
			tx.Unchanged()
			return resp, nil
		}
		changes := make([]grant.Change, len(doomed))
		for i, g := range doomed {
			changes[i] = grant.Change{Delete: g.GetName()}
			if err := s.Edits.MayRevoke(tx, by, g); err != nil {
				return nil, err
			}
		}
		_, v, err := s.Edits.ChangeGrants(tx, req.GetParent(), changes)
		if err != nil {
			return nil, ofPurge(err)
		}
		resp.Revision, resp.ConsistencyToken = v.Number, s.Tokens.Of(req.GetParent(), v)
		return resp, nil
	})
	s.Journal.KeepRefusal(ctx, req.GetParent(), err)
	return purged, err
}

// preview says what a purge would delete. It leaves no trace, and so keeps no
// answer under its request id: what it says is true when it is said.
func (s *grants) preview(ctx context.Context, req *permissionv1.PurgeGrantsRequest, f grant.Filter) (resp *permissionv1.PurgeGrantsResponse, err error) {
	err = s.Journal.Store.View(ctx, func(r kv.Reader) error {
		resp, _, err = s.selected(r, req, f)
		return err
	})
	return resp, err
}

// selected returns the grants of one call, and the answer about them.
func (s *grants) selected(r kv.Reader, req *permissionv1.PurgeGrantsRequest, f grant.Filter) (*permissionv1.PurgeGrantsResponse, []*permissionv1.Grant, error) {
	if err := checkRevision(r, req.GetParent(), req.GetRevision()); err != nil {
		return nil, nil, err
	}
	head, err := revision.Head(r, req.GetParent())
	if err != nil {
		return nil, nil, err
	}
	found, more, err := s.Grants.Select(r, req.GetParent(), f, maxPurged)
	if err != nil {
		return nil, nil, err
	}
	resp := &permissionv1.PurgeGrantsResponse{PurgeCount: int32(len(found)), More: more, Revision: head.Number}
	for _, g := range found[:min(len(found), maxSample)] {
		resp.PurgeSample = append(resp.PurgeSample, g.GetName())
	}
	return resp, found, nil
}

// ofPurge takes from an error the field of a batch, which the caller sent none
// of.
func ofPurge(err error) error {
	e := errs.From(err)
	if e.Kind != errs.Precondition {
		return err
	}
	return errs.New(e.Kind, e.Reason, e.Message, errs.Field("filter", e.Reason, e.Message))
}

// parsePurge reads the filter of a purge. "*" has to be said: an empty filter
// may be a mistake (AIP-165).
func parsePurge(text string) (grant.Filter, error) {
	var f grant.Filter
	if text == "*" {
		return f, nil
	}
	terms, err := filter.Parse(text,
		filter.Field{Name: "subject", Type: filter.String},
		filter.Field{Name: "resource", Type: filter.String},
		filter.Field{Name: "role", Type: filter.String})
	if err != nil {
		return f, err
	}
	for _, t := range terms {
		if t.Text == "" {
			return f, badPurge()
		}
		switch t.Field {
		case "subject":
			f.Subject = t.Text
		case "resource":
			f.Resource = t.Text
		case "role":
			f.Role = t.Text
		}
	}
	if len(terms) == 0 {
		return f, badPurge()
	}
	return f, nil
}

func badPurge() error {
	return errs.InvalidField("filter", "FILTER_INVALID", `send conditions on subject, resource or role, or "*" for all grants`)
}
