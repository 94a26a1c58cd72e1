package authz

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"

	"guildhall.dev/pkg/errs"
)

// remoteTimeout bounds a check within the call that needs it. A check takes
// well under a millisecond where it is answered.
const remoteTimeout = 3 * time.Second

// Remote returns a Checker that asks the permission service over conn, on
// behalf of the caller's own organisation. It fails closed: whatever keeps the
// answer from coming is Unavailable with reason PERMISSION_UNAVAILABLE, unless
// it is the end of the caller's own context.
func Remote(conn grpc.ClientConnInterface) Checker {
	return &remote{client: permissionv1.NewCheckServiceClient(conn), requests: permissionv1.NewPermissionChangeRequestServiceClient(conn)}
}

type remote struct {
	client   permissionv1.CheckServiceClient
	requests permissionv1.PermissionChangeRequestServiceClient
}

func (r *remote) Check(ctx context.Context, req Request) (Answer, error) {
	resources := req.Asked()
	queries := make([]*permissionv1.CheckQuery, 0, len(resources))
	for _, resource := range resources {
		queries = append(queries, req.query(ctx, resource, false))
	}
	results, err := r.ask(ctx, req.Caller.Organization(), queries)
	if err != nil {
		return Answer{}, err
	}
	all := Answer{Allowed: true}
	var unsettled []Answer // that are no plain yes
	for i, result := range results {
		a := answerOf(resources[i], result)
		all.Restricted = all.Restricted || a.Restricted
		if !a.Allowed || a.SingleUse {
			unsettled = append(unsettled, a)
		}
	}
	if unsettled != nil {
		if err := req.Settle(ctx, unsettled, r.use); err != nil {
			return Answer{}, err
		}
	}
	return all, nil
}

func answerOf(resource string, result *permissionv1.CheckResult) Answer {
	return Answer{
		Resource: resource, Allowed: result.GetAllowed(), Denial: result.GetDenial(),
		SingleUse: result.GetApprovalSingleUse(), Restricted: result.GetRestricted(),
	}
}

func (r *remote) use(ctx context.Context, req *permissionv1.UseApprovalRequest) error {
	bounded, cancel := context.WithTimeout(ctx, remoteTimeout)
	defer cancel()
	_, err := r.requests.UseApproval(bounded, req)
	return err
}

func (r *remote) Which(ctx context.Context, req Request, variants []*permissionv1.Attributes) ([]Answer, error) {
	req.Approval = Approval{}
	queries := make([]*permissionv1.CheckQuery, 0, len(variants)*len(req.Resources))
	for _, a := range variants {
		req.Attributes = a
		for _, resource := range req.Resources {
			queries = append(queries, req.query(ctx, resource, true))
		}
	}
	results, err := r.ask(ctx, req.Caller.Organization(), queries)
	if err != nil {
		return nil, err
	}
	answers := make([]Answer, len(results))
	for i, result := range results {
		answers[i] = answerOf("", result)
	}
	return Among(len(variants), answers)
}

// Among puts the answers to a Which together: those for the first variant come
// first, one a resource, and a variant is allowed when it is on all of them, and
// restricted when it is on any. The error is that the caller may not act at all.
func Among(variants int, answers []Answer) ([]Answer, error) {
	among := make([]Answer, variants)
	each := len(answers) / variants
	for i := range among {
		among[i].Allowed = each > 0
		for _, a := range answers[i*each : (i+1)*each] {
			refusal := Refusal(a.Denial, "", "")
			if !a.Allowed && errs.Is(refusal, errs.Unauthenticated) {
				return nil, refusal
			}
			among[i].Allowed = among[i].Allowed && a.Allowed
			among[i].Restricted = among[i].Restricted || a.Restricted
		}
	}
	return among, nil
}

func (r Request) query(ctx context.Context, resource string, filtering bool) *permissionv1.CheckQuery {
	return &permissionv1.CheckQuery{
		Subject: r.Caller.Name, Permission: r.Permission, Resource: resource,
		Session: r.Caller.Session, Attributes: r.Known(ctx), Approval: r.Approval.Name, Filtering: filtering,
	}
}

// ask returns the answers to the queries, one each, or why they are not known.
func (r *remote) ask(ctx context.Context, parent string, queries []*permissionv1.CheckQuery) ([]*permissionv1.CheckResult, error) {
	bounded, cancel := context.WithTimeout(ctx, remoteTimeout)
	defer cancel()
	results, err := r.send(bounded, parent, queries)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, unknowable(err)
	case len(results) != len(queries) || len(results) == 0:
		return nil, unknowable(errors.New("the permission service answered another number of checks"))
	}
	return results, nil
}

func (r *remote) send(ctx context.Context, parent string, queries []*permissionv1.CheckQuery) ([]*permissionv1.CheckResult, error) {
	if len(queries) == 1 {
		answer, err := r.client.Check(ctx, &permissionv1.CheckRequest{Parent: parent, Query: queries[0]})
		return []*permissionv1.CheckResult{answer.GetResult()}, err
	}
	answer, err := r.client.BatchCheck(ctx, &permissionv1.BatchCheckRequest{Parent: parent, Queries: queries})
	return answer.GetResults(), err
}

func unknowable(cause error) error {
	return errs.New(errs.Unavailable, "PERMISSION_UNAVAILABLE", "permissions cannot be checked at the moment; try again",
		errs.Cause(cause), errs.RetryAfter(time.Second))
}
