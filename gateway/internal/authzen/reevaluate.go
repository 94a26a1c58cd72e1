package authzen

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/structpb"

	"guildhall.dev/gateway/internal/binding"
	"guildhall.dev/gateway/internal/task"
	"guildhall.dev/pkg/errs"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// What an enforcement point is told to do after a no in spite of an approval.
const (
	actRequest = "request"
	actRetry   = "retry"
	actNone    = "none"
)

// Reasons of such a no.
const (
	approvalExpired      = "approval_expired"
	outOfScope           = "out_of_scope"
	grantPending         = "grant_pending"
	policyDenied         = "policy_denied"
	approvalUnverifiable = "approval_unverifiable"
)

const (
	// retryAfter is how long a decision that is about to change takes, in
	// seconds.
	retryAfter = 5
	// maxApprovals is how many approvals the questions of one call may name
	// together: each is read by itself.
	maxApprovals = 20
)

// approvalOf returns the id of the approval that a context holds. A member of
// that name which is no object with an id is something of the caller's own.
func approvalOf(context *structpb.Struct) (id string, ok bool) {
	id = context.GetFields()["approval"].GetStructValue().GetFields()["id"].GetStringValue()
	return id, id != ""
}

// judge makes decisions of the permission service's answers to one call.
type judge struct {
	api  *API
	r    *Request
	view task.View
	// approvals are those that questions named, by id; nil is one that cannot
	// be verified.
	approvals map[string]*permissionv1.PermissionChangeRequest
}

func (a *API) judge(r *Request) *judge {
	return &judge{api: a, r: r, view: a.view(r), approvals: map[string]*permissionv1.PermissionChangeRequest{}}
}

// decide returns the decision. The approval that came along has been an input
// of it already, by its name in the query; here it is looked at to say until
// when a yes counts, or what to do after a no.
func (j *judge) decide(ctx context.Context, q *question, r *permissionv1.CheckResult) (*decision, error) {
	d := decided(r)
	if q.hasApproval {
		v, err := j.approval(ctx, q)
		if err != nil {
			return nil, err
		}
		return d, j.reevaluated(d, q, r.GetDenial(), v)
	}
	if !d.Decision {
		if _, err := j.offer(d, q, r.GetDenial()); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// approval returns the change request whose approval a question names; nil when
// there is none, or none that the caller may know of.
func (j *judge) approval(ctx context.Context, q *question) (*permissionv1.PermissionChangeRequest, error) {
	v, known := j.approvals[q.approval]
	if known || q.query.GetApproval() == "" {
		return v, nil
	}
	if len(j.approvals) == maxApprovals {
		return nil, errs.InvalidField("evaluations", "REPEATED_MAX_ITEMS", fmt.Sprintf("name at most %d approvals in one call", maxApprovals))
	}
	v, err := j.api.cfg.Requests.GetPermissionChangeRequest(ctx, &permissionv1.GetPermissionChangeRequestRequest{Name: q.query.GetApproval()})
	if errs.Is(err, errs.NotFound) || errs.Is(err, errs.Denied) || errs.Is(err, errs.Invalid) {
		v, err = nil, nil
	}
	if err != nil {
		return nil, err
	}
	j.approvals[q.approval] = v
	return v, nil
}

// reevaluated completes the decision about a question that came with an
// approval.
func (j *judge) reevaluated(d *decision, q *question, denial permissionv1.Denial, v *permissionv1.PermissionChangeRequest) error {
	if d.Decision {
		if q.within(v) && j.inForce(v) {
			d.Context = &decisionContext{Approval: &approvalEnd{ID: q.approval, ApprovedUntil: j.view.ApprovedUntil(v).Format(time.RFC3339)}}
		}
		return nil
	}
	if d.Context == nil {
		d.Context = &decisionContext{}
	}
	reason, next := j.verdict(q, denial, v)
	if reason != "" {
		d.Context.Reason = reason
	}
	if next == actRequest {
		offered, err := j.offer(d, q, denial)
		if err != nil {
			return err
		}
		if !offered {
			next = actNone
		}
	}
	if d.Context.NextAction = next; next == actRetry {
		d.Context.RetryAfter = retryAfter
	}
	return nil
}

// verdict says why it is no in spite of an approval, and what to do. An empty
// reason leaves the denial's own: the approval is good, and something else is
// wanted besides.
func (j *judge) verdict(q *question, denial permissionv1.Denial, v *permissionv1.PermissionChangeRequest) (reason, next string) {
	cure, curable := cures[denial]
	switch {
	case v.GetSubject() != q.query.GetSubject() || !task.WasApproved(v):
		return approvalUnverifiable, actNone
	case !q.within(v):
		return outOfScope, actRequest
	case !curable:
		return policyDenied, actNone
	case v.GetAccess() != nil && v.GetState() == permissionv1.PermissionChangeRequest_STATE_APPROVED:
		return grantPending, actRetry
	case !j.inForce(v):
		return approvalExpired, actRequest
	case v.GetApproval() != nil && cure == binding.Approval:
		return grantPending, actRetry // approved since the check
	case v.GetAccess() != nil && cure == binding.Access:
		return approvalExpired, actRequest // the grant is gone
	}
	return "", actRequest
}

// within reports whether a change request is about what the question asks.
func (q *question) within(v *permissionv1.PermissionChangeRequest) bool {
	permission, on, ok := task.Scope(v)
	return ok && v.GetSubject() == q.query.GetSubject() && permission == q.query.GetPermission() && on == matter(q.query.GetResource())
}

// inForce reports whether what was approved still counts, as far as the change
// request knows.
func (j *judge) inForce(v *permissionv1.PermissionChangeRequest) bool {
	if v.GetApproval() != nil && v.GetState() != permissionv1.PermissionChangeRequest_STATE_APPROVED {
		return false
	}
	return j.view.StatusOf(v) == task.Approved && j.view.Now.Before(j.view.ApprovedUntil(v))
}
