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
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/fieldmask"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/role"
	"guildhall.dev/services/permission/internal/subject"
)

// Pattern is the form of the names of policies.
const Pattern = resource.Pattern("organizations/{organization}/approvalPolicies/{policy}")

// DefaultStage is how long a request may stay in a stage without a policy that
// says otherwise.
const DefaultStage = 7 * 24 * time.Hour

// Types of the events of policies.
const (
	created = "guildhall.permission.approval_policy.created.v1"
	updated = "guildhall.permission.approval_policy.updated.v1"
	deleted = "guildhall.permission.approval_policy.deleted.v1"
)

// byRole finds the policy of a role; "" is the role of the organisation's.
const byRole = "role"

// Policies keeps approval policies. It is safe for concurrent use.
//
//	approval_policies        organisation, id -> ApprovalPolicy (without etag)
//	approval_policies__role  organisation, role; unique
type Policies struct {
	roles *role.Roles
	table *kv.Table[*permissionv1.ApprovalPolicy]
}

// New returns the policies that the store holds.
func New(roles *role.Roles) *Policies {
	return &Policies{roles: roles, table: kv.NewTable(kv.TableConfig[*permissionv1.ApprovalPolicy]{
		Name: "approval_policies", Key: func(p *permissionv1.ApprovalPolicy) kv.Key { return keyOf(p.GetName()) },
		NotFound: "APPROVAL_POLICY_NOT_FOUND", Exists: "APPROVAL_POLICY_EXISTS",
		Indexes: []kv.Index[*permissionv1.ApprovalPolicy]{{
			Name: byRole, Unique: true, Field: "approval_policy.role", Keys: func(p *permissionv1.ApprovalPolicy) []kv.Key {
				return []kv.Key{{kv.String(resource.Parent(p.GetName())), kv.String(p.GetRole())}}
			},
		}},
	})}
}

// Tables returns the raw tables of this package, for kv.Options.
func (s *Policies) Tables() []string { return s.table.Tables() }

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
		rec, found, err := s.table.FindBy(r, byRole, kv.Key{kv.String(organization), kv.String(name)})
		if err != nil {
			return nil, err
		}
		if found {
			p = proto.CloneOf(rec.Value)
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
	id, err := tx.IDOr("approval_policy_id", id)
	if err != nil {
		return nil, err
	}
	p := proto.CloneOf(in)
	p.Name, p.Etag = parent+"/approvalPolicies/"+id, ""
	p.CreateTime, p.UpdateTime = timestamppb.New(tx.Time), timestamppb.New(tx.Time)
	if err := s.check(tx, parent, p); err != nil {
		return nil, err
	}
	rec, err := s.table.Create(tx, p)
	if err != nil {
		return nil, err
	}
	record(tx, created, nil, p)
	return shown(rec), nil
}

// check refuses a policy for a role that is not there, or with approvers that
// nobody is.
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
	return nil
}

// Get returns a policy, or NotFound (APPROVAL_POLICY_NOT_FOUND).
func (s *Policies) Get(r kv.Reader, name string) (*permissionv1.ApprovalPolicy, error) {
	rec, err := s.table.Get(r, keyOf(name))
	if err != nil {
		return nil, err
	}
	return shown(rec), nil
}

// List returns a page of an organisation's policies, by name, and where the
// next one starts, nil at the end.
func (s *Policies) List(r kv.Reader, organization string, after []byte, limit int) ([]*permissionv1.ApprovalPolicy, []byte, error) {
	page, err := s.table.List(r, kv.Query{Prefix: kv.Key{kv.String(organization)}, After: after, Limit: limit})
	if err != nil {
		return nil, nil, err
	}
	out := make([]*permissionv1.ApprovalPolicy, len(page.Records))
	for i, rec := range page.Records {
		out[i] = shown(rec)
	}
	return out, page.Next, nil
}

// mutable are the fields that Update changes.
func mutable() []string {
	return []string{
		"approvals_needed", "approvers", "separate_verifier", "identity_by_session", "apply_on_approval",
		"verify_within", "approve_within", "apply_within", "support",
	}
}

// Update changes the masked fields of a policy. Errors are NotFound
// (APPROVAL_POLICY_NOT_FOUND), Conflict (ETAG_MISMATCH) and Invalid
// (UPDATE_MASK_INVALID, APPROVER_INVALID).
func (s *Policies) Update(tx *change.Tx, in *permissionv1.ApprovalPolicy, mask []string) (*permissionv1.ApprovalPolicy, error) {
	old, err := s.table.Get(tx, keyOf(in.GetName()))
	if err != nil {
		return nil, err
	}
	p := proto.CloneOf(old.Value)
	fields := p.ProtoReflect().Descriptor().Fields()
	for _, path := range mask {
		for i := range fields.Len() {
			fd := fields.Get(i)
			switch {
			case string(fd.Name()) != path:
			case in.ProtoReflect().Has(fd):
				p.ProtoReflect().Set(fd, in.ProtoReflect().Get(fd))
			default:
				p.ProtoReflect().Clear(fd)
			}
		}
	}
	p.UpdateTime = timestamppb.New(tx.Time)
	if err := s.check(tx, resource.Parent(p.GetName()), p); err != nil {
		return nil, err
	}
	rec, err := s.table.Update(tx, p, in.GetEtag())
	if err != nil {
		return nil, err
	}
	record(tx, updated, old.Value, p)
	return shown(rec), nil
}

// Mask reads the update mask of a request; see fieldmask.Paths.
func Mask(req *permissionv1.UpdateApprovalPolicyRequest) ([]string, error) {
	return fieldmask.Paths(req.GetUpdateMask(), req.GetApprovalPolicy(), mutable()...)
}

// Delete removes a policy. Errors are NotFound (APPROVAL_POLICY_NOT_FOUND) and
// Conflict (ETAG_MISMATCH).
func (s *Policies) Delete(tx *change.Tx, name, etag string) (*permissionv1.ApprovalPolicy, error) {
	rec, err := s.table.Delete(tx, keyOf(name), etag)
	if err != nil {
		return nil, err
	}
	record(tx, deleted, rec.Value, nil)
	return shown(rec), nil
}

func record(tx *change.Tx, kind string, old, now *permissionv1.ApprovalPolicy) {
	p := now
	if p == nil {
		p = old
	}
	c := change.Change{Resource: p.GetName(), Type: kind, Data: &permissionv1.ApprovalPolicyChanged{Role: p.GetRole()}}
	if now != nil {
		c.ChangedFields = changed(old, now)
	}
	tx.Record(c)
}

// changed keeps a nil message from becoming an interface that is not.
func changed(old, now *permissionv1.ApprovalPolicy) []string {
	if old == nil {
		return change.ChangedFields(nil, now)
	}
	return change.ChangedFields(old, now)
}

func keyOf(name string) kv.Key {
	return kv.Key{kv.String(resource.Parent(name)), kv.String(name[strings.LastIndexByte(name, '/')+1:])}
}

func shown(rec kv.Record[*permissionv1.ApprovalPolicy]) *permissionv1.ApprovalPolicy {
	p := proto.CloneOf(rec.Value)
	p.Etag = rec.Etag
	slices.Sort(p.Approvers)
	return p
}
