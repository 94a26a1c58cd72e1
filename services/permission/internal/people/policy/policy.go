// Package policy keeps approval policies: how many people, and whom, it takes
// to approve a change request, and how long each stage may take.
//
// A policy is for one role, or for whatever has none of its own. A policy has
// no states: it is looked up when a request moves, so that what an
// organisation decides today counts for requests that are under way too. What
// a request may do is package request's business.
package policy

import (
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/people/shelf"
	"guildhall.dev/services/permission/internal/role"
	"guildhall.dev/services/permission/internal/subject"
)

// Pattern is the form of the names of policies.
const Pattern = resource.Pattern("organizations/{organization}/approvalPolicies/{policy}")

// DefaultStage is how long a request may stay in a stage without a policy that
// says otherwise.
const DefaultStage = 7 * 24 * time.Hour

// byRole finds the policy of a role; "" is the role of the organisation's.
const byRole = "role"

// Policies keeps approval policies. It is safe for concurrent use.
//
//	approval_policies        organisation, id -> ApprovalPolicy (without etag)
//	approval_policies__role  organisation, role; unique
type Policies struct {
	roles *role.Roles
	shelf *shelf.Shelf[*permissionv1.ApprovalPolicy]
}

// New returns the policies that the store holds.
func New(roles *role.Roles) *Policies {
	return &Policies{roles: roles, shelf: shelf.New(shelf.Config[*permissionv1.ApprovalPolicy]{
		Noun: "approval_policy", Table: "approval_policies", Names: []resource.Pattern{Pattern},
		Indexes: []kv.Index[*permissionv1.ApprovalPolicy]{{
			Name: byRole, Unique: true, Field: "approval_policy.role", Keys: func(p *permissionv1.ApprovalPolicy) []kv.Key {
				return []kv.Key{{kv.String(resource.Parent(p.GetName())), kv.String(p.GetRole())}}
			},
		}},
		Mutable: []string{
			"approvals_needed", "approvers", "separate_verifier", "identity_by_session", "apply_on_approval",
			"verify_within", "approve_within", "apply_within", "support",
		},
		Data: func(p *permissionv1.ApprovalPolicy) proto.Message {
			return &permissionv1.ApprovalPolicyChanged{Role: p.GetRole()}
		},
	})}
}

// Tables returns the raw tables of this package, for kv.Options.
func (s *Policies) Tables() []string { return s.shelf.Tables() }

// For returns the policy for requests about the role, "" for those that name
// none: its own, that of the organisation, or the default. It is never nil, and
// has its numbers and durations filled in.
func (s *Policies) For(r kv.Reader, organization, roleName string) (*permissionv1.ApprovalPolicy, error) {
	tries := []string{roleName, ""}
	if roleName == "" {
		tries = tries[1:]
	}
	p := &permissionv1.ApprovalPolicy{}
	for _, name := range tries {
		its, found, err := s.shelf.Lookup(r, byRole, kv.Key{kv.String(organization), kv.String(name)})
		if err != nil {
			return nil, err
		}
		if found {
			p = its
			break
		}
	}
	p.ApprovalsNeeded = max(p.GetApprovalsNeeded(), 1)
	for _, d := range []**durationpb.Duration{&p.VerifyWithin, &p.ApproveWithin, &p.ApplyWithin} {
		if *d == nil {
			*d = durationpb.New(DefaultStage)
		}
	}
	return p, nil
}

// Create stores a policy. Errors are Exists (APPROVAL_POLICY_EXISTS), NotFound
// (ROLE_NOT_FOUND) and Invalid (APPROVER_INVALID).
func (s *Policies) Create(tx *change.Tx, parent, id string, in *permissionv1.ApprovalPolicy) (*permissionv1.ApprovalPolicy, error) {
	return s.shelf.Create(tx, parent, id, in, func(p *permissionv1.ApprovalPolicy) error { return s.check(tx, parent, p) })
}

// check refuses a policy for a role that is not there, or with approvers that
// nobody is, and puts these in order.
func (s *Policies) check(r kv.Reader, organization string, p *permissionv1.ApprovalPolicy) error {
	if name := p.GetRole(); name != "" {
		_, err := s.roles.Get(r, name)
		foreign := !role.IsBuiltIn(name) && role.OrganizationOf(name) != organization
		if errs.Is(err, errs.NotFound) || err == nil && foreign {
			return errs.New(errs.NotFound, "ROLE_NOT_FOUND", "there is no such role; see ListRoles",
				errs.Field("approval_policy.role", "ROLE_NOT_FOUND", "name a role of ListRoles"))
		}
		if err != nil {
			return err
		}
	}
	for _, name := range p.GetApprovers() {
		if !subject.IsAccount(name) && !subject.IsTeam(name) || subject.OrganizationOf(name) != organization {
			return errs.InvalidField("approval_policy.approvers", "APPROVER_INVALID", "name accounts and teams of the organisation")
		}
	}
	slices.Sort(p.Approvers)
	return nil
}

// Get returns a policy, or NotFound (APPROVAL_POLICY_NOT_FOUND).
func (s *Policies) Get(r kv.Reader, name string) (*permissionv1.ApprovalPolicy, error) {
	return s.shelf.Get(r, name)
}

// List returns a page of an organisation's policies, by name, and where the
// next one starts, nil at the end.
func (s *Policies) List(r kv.Reader, organization string, after []byte, limit int) ([]*permissionv1.ApprovalPolicy, []byte, error) {
	return s.shelf.List(r, shelf.Page(shelf.Below(organization), after, limit))
}

// Update changes the masked fields of a policy. Errors are NotFound
// (APPROVAL_POLICY_NOT_FOUND), Conflict (ETAG_MISMATCH) and Invalid
// (UPDATE_MASK_INVALID, APPROVER_INVALID).
func (s *Policies) Update(tx *change.Tx, in *permissionv1.ApprovalPolicy, mask *fieldmaskpb.FieldMask) (*permissionv1.ApprovalPolicy, error) {
	return s.shelf.Update(tx, in, mask, func(_, now *permissionv1.ApprovalPolicy) error {
		return s.check(tx, resource.Parent(now.GetName()), now)
	})
}

// Delete removes a policy. Errors are NotFound (APPROVAL_POLICY_NOT_FOUND) and
// Conflict (ETAG_MISMATCH).
func (s *Policies) Delete(tx *change.Tx, name, etag string) (*permissionv1.ApprovalPolicy, error) {
	return s.shelf.Delete(tx, name, etag, nil)
}
