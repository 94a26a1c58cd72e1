// Package request holds the rules of permission change requests: from
// somebody's wish to the grant that its subject was told of.
//
//	               verifyIdentity                 approve, n times
//	SUBMITTED ----------------> IDENTITY_VERIFIED ----------------> APPROVED
//	APPROVED --apply--> APPLIED --(in one transaction)--> NOTIFIED
//	NOTIFIED --acknowledge, by the subject--> ACKNOWLEDGED
//
//	SUBMITTED, IDENTITY_VERIFIED           --reject-->   REJECTED
//	SUBMITTED, IDENTITY_VERIFIED, APPROVED --withdraw--> WITHDRAWN
//	SUBMITTED, IDENTITY_VERIFIED, APPROVED --cancel-->   CANCELLED
//	SUBMITTED, IDENTITY_VERIFIED, APPROVED --deadline--> EXPIRED
//
// A request of kind APPROVAL gives no grant. It is in force while it is
// APPROVED, until its time is over (EXPIRED) or, if it is for a single use,
// until it is used (APPLIED).
//
// Nobody decides about themselves: who verifies, approves, or asks, are
// different people, and an approver gives only what he holds. What an approver
// said counts at the moment the grant is made: Apply asks everything again in
// the transaction that makes it. The grant, the notice that explains it to its
// subject, and the request's state change together or not at all, so that a
// crash leaves nobody with a permission they were never told of.
//
// The package knows no gRPC, sends nothing to anybody, and does not decide who
// may call: that is the RPCs' option.
package request

import (
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/people/notice"
	"guildhall.dev/services/permission/internal/people/policy"
	"guildhall.dev/services/permission/internal/people/shelf"
	"guildhall.dev/services/permission/internal/role"
	"guildhall.dev/services/permission/internal/subject"
)

// Permissions that an approver needs besides what he gives: those of the RPCs
// that would do the same by hand.
const (
	createGrants = "permission.grants.create"
	deleteGrants = "permission.grants.delete"
)

// service is who acts when nobody does.
const service = "services/permission"

// Short names of the states.
const (
	submitted    = permissionv1.PermissionChangeRequest_STATE_SUBMITTED
	verified     = permissionv1.PermissionChangeRequest_STATE_IDENTITY_VERIFIED
	approved     = permissionv1.PermissionChangeRequest_STATE_APPROVED
	applied      = permissionv1.PermissionChangeRequest_STATE_APPLIED
	notified     = permissionv1.PermissionChangeRequest_STATE_NOTIFIED
	acknowledged = permissionv1.PermissionChangeRequest_STATE_ACKNOWLEDGED
	rejected     = permissionv1.PermissionChangeRequest_STATE_REJECTED
	withdrawn    = permissionv1.PermissionChangeRequest_STATE_WITHDRAWN
	expired      = permissionv1.PermissionChangeRequest_STATE_EXPIRED
	cancelled    = permissionv1.PermissionChangeRequest_STATE_CANCELLED
)

// Config is what requests need of the service, all of it.
type Config struct {
	Roles    *role.Roles
	Grants   *grant.Grants
	Subjects *subject.Subjects
	Policies *policy.Policies
	Notices  *notice.Notices
	MayGive  MayGive
}

// MayGive is the rule of CreateGrant: Denied (GRANT_EXCEEDS_CALLER) unless the
// caller holds each permission on the resource until the Unix second given; 0
// is for good.
type MayGive func(tx *change.Tx, by authn.Caller, resource string, permissions []string, expires int64) error

// Requests keeps change requests. It is safe for concurrent use.
type Requests struct {
	Config
	shelf *shelf.Shelf[*permissionv1.PermissionChangeRequest]
}

