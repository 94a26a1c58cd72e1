package authz

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/resource"
)

// ApprovalHeader is the metadata key, and the HTTP header, in which a call
// names the second person's approval that it takes (SeparationRule.two_person).
const ApprovalHeader = "guildhall-approval"

// Reasons about approvals.
const (
	// ReasonApprovalNeeded (Denied): the caller holds the permission, and it
	// takes two people.
	ReasonApprovalNeeded = "APPROVAL_NEEDED"
	// ReasonApprovalInvalid (Invalid): what the header says is no approval's
	// name.
	ReasonApprovalInvalid = "APPROVAL_INVALID"
)

// Approval is the approval that a call names. The zero Approval is none.
type Approval struct {
	// Name is that of the change request, as in
	// "organizations/acme/staff/s1/permissionChangeRequests/r1".
	Name string
	// Call tells this call and its retries from all others of the caller; "" is
	// a call that cannot be sent again. An approval for a single use is used up
	// by one Call.
	Call string
}

type approvalKey struct{}

// WithApproval returns a context whose calls' checks name the approval.
func WithApproval(ctx context.Context, a Approval) context.Context {
	return context.WithValue(ctx, approvalKey{}, a)
}

// ApprovalOf returns the approval that the running call names: for a handler
// that asks for further permissions of its caller.
func ApprovalOf(ctx context.Context) Approval {
	a, _ := ctx.Value(approvalKey{}).(Approval)
	return a
}

const (
	approvalForm   = resource.Pattern("organizations/{organization}/{kind}/{account}/permissionChangeRequests/{request}")
	maxApproval    = 400
	headerOverHTTP = "Guildhall-Approval"
)

// ParseApproval returns the one name that the values of the header hold, or
// Invalid (APPROVAL_INVALID). Whether there is such an approval is not for this
// to say.
func ParseApproval(values []string) (string, error) {
	if len(values) == 1 && len(values[0]) <= maxApproval && approvalForm.Matches(values[0]) {
		return values[0], nil
	}
	return "", errs.New(errs.Invalid, ReasonApprovalInvalid,
		headerOverHTTP+": send the name of one approved change request, as in organizations/acme/staff/s1/permissionChangeRequests/r1",
		errs.Meta("header", headerOverHTTP))
}

func approvalNeeded(permission, resource string) *errs.Error {
	return errs.New(errs.Denied, ReasonApprovalNeeded,
		"this takes a second person's approval, for exactly you, this permission and this resource: file a change request "+
			"of kind approval (CreatePermissionChangeRequest) and, once it is approved, name it in the header "+headerOverHTTP,
		errs.Meta("permission", permission), errs.Meta("resource", resource), errs.Meta("header", headerOverHTTP))
}

// Use uses an approval up, as PermissionChangeRequestService.UseApproval does.
// Its errors of kind NotFound, Precondition, Invalid and Unimplemented say that
// it cannot be.
type Use func(ctx context.Context, req *permissionv1.UseApprovalRequest) error

// Settle is the end of a check, for those who implement Checker: nil when all
// answers are yes, else the Refusal of the first that is not. Answers that are
// a plain yes may be left out. An approval for a single use is used up before
// the call goes on, and only when nothing else refuses it. One that this very
// call has used before counts again: who lost an answer sends the call anew.
func (r Request) Settle(ctx context.Context, answers []Answer, use Use) error {
	var involved []Answer
	for _, a := range answers {
		if a.involved() {
			involved = append(involved, a)
		}
	}
	for _, a := range answers {
		// An approval is for one resource: of two that need one, the second
		// will be refused anyway.
		retried := a.involved() && len(involved) == 1 && r.Approval.Name != "" && r.Approval.Call != ""
		if !a.Allowed && !retried {
			return Refusal(a.Denial, r.Permission, a.Resource)
		}
	}
	for _, a := range involved {
		if err := r.use(ctx, a.Resource, use); err != nil {
			return err
		}
	}
	return nil
}

func (r Request) use(ctx context.Context, on string, use Use) error {
	err := use(ctx, &permissionv1.UseApprovalRequest{
		Parent: r.Caller.Organization(), Approval: r.Approval.Name, Subject: r.Caller.Name,
		Permission: r.Permission, Resource: on, RequestId: r.useID(on),
	})
	switch {
	case err == nil:
		return nil
	case errs.Is(err, errs.NotFound), errs.Is(err, errs.Precondition), errs.Is(err, errs.Invalid), errs.Is(err, errs.Unimplemented):
		return Refusal(permissionv1.Denial_DENIAL_APPROVAL_NEEDED, r.Permission, on)
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		return unknowable(err)
	}
}

// useID names this use: the same for the same call.
func (r Request) useID(on string) string {
	if r.Approval.Call == "" {
		return resource.NewID()
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{r.Approval.Call, r.Caller.Name, r.Approval.Name, r.Permission, on}, "\x00")))
	return hex.EncodeToString(sum[:])
}
