// Package policies serves policies as code: export, plan and apply of one
// document with an organisation's roles, resource types, properties and grants.
// What a document changes is package policy's business, what the caller may
// change is package edit's; here the one is asked to do the other.
package policies

import (
	"context"
	"errors"

	"google.golang.org/grpc"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/journal"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/access"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/edit"
	"guildhall.dev/services/permission/internal/policy"
	"guildhall.dev/services/permission/internal/revision"
	"guildhall.dev/services/permission/internal/subject"
)

// policyApplied is the event of a policy that was applied.
const policyApplied = "guildhall.permission.policy.applied.v1"

// Config is what the handlers call. All fields are required.
type Config struct {
	Journal  *journal.Journal
	Policies *policy.Policies
	Edits    *edit.Editor
	Rules    *decide.Rules
	Loader   *decide.Loader
	Lists    *access.Lists
}

// Register registers all services of the package.
func Register(r grpc.ServiceRegistrar, cfg Config) {
	permissionv1.RegisterPolicyServiceServer(r, &policies{cfg})
}

type policies struct{ Config }

// ExportPolicy implements permissionv1.PolicyServiceServer.
func (s *policies) ExportPolicy(ctx context.Context, req *permissionv1.ExportPolicyRequest) (*permissionv1.Policy, error) {
	if err := subject.Organization.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	if id := req.GetPolicyId(); id != "" {
		if err := resource.CheckID("policy_id", id); err != nil {
			return nil, err
		}
	}
	return journal.Read(ctx, s.Journal, func(r kv.Reader) (*permissionv1.Policy, error) {
		return s.Policies.Export(r, req.GetParent(), req.GetPolicyId())
	})
}

// errPlanned ends the transaction of a plan: all of it was made, and is now
// taken back.
var errPlanned = errors.New("planned")

// PlanPolicy implements permissionv1.PolicyServiceServer.
func (s *policies) PlanPolicy(ctx context.Context, req *permissionv1.PlanPolicyRequest) (*permissionv1.PolicyPlan, error) {
	if err := subject.Organization.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	var made *permissionv1.PolicyPlan
	_, err := change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.PolicyPlan, error) {
		head, err := revision.Head(tx, req.GetParent())
		if err != nil {
			return nil, err
		}
		if made, err = s.make(ctx, tx, req.GetParent(), req.GetPolicy(), req.GetPrune(), ""); err != nil {
			return nil, err
		}
		made.Revision = head.Number
		return nil, errPlanned
	})
	if errors.Is(err, errPlanned) {
		return made, nil
	}
	return nil, err
}

// ApplyPolicy implements permissionv1.PolicyServiceServer.
func (s *policies) ApplyPolicy(ctx context.Context, req *permissionv1.ApplyPolicyRequest) (*permissionv1.PolicyPlan, error) {
	parent := req.GetParent()
	if err := subject.Organization.Check("parent", parent); err != nil {
		return nil, err
	}
	applied, err := change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.PolicyPlan, error) {
		made, err := s.make(ctx, tx, parent, req.GetPolicy(), req.GetPrune(), req.GetEtag())
		if err != nil {
			return nil, err
		}
		if err := failed(made); err != nil {
			return nil, err
		}
		head, err := revision.Head(tx, parent)
		if err != nil {
			return nil, err
		}
		made.Revision = head.Number
		if len(made.GetChanges()) == 0 {
			tx.Unchanged()
			return made, nil
		}
		id, err := policy.IDOf(req.GetPolicy())
		tx.Record(change.Change{Resource: parent + "/policies/" + id, Type: policyApplied, Data: &permissionv1.PolicyApplied{
			Revision: head.Number, CreateCount: made.GetCreateCount(), UpdateCount: made.GetUpdateCount(), DeleteCount: made.GetDeleteCount(),
		}})
		return made, err
	})
	s.Journal.KeepRefusal(ctx, parent, err)
	return applied, err
}

// make works out what a document changes, makes the changes in the
// transaction, and asks what the document asserts of the state after them.
func (s *policies) make(ctx context.Context, tx *change.Tx, organization string, d *permissionv1.Policy, prune bool, etag string) (*permissionv1.PolicyPlan, error) {
	p, err := s.Policies.Plan(tx, organization, d, prune)
	if err != nil {
		return nil, err
	}
	out := &permissionv1.PolicyPlan{}
	if out.Etag, err = p.Etag(); err != nil {
		return nil, err
	}
	if etag != "" && etag != out.GetEtag() {
		return nil, errs.New(errs.Conflict, "POLICY_PLAN_OUTDATED", "what this would do has changed since the plan; plan again, then decide",
			errs.Field("etag", "POLICY_PLAN_OUTDATED", "send the etag of a new plan"))
	}
	if err := s.apply(ctx, tx, organization, p); err != nil {
		return nil, err
	}
	if err := s.Policies.Settle(tx, p); err != nil {
		return nil, err
	}
	for _, c := range p.Changes {
		out.Changes = append(out.Changes, c.Proto())
	}
	count(out)
	return out, s.assert(tx, organization, d, out)
}

func count(p *permissionv1.PolicyPlan) {
	for _, c := range p.GetChanges() {
		switch c.GetAction() {
		case permissionv1.PolicyChange_ACTION_CREATE:
			p.CreateCount++
		case permissionv1.PolicyChange_ACTION_UPDATE:
			p.UpdateCount++
		case permissionv1.PolicyChange_ACTION_DELETE:
			p.DeleteCount++
		case permissionv1.PolicyChange_ACTION_ADOPT:
			p.AdoptCount++
		}
	}
}