// Create files a request of the account parent. Errors are Exists
// (CHANGE_REQUEST_EXISTS), Invalid (CHANGE_REQUIRED, PERMISSION_UNKNOWN,
// EXPIRE_TIME_PAST, RESOURCE_NAME_INVALID and those of grant.Check), NotFound (ROLE_NOT_FOUND,
// GRANT_NOT_FOUND) and Precondition (GRANT_MANAGED).
func (s *Requests) Create(tx *change.Tx, by authn.Caller, parent, id string, in *permissionv1.PermissionChangeRequest) (*permissionv1.PermissionChangeRequest, error) {
	if !subject.IsAccount(parent) {
		return nil, errs.InvalidField("parent", resource.Reason, "name the account that asks, as in organizations/acme/staff/s1")
	}
	id, err := tx.IDOr("permission_change_request_id", id)
	if err != nil {
		return nil, err
	}
	var m mover
	first := func(*permissionv1.PermissionChangeRequest) proto.Message { return m.data(m.moves[0]) }
	made, err := s.shelf.With(first).Create(tx, parent, id, in, func(v *permissionv1.PermissionChangeRequest) error {
		v.Creator = by.Name
		if err := s.complete(tx, parent, v); err != nil {
			return under(err)
		}
		p, err := s.policyOf(tx, v)
		if err != nil {
			return err
		}
		v.ApprovalsNeeded = p.GetApprovalsNeeded()
		m = mover{tx: tx, v: v, policy: p}
		m.to(by.Name, submitted, "")
		if p.GetIdentityBySession() && by.Name == parent && by.Session != "" {
			v.Identity = &permissionv1.IdentityProof{
				Verifier: service, Method: permissionv1.IdentityProof_METHOD_SESSION, Time: timestamppb.New(tx.Time),
			}
			m.to(service, verified, "")
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	m.record(m.moves[1:])
	return made, nil
}

// complete fills in the subject, and refuses what can never be carried out.
func (s *Requests) complete(r kv.Reader, requester string, v *permissionv1.PermissionChangeRequest) error {
	at := v.GetCreateTime().AsTime()
	if v.GetRevoke() != "" {
		return s.completeRevoke(r, requester, v)
	}
	if v.GetSubject() == "" {
		v.Subject = requester
	}
	switch change := v.GetChange().(type) {
	case *permissionv1.PermissionChangeRequest_Grant:
		return s.Grants.Check(r, at, grantFor(v, change.Grant, ""))
	case *permissionv1.PermissionChangeRequest_Access:
		if err := checkUntil(v, "access.until"); err != nil {
			return err
		}
		return s.checkQuestion(r, v, "access", change.Access.GetPermission(), change.Access.GetResource())
	case *permissionv1.PermissionChangeRequest_Approval:
		if !subject.IsAccount(v.GetSubject()) {
			return errs.InvalidField("grant.subject", "SUBJECT_INVALID", "an approval is for one account")
		}
		if err := checkUntil(v, "approval.until"); err != nil {
			return err
		}
		return s.checkQuestion(r, v, "approval", change.Approval.GetPermission(), change.Approval.GetResource())
	default:
		return errs.InvalidField("grant", "CHANGE_REQUIRED", "say what is asked for: grant, revoke, access or approval")
	}
}

// completeRevoke takes the subject from the grant. Who asks for the end of
// somebody else's grant has to name whose it is, and learns nothing by a name
// that is wrong.
func (s *Requests) completeRevoke(r kv.Reader, requester string, v *permissionv1.PermissionChangeRequest) error {
	missing := errs.NotFoundName("GRANT_NOT_FOUND", v.GetRevoke())
	if !grant.Pattern.Matches(v.GetRevoke()) || resource.Parent(v.GetRevoke()) != organizationOf(v.GetName()) {
		return missing
	}
	g, err := s.Grants.Get(r, v.GetRevoke())
	if errs.Is(err, errs.NotFound) {
		return missing
	}
	if err != nil {
		return err
	}
	if named := v.GetSubject(); named != g.GetSubject() && (named != "" || requester != g.GetSubject()) {
		return missing
	}
	if g.GetManagedBy() != "" {
		return errs.New(errs.Precondition, "GRANT_MANAGED", "a service keeps this grant; change the resource it is on instead",
			errs.Meta("managed_by", g.GetManagedBy()))
	}
	v.Subject = g.GetSubject()
	return nil
}

// checkQuestion refuses a permission that nobody knows and a subject or a
// resource that no grant could name.
func (s *Requests) checkQuestion(r kv.Reader, v *permissionv1.PermissionChangeRequest, field, permission, on string) error {
	if known, err := s.declares(r, organizationOf(v.GetName()), permission); err != nil || !known {
		if err != nil {
			return err
		}
		return errs.InvalidField(field+".permission", "PERMISSION_UNKNOWN", "name a permission of ListPermissions")
	}
	return s.Grants.CheckTarget(r, organizationOf(v.GetName()), v.GetSubject(), on)
}

// declares reports whether the suite, or a resource type of the organisation,
// declares the permission.
func (s *Requests) declares(r kv.Reader, organization, permission string) (bool, error) {
	p, known := s.Roles.Catalogue().Lookup(permission)
	if !known || !p.IsCustom() {
		return known, nil
	}
	set, err := s.Roles.Set(r, role.Declared(organization))
	return set.Has(p), err
}

// grantFor returns the grant that gives the request's subject what is wanted.
func grantFor(v *permissionv1.PermissionChangeRequest, w *permissionv1.WantedGrant, id string) *permissionv1.Grant {
	return &permissionv1.Grant{
		Name: organizationOf(v.GetName()) + "/grants/" + id, Subject: v.GetSubject(),
		Role: w.GetRole(), Resource: w.GetResource(), ExpireTime: w.GetExpireTime(), Condition: w.GetCondition(),
		Reason: v.GetName(),
	}
}

// wanted returns the grant that the request is about to make; nil for one that
// makes none, or of which nobody has said yet which.
func wanted(v *permissionv1.PermissionChangeRequest) *permissionv1.WantedGrant {
	if g := v.GetGrant(); g != nil {
		return g
	}
	return v.GetProposal()
}

// policyOf returns the policy that the request is under.
func (s *Requests) policyOf(r kv.Reader, v *permissionv1.PermissionChangeRequest) (*permissionv1.ApprovalPolicy, error) {
	roleName := wanted(v).GetRole()
	if v.GetRevoke() != "" {
		g, err := s.Grants.Get(r, v.GetRevoke())
		if err != nil && !errs.Is(err, errs.NotFound) {
			return nil, err
		}
		roleName = g.GetRole()
	}
	return s.Policies.For(r, organizationOf(v.GetName()), roleName)
}

// under moves the fields of an error, which are those of a grant, to where they
// are in the request.
func under(err error) error {
	e := errs.From(err)
	if len(e.Violations) == 0 {
		return err
	}
	for i := range e.Violations {
		field := &e.Violations[i].Field
		if *field == "grant.subject" {
			*field = "subject"
		}
		*field = "permission_change_request." + *field
	}
	return err
}

// Requester returns the account whose request the name is of.
func Requester(name string) string { return resource.Parent(name) }

func organizationOf(name string) string { return subject.OrganizationOf(name) }

// Word returns a state as events and filters spell it.
func Word(state permissionv1.PermissionChangeRequest_State) string {
	return strings.TrimPrefix(state.String(), "STATE_")
}

// ApprovalsOf returns an account's approvals in force, as what is approved, for
// the checks that want one.
func (s *Requests) ApprovalsOf(r kv.Reader, account string) ([]decide.Hold, error) {
	var holds []decide.Hold
	q := kv.Query{Index: byList, Prefix: kv.Key{kv.String(organizationOf(account)), kv.String(account), kv.String(Word(approved))}}
	for rec, err := range s.shelf.Scan(r, q) {
		if err != nil {
			return nil, err
		}
		if a := rec.Value.GetApproval(); a != nil {
			hold := decide.Hold{
				Resource: a.GetResource(), Role: a.GetPermission(), Grant: rec.Value.GetName(),
				Expires: rec.Value.GetApprovedUntil().GetSeconds(),
			}
			if a.GetSingleUse() {
				hold.Condition = decide.SingleUse
			}
			holds = append(holds, hold)
		}
	}
	return holds, nil
}
