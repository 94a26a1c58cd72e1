package checks

import (
	"context"
	"fmt"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/check"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/explain"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/revision"
	"guildhall.dev/services/permission/internal/role"
	"guildhall.dev/services/permission/internal/subject"
)

// explainChecks is the permission of Explain. The interceptors ask for it on
// the subject, which everybody has on their own name.
const explainChecks = "permission.checks.explain"

type explanations struct{ Config }

// Explain implements permissionv1.ExplainServiceServer.
func (s *explanations) Explain(ctx context.Context, req *permissionv1.ExplainRequest) (*permissionv1.ExplainResponse, error) {
	if err := accountOf(req.GetParent(), "query.subject", req.GetQuery().GetSubject()); err != nil {
		return nil, err
	}
	others, err := s.mayHearOfOthers(ctx, req.GetParent())
	if err != nil {
		return nil, err
	}
	now := s.Clock()
	var resp *permissionv1.ExplainResponse
	err = s.Journal.Store.View(ctx, func(r kv.Reader) error {
		head, err := revision.Head(r, req.GetParent())
		if err != nil {
			return err
		}
		e, err := s.Explainer.Explain(r, req.GetParent(), check.Question(req.GetQuery()), now, others)
		if err != nil {
			return err
		}
		resp = &permissionv1.ExplainResponse{
			Result: check.Result(e.Answer, head), Chain: e.Chain, Denials: e.Denials, Near: e.Near, Truncated: e.Truncated,
		}
		return nil
	})
	return resp, err
}

// mayHearOfOthers reports whether the caller may hear of what others hold.
func (s *explanations) mayHearOfOthers(ctx context.Context, parent string) (bool, error) {
	by := authn.CallerOf(ctx)
	if by.Kind() == authn.System {
		return true, nil
	}
	_, err := s.Checker.Check(ctx, authz.Request{Caller: by, Permission: explainChecks, Resources: []string{parent}})
	if errs.Is(err, errs.Denied) || errs.Is(err, errs.NotFound) {
		return false, nil
	}
	return err == nil, err
}

// SimulateChecks implements permissionv1.ExplainServiceServer.
func (s *explanations) SimulateChecks(ctx context.Context, req *permissionv1.SimulateChecksRequest) (*permissionv1.SimulateChecksResponse, error) {
	if err := subject.Organization.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	if err := ofParent(req); err != nil {
		return nil, err
	}
	p := explain.Proposal{Create: req.GetCreateGrants(), Delete: req.GetDeleteGrants()}
	for _, r := range req.GetRoles() {
		p.Roles = append(p.Roles, &permissionv1.Role{
			Name: r.GetRole(), Permissions: r.GetPermissions(), Levels: r.GetLevels(), IncludedRoles: r.GetIncludedRoles(),
		})
	}
	questions := make([]decide.Question, len(req.GetQueries()))
	for i, q := range req.GetQueries() {
		questions[i] = check.Question(q)
	}
	now := s.Clock()
	resp := &permissionv1.SimulateChecksResponse{}
	err := s.Journal.Store.View(ctx, func(r kv.Reader) error {
		head, err := revision.Head(r, req.GetParent())
		if err != nil {
			return err
		}
		before, after, err := s.Explainer.Simulate(r, req.GetParent(), p, questions, now)
		if err != nil {
			return err
		}
		resp.Results, resp.Revision = nil, head.Number
		for i := range before {
			resp.Results = append(resp.Results, &permissionv1.SimulatedCheck{
				Before: check.Result(before[i], head), After: check.Result(after[i], head), Changed: before[i].Allowed != after[i].Allowed,
			})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// ofParent refuses proposals about what is not the parent's.
func ofParent(req *permissionv1.SimulateChecksRequest) error {
	for i, name := range req.GetDeleteGrants() {
		if !grant.Pattern.Matches(name) || resource.Parent(name) != req.GetParent() {
			return errs.InvalidField(fmt.Sprintf("delete_grants[%d]", i), resource.Reason,
				"send the name of a grant of the parent: "+string(grant.Pattern))
		}
	}
	for i, r := range req.GetRoles() {
		if !role.Pattern.Matches(r.GetRole()) || role.OrganizationOf(r.GetRole()) != req.GetParent() {
			return errs.InvalidField(fmt.Sprintf("roles[%d].role", i), resource.Reason,
				"send the name of a custom role of the parent: "+string(role.Pattern))
		}
	}
	return nil
}
