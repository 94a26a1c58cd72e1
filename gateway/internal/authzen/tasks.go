package authzen

import (
	"context"

	"guildhall.dev/gateway/internal/problem"
	"guildhall.dev/gateway/internal/task"
	"guildhall.dev/pkg/errs"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// view returns how tasks are shown to a caller.
func (a *API) view(r *Request) task.View {
	return task.View{Endpoint: r.Base + TaskPrefix, Lifetime: a.cfg.TaskLifetime, Now: a.cfg.Clock()}
}

// TaskStatus answers what became of an access request. Whoever may read the
// change request may ask, whoever filed it.
func (a *API) TaskStatus(ctx context.Context, r *Request) (any, error) {
	v, err := a.task(ctx, r)
	if err != nil {
		return nil, err
	}
	return a.view(r).Of(v), nil
}

// Cancel takes back an access request that is pending, with a reason and a
// comment that may come with it. That is for who filed it, and for its subject.
func (a *API) Cancel(ctx context.Context, r *Request) (any, error) {
	note, err := cancelNote(r.Body)
	if err != nil {
		return nil, err
	}
	v, err := a.task(ctx, r)
	if err != nil {
		return nil, err
	}
	over := errs.New(errs.Precondition, problem.InvalidTaskState, "the request is decided already; there is nothing to cancel")
	if a.view(r).StatusOf(v) != task.Pending {
		return nil, over
	}
	// The etag, because an approval can be withdrawn also after it was given,
	// when its task is pending no longer.
	v, err = a.cfg.Requests.WithdrawPermissionChangeRequest(ctx, &permissionv1.WithdrawPermissionChangeRequestRequest{
		Name: v.GetName(), Note: note, Etag: v.GetEtag(),
	})
	if errs.ReasonOf(err) == "ILLEGAL_STATE" {
		return nil, over
	}
	if err != nil {
		return nil, err
	}
	return a.view(r).Of(v), nil
}

// cancelNote reads the body of a cancellation, which may be empty.
func cancelNote(body []byte) (note string, err error) {
	if len(body) == 0 {
		return "", nil
	}
	o, err := readBody(body)
	if err != nil {
		return "", err
	}
	for _, name := range []string{"reason", "comment"} {
		if !o.has(name) {
			continue
		}
		text, err := o.text("", name)
		if err != nil {
			return "", err
		}
		if note != "" {
			note += ": "
		}
		note += text
	}
	return note, nil
}

// task returns the change request that the path names.
func (a *API) task(ctx context.Context, r *Request) (*permissionv1.PermissionChangeRequest, error) {
	missing := errs.New(errs.NotFound, problem.UnknownTask, "there is no such task, or it is not yours to see")
	name, ok := task.Name(r.Organization, r.Task)
	if !ok {
		return nil, missing
	}
	v, err := a.cfg.Requests.GetPermissionChangeRequest(ctx, &permissionv1.GetPermissionChangeRequestRequest{Name: name})
	if errs.Is(err, errs.NotFound) || errs.Is(err, errs.Invalid) {
		return nil, missing
	}
	if err != nil {
		return nil, err
	}
	if _, _, ok := task.Scope(v); !ok {
		return nil, missing
	}
	if a.view(r).Gone(v) {
		return nil, errs.New(errs.NotFound, problem.TaskExpired, "the task's time is over; see the change request")
	}
	return v, nil
}
