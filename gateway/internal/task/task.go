// Package task shows permission change requests as tasks of the AuthZEN Access
// Request and Approval Profile (draft 1), and approved ones as its approvals.
//
//	pending ---> approved | denied | expired | cancelled
//
// A task goes from pending to one of the others, once. The change request
// behind it may go on: an approval that was given and has run out, or was taken
// back, is that of a task which stays approved, and what became of the approval
// is said by a re-evaluation.
//
//	SUBMITTED, IDENTITY_VERIFIED        pending
//	APPROVED                            pending until the grant is made; an approval: approved
//	APPLIED, NOTIFIED, ACKNOWLEDGED     approved
//	REJECTED                            denied
//	EXPIRED                             expired
//	WITHDRAWN, CANCELLED                cancelled
//
// The profile's failed and partial do not occur: a change request is carried
// out whole or stays where it is, and there are no bundles.
//
// A task keeps nothing of its own. Its id is the change request's name within
// the organisation, encoded; it opens nothing to who may not read the request.
package task

import (
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/b64"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// Statuses of tasks.
const (
	Pending   = "pending"
	Approved  = "approved"
	Denied    = "denied"
	Expired   = "expired"
	Cancelled = "cancelled"
)

// Handle is a task as it is answered, with its result once it is approved.
type Handle struct {
	Task   Task    `json:"task"`
	Result *Result `json:"result,omitempty"`
}

// Task is the state of an access request.
type Task struct {
	ID             string `json:"id"`
	Status         string `json:"status"`
	StatusEndpoint string `json:"status_endpoint"`
	// ExpiresAt is until when the handle is good.
	ExpiresAt string `json:"expires_at"`
	Links     *Links `json:"links,omitempty"`
}

// Links are what may be done with a task.
type Links struct {
	Cancel string `json:"cancel,omitempty"`
}

// Result says how an approved task is made use of: by asking again.
type Result struct {
	Mode     string   `json:"mode"`
	Approval Approval `json:"approval"`
}

// Approval is what an enforcement point sends along when it asks again.
type Approval struct {
	ID            string `json:"id"`
	ApprovedAt    string `json:"approved_at,omitempty"`
	ApprovedUntil string `json:"approved_until"`
}

// View is how tasks are shown.
type View struct {
	// Endpoint is the URL that the task's id follows, with a slash at its end.
	Endpoint string
	// Lifetime is how long a handle is good, from when the request was filed.
	Lifetime time.Duration
	Now      time.Time
}

// Of returns a change request as a task.
func (w View) Of(v *permissionv1.PermissionChangeRequest) *Handle {
	id := ID(v.GetName())
	h := &Handle{Task: Task{
		ID: id, Status: w.StatusOf(v), StatusEndpoint: w.Endpoint + id, ExpiresAt: stamp(w.expiry(v)),
	}}
	switch h.Task.Status {
	case Pending:
		h.Task.Links = &Links{Cancel: h.Task.StatusEndpoint + "/cancel"}
	case Approved:
		h.Result = &Result{Mode: "reevaluate", Approval: Approval{
			ID: id, ApprovedAt: stamp(approvedAt(v).AsTime()), ApprovedUntil: stamp(w.ApprovedUntil(v)),
		}}
	}
	return h
}

// StatusOf returns the status of the task that a change request is.
func (w View) StatusOf(v *permissionv1.PermissionChangeRequest) string {
	if v.GetApproval() != nil && WasApproved(v) {
		return Approved
	}
	switch v.GetState() {
	case permissionv1.PermissionChangeRequest_STATE_APPLIED, permissionv1.PermissionChangeRequest_STATE_NOTIFIED,
		permissionv1.PermissionChangeRequest_STATE_ACKNOWLEDGED:
		return Approved
	case permissionv1.PermissionChangeRequest_STATE_REJECTED:
		return Denied
	case permissionv1.PermissionChangeRequest_STATE_EXPIRED:
		return Expired
	case permissionv1.PermissionChangeRequest_STATE_WITHDRAWN, permissionv1.PermissionChangeRequest_STATE_CANCELLED:
		return Cancelled
	}
	if end := v.GetStageDeadline(); end != nil && !w.Now.Before(end.AsTime()) {
		return Expired // and not yet swept
	}
	return Pending
}

// Gone reports whether the handle is good no longer.
func (w View) Gone(v *permissionv1.PermissionChangeRequest) bool { return !w.Now.Before(w.expiry(v)) }

func (w View) expiry(v *permissionv1.PermissionChangeRequest) time.Time {
	return v.GetCreateTime().AsTime().Add(w.Lifetime)
}

// ApprovedUntil returns until when an approval may be sent along: until it or
// its grant ends, and for a grant without an end as long as the handle is good.
// Then the grant speaks for itself.
func (w View) ApprovedUntil(v *permissionv1.PermissionChangeRequest) time.Time {
	if v.GetApproval() != nil {
		return v.GetApprovedUntil().AsTime()
	}
	if end := v.GetProposal().GetExpireTime(); end != nil {
		return end.AsTime()
	}
	return w.expiry(v)
}

// approvedAt returns when the last approver said yes; nil when none has.
func approvedAt(v *permissionv1.PermissionChangeRequest) *timestamppb.Timestamp {
	for _, move := range v.GetHistory() {
		if move.GetTo() == permissionv1.PermissionChangeRequest_STATE_APPROVED {
			return move.GetTime()
		}
	}
	return nil
}

// WasApproved reports whether all approvers of a change request have said yes,
// whatever became of it.
func WasApproved(v *permissionv1.PermissionChangeRequest) bool { return approvedAt(v) != nil }

// Scope returns what a change request asks for; false when it is none that can
// be a task.
func Scope(v *permissionv1.PermissionChangeRequest) (permission, on string, ok bool) {
	if a := v.GetAccess(); a != nil {
		return a.GetPermission(), a.GetResource(), true
	}
	a := v.GetApproval()
	return a.GetPermission(), a.GetResource(), a != nil
}

const collection = "permissionChangeRequests"

var encoding = b64.URL

// ID returns the id of the task that the change request of a name is.
func ID(name string) string {
	parts := strings.Split(name, "/")
	if len(parts) != 6 {
		return ""
	}
	return encoding.EncodeToString([]byte(parts[2] + "/" + parts[3] + "/" + parts[5]))
}

// Name returns the name of the change request that a task of the organisation
// is; false for what is no id of one.
func Name(organization, id string) (string, bool) {
	text, err := encoding.DecodeString(id)
	parts := strings.Split(string(text), "/")
	if err != nil || len(parts) != 3 || !resource.ValidID(parts[1]) || !resource.ValidID(parts[2]) {
		return "", false
	}
	name := strings.Join([]string{organization, parts[0], parts[1], collection, parts[2]}, "/")
	return name, ID(name) == id
}

func stamp(at time.Time) string { return at.UTC().Format(time.RFC3339) }
