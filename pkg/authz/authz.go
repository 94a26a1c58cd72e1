// Package authz decides whether a call may go on, from the rule that its RPC
// declares in the proto (guildhall.options.v1.authorization).
//
// There is one place that asks, the interceptor of pkg/rpc, and it asks before
// the handler or the validation sees the request (AIP-211). A handler has no
// access checks of its own, except to leave out of a list what the caller may
// not see. Which grants exist is the permission service's business: this
// package reads rules off descriptors, keeps tenants apart, and passes the
// question on to a Checker.
package authz

import (
	"context"
	"slices"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/errs"
)

// Request is one question: may the caller do this to all of these?
type Request struct {
	Caller authn.Caller
	// Permission is what the caller wants to do, as in
	// "groupchat.messages.create". Empty asks for the caller's standing: whether
	// it may act at all.
	Permission string
	// Resources are the names it is needed on: at least one, without
	// duplicates; none when there is no permission.
	Resources []string
	// Attributes are what conditions of grants may look at beside what is known
	// of the running call; see Known. Nil is nothing.
	Attributes *permissionv1.Attributes
	// Approval is the second person's approval that the call names.
	Approval Approval
}

// Asked returns the resources that questions are about, one each: "" stands for
// none, in a question about the caller's standing.
func (r Request) Asked() []string {
	if r.Permission == "" && len(r.Resources) == 0 {
		return []string{""}
	}
	return r.Resources
}

// Checker answers from grants. It is safe for concurrent use.
type Checker interface {
	// Check returns yes when the caller may act at all and holds the
	// permission, if one is asked for, on every resource. Otherwise the error
	// is what Refusal returns: Unauthenticated for a caller that may not act,
	// Denied for one that lacks the permission, or a second person's approval.
	// When it cannot know, the error is of another kind (Unavailable,
	// PERMISSION_UNAVAILABLE) and the call does not go on. There is never a yes
	// with an error, nor a no without one.
	Check(ctx context.Context, r Request) (Answer, error)
	// Which answers the same question once for each variant of the request's
	// attributes, all on one state of the grants, in their order: to leave out
	// what the caller may not have, and not because it tries each. The error
	// is one of Check's, but never that the caller lacks the permission. No
	// approval counts: for a single use, it could not be said what for.
	Which(ctx context.Context, r Request, variants []*permissionv1.Attributes) ([]Answer, error)
}

// NewDenied is the answer to a caller who lacks a permission within its own
// organisation.
func NewDenied(permission, resource string) *errs.Error {
	return errs.New(errs.Denied, "PERMISSION_DENIED", "you do not have the permission that this needs",
		errs.Meta("permission", permission), errs.Meta("resource", resource))
}

// Reasons of a refusal whose cause is who calls, whatever the call
// (Unauthenticated): the way out is to log in again.
const (
	ReasonSuspended    = "ACCOUNT_SUSPENDED"
	ReasonSessionEnded = "SESSION_ENDED"
)

// Refusal is the error for an answer that is no: the one place that turns the
// permission service's words into errors.
func Refusal(why permissionv1.Denial, permission, resource string) *errs.Error {
	switch why {
	case permissionv1.Denial_DENIAL_SUBJECT_SUSPENDED:
		return errs.New(errs.Unauthenticated, ReasonSuspended, "the account may not act at the moment; ask who administers it")
	case permissionv1.Denial_DENIAL_SESSION_ENDED:
		return errs.New(errs.Unauthenticated, ReasonSessionEnded, "the session has ended; log in again")
	case permissionv1.Denial_DENIAL_APPROVAL_NEEDED:
		return approvalNeeded(permission, resource)
	default:
		return NewDenied(permission, resource)
	}
}

// Guard applies an RPC's rule to a call.
type Guard struct {
	// Checker answers what the rule alone does not.
	Checker Checker
	// OnDenied, when set, hears of each call that was refused for who made it,
	// before the refusal is returned: the audit log's hook. It must not block.
	OnDenied func(ctx context.Context, r Request, method string)
}

// Authorise returns yes when the caller may make the call on the resources:
// what Rule.Resources reads from the request when Rule.Asks(caller), else none.
// The approval that the context names (WithApproval) counts. The errors: Denied
// for a caller without the permission, or without the approval that it takes,
// Unauthenticated (ACCOUNT_SUSPENDED, SESSION_ENDED) for one that may not act at
// all, NotFound for a resource of another organisation (whether or not it
// exists), and whatever keeps the Checker from knowing.
func (g Guard) Authorise(ctx context.Context, caller authn.Caller, rule *Rule, resources []string) (Answer, error) {
	r := Request{Caller: caller, Permission: rule.Permission, Resources: resources}
	answer, err := g.decide(ctx, rule, r)
	g.tell(ctx, r, rule, err)
	return answer, err
}

// tell passes a refusal on to who keeps it.
func (g Guard) tell(ctx context.Context, r Request, rule *Rule, err error) {
	if g.OnDenied != nil && refused(err) {
		g.OnDenied(ctx, r, rule.Method)
	}
}

// refused reports whether the error is for who made the call. A session that
// has ended is none: it is left over on a device like a token that has expired.
func refused(err error) bool {
	return errs.Is(err, errs.Denied) || errs.Is(err, errs.NotFound) || errs.ReasonOf(err) == ReasonSuspended
}

// Asks reports whether it takes a permission on the request's resource to
// decide about the caller. A sister service needs none, and may send names that
// no caller could, as in the parent "-" for all organisations.
func (r *Rule) Asks(caller authn.Caller) bool {
	return r.Access == ByPermission && caller.Kind() != authn.System
}

func (g Guard) decide(ctx context.Context, rule *Rule, r Request) (Answer, error) {
	if rule.Access == Public {
		return Answer{Allowed: true}, nil
	}
	if r.Caller.Kind() == authn.System {
		// A sister service serves all tenants; what it may do is the list in
		// the RPC's option and nothing else.
		if slices.Contains(rule.Services, r.Caller.Service()) {
			return Answer{Allowed: true}, nil
		}
		return Answer{}, deniedCall(rule)
	}
	r.Approval = ApprovalOf(ctx)
	switch rule.Access {
	case Authenticated:
		return g.Checker.Check(ctx, r)
	case ByPermission:
		if err := sameTenant(rule, r); err != nil {
			return Answer{}, err
		}
		if rule.VariesBy != "" {
			return Answer{}, deniedCall(rule) // it takes a Scope to know
		}
		return g.Checker.Check(ctx, r)
	default:
		return Answer{}, deniedCall(rule)
	}
}

// sameTenant refuses names of other organisations before the permission
// service hears of them, so that no answer and no timing tells whether they
// exist (EV-1).
func sameTenant(rule *Rule, r Request) error {
	if rule.fixed != "" {
		return nil
	}
	own := r.Caller.Organization()
	for _, name := range r.Resources {
		if own == "" || organizationOf(name) != own {
			return errs.NotFoundName("RESOURCE_NOT_FOUND", name)
		}
	}
	return nil
}

func deniedCall(rule *Rule) error {
	return errs.New(errs.Denied, "PERMISSION_DENIED", "this call is not open to you", errs.Meta("method", rule.Method))
}
