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
	return &remote{client: permissionv1.NewCheckServiceClient(conn)}
}

type remote struct {
	client permissionv1.CheckServiceClient
}

func (r *remote) Check(ctx context.Context, req Request) error {
	resources := req.Asked()
	bounded, cancel := context.WithTimeout(ctx, remoteTimeout)
	defer cancel()
	results, err := r.ask(bounded, req, resources)
	switch {
	case err != nil && ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return unknowable(err)
	case len(results) != len(resources) || len(results) == 0:
		return unknowable(errors.New("the permission service answered another number of checks"))
	}
	for i, result := range results {
		if !result.GetAllowed() {
			return Refusal(result.GetDenial(), req.Permission, resources[i])
		}
	}
	return nil
}

func (r *remote) ask(ctx context.Context, req Request, resources []string) ([]*permissionv1.CheckResult, error) {
	parent := req.Caller.Organization()
	queries := make([]*permissionv1.CheckQuery, 0, len(resources))
	for _, resource := range resources {
		queries = append(queries, &permissionv1.CheckQuery{
			Subject: req.Caller.Name, Permission: req.Permission, Resource: resource,
			Session: req.Caller.Session, Attributes: req.Attributes,
		})
	}
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
