package grants

import (
	"context"
	"fmt"
	"strings"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/edit"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/revision"
	"guildhall.dev/services/permission/internal/subject"
)

// BatchChangeGrants implements permissionv1.GrantServiceServer.
func (s *grants) BatchChangeGrants(ctx context.Context, req *permissionv1.BatchChangeGrantsRequest) (*permissionv1.BatchChangeGrantsResponse, error) {
	parent := req.GetParent()
	if err := subject.Organization.Check("parent", parent); err != nil {
		return nil, err
	}
	if err := checkNames(parent, req.GetChanges()); err != nil {
		return nil, err
	}
	by := authn.CallerOf(ctx)
	if err := s.mayChange(ctx, by, req); err != nil {
		s.Journal.KeepRefusal(ctx, parent, err)
		return nil, err
	}
	resp, err := change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.BatchChangeGrantsResponse, error) {
		if err := s.expect(tx, req); err != nil {
			return nil, err
		}
		changes, err := s.changes(tx, by, req)
		if err != nil {
			return nil, err
		}
		changed, v, err := s.Edits.ChangeGrants(tx, parent, changes)
		if err != nil {
			return nil, err
		}
		return &permissionv1.BatchChangeGrantsResponse{
			Grants: changed, Revision: v.Number, ConsistencyToken: s.Tokens.Of(parent, v),
		}, nil
	})
	s.Journal.KeepRefusal(ctx, parent, err)
	return resp, err
}

// checkNames refuses names that are none of the organisation's.
func checkNames(parent string, changes []*permissionv1.GrantChange) error {
	for i, c := range changes {
		if d := c.GetDelete(); d != nil && (!grant.Pattern.Matches(d.GetName()) || !strings.HasPrefix(d.GetName(), parent+"/")) {
			return errs.InvalidField(fmt.Sprintf("changes[%d].delete.name", i), resource.Reason,
				"send the name of a grant of the parent: "+string(grant.Pattern))
		}
	}
	return nil
}

// mayChange asks for the permissions of the calls that the batch stands for:
// to do much at once is no way around them.
func (s *grants) mayChange(ctx context.Context, by authn.Caller, req *permissionv1.BatchChangeGrantsRequest) error {
	if by.Kind() == authn.System {
		return nil
	}
	var create bool
	var doomed []string
	for _, c := range req.GetChanges() {
		if c.GetCreate() != nil {
			create = true
		} else {
			doomed = append(doomed, c.GetDelete().GetName())
		}
	}
	if create {
		if _, err := s.Checker.Check(ctx, authz.Request{Caller: by, Permission: edit.CreateGrants, Resources: []string{req.GetParent()}, Approval: authz.ApprovalOf(ctx)}); err != nil {
			return err
		}
	}
	if len(doomed) == 0 {
		return nil
	}
	_, err := s.Checker.Check(ctx, authz.Request{Caller: by, Permission: edit.DeleteGrants, Resources: doomed, Approval: authz.ApprovalOf(ctx)})
	return err
}

// expect refuses the batch unless all is as the caller supposes.
func (s *grants) expect(tx *change.Tx, req *permissionv1.BatchChangeGrantsRequest) error {
	if err := checkRevision(tx, req.GetParent(), req.GetRevision()); err != nil {
		return err
	}
	for i, p := range req.GetPreconditions() {
		fact, want := p.GetMustExist(), true
		reason, part, text := "GRANT_EXPECTED", "must_exist", "there is no such grant; read the grants again, then decide"
		if fact == nil {
			fact, want = p.GetMustNotExist(), false
			reason, part, text = "GRANT_UNEXPECTED", "must_not_exist", "there is such a grant; read the grants again, then decide"
		}
		has, err := s.Grants.Has(tx, req.GetParent(), &permissionv1.Grant{
			Subject: fact.GetSubject(), Role: fact.GetRole(), Resource: fact.GetResource(), Effect: fact.GetEffect(),
			Condition: &permissionv1.Condition{Expression: fact.GetCondition()},
		})
		if err != nil {
			return err
		}
		if has != want {
			return errs.New(errs.Precondition, reason, text, errs.Field(fmt.Sprintf("preconditions[%d].%s", i, part), reason, text))
		}
	}
	return nil
}

// checkRevision refuses unless the organisation is at the revision; zero asks
// for no check.
func checkRevision(r kv.Reader, organization string, want int64) error {
	if want == 0 {
		return nil
	}
	head, err := revision.Head(r, organization)
	if err != nil || head.Number == want {
		return err
	}
	const text = "grants or roles have changed since the revision; read them again, then decide"
	return errs.New(errs.Conflict, "REVISION_MISMATCH", text, errs.Field("revision", "REVISION_MISMATCH", text))
}

// changes returns the batch in the centre's terms, all of it within what the
// caller holds before it. What is given often is judged once.
func (s *grants) changes(tx *change.Tx, by authn.Caller, req *permissionv1.BatchChangeGrantsRequest) ([]grant.Change, error) {
	type given struct {
		role, resource string
		expires        int64
		denied         string // to whom
	}
	judged := make(map[given]bool)
	changes := make([]grant.Change, len(req.GetChanges()))
	for i, c := range req.GetChanges() {
		if d := c.GetDelete(); d != nil {
			changes[i] = grant.Change{Delete: d.GetName(), Etag: d.GetEtag()}
			if err := s.Edits.MayRevokeNamed(tx, by, d.GetName()); err != nil {
				return nil, grant.InChange(i, changes[i], err)
			}
			continue
		}
		id, err := tx.IDOr(fmt.Sprintf("changes[%d].create.grant_id", i), c.GetCreate().GetGrantId())
		if err != nil {
			return nil, err
		}
		g := asked(by, req.GetParent(), id, c.GetCreate().GetGrant())
		changes[i] = grant.Change{Create: g}
		key := given{g.GetRole(), g.GetResource(), g.GetExpireTime().GetSeconds(), ""}
		if grant.Denies(g) {
			key.denied = g.GetSubject()
		}
		if judged[key] {
			continue // ChangeAll sees to what else there is to a grant
		}
		if err := s.Edits.CheckGrant(tx, by, g); err != nil {
			return nil, grant.InChange(i, changes[i], err)
		}
		judged[key] = true
	}
	return changes, nil
}
