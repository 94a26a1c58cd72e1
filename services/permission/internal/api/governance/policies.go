package governance

import (
	"context"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/journal"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/people/policy"
	"guildhall.dev/services/permission/internal/subject"
)

type policies struct{ Config }

// CreateApprovalPolicy implements permissionv1.ApprovalPolicyServiceServer.
func (s *policies) CreateApprovalPolicy(ctx context.Context, req *permissionv1.CreateApprovalPolicyRequest) (*permissionv1.ApprovalPolicy, error) {
	if err := subject.Organization.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.ApprovalPolicy, error) {
		return s.Policies.Create(tx, req.GetParent(), req.GetApprovalPolicyId(), req.GetApprovalPolicy())
	})
}

// GetApprovalPolicy implements permissionv1.ApprovalPolicyServiceServer.
func (s *policies) GetApprovalPolicy(ctx context.Context, req *permissionv1.GetApprovalPolicyRequest) (*permissionv1.ApprovalPolicy, error) {
	if err := policy.Pattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	return journal.Read(ctx, s.Journal, func(r kv.Reader) (*permissionv1.ApprovalPolicy, error) {
		return s.Policies.Get(r, req.GetName())
	})
}

// ListApprovalPolicies implements permissionv1.ApprovalPolicyServiceServer.
func (s *policies) ListApprovalPolicies(ctx context.Context, req *permissionv1.ListApprovalPoliciesRequest) (*permissionv1.ListApprovalPoliciesResponse, error) {
	if err := subject.Organization.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	items, next, err := journal.List(ctx, s.Journal, req, []string{"ListApprovalPolicies", req.GetParent()},
		func(r kv.Reader, after []byte, limit int) ([]*permissionv1.ApprovalPolicy, []byte, error) {
			return s.Policies.List(r, req.GetParent(), after, limit)
		})
	if err != nil {
		return nil, err
	}
	return &permissionv1.ListApprovalPoliciesResponse{ApprovalPolicies: items, NextPageToken: next}, nil
}

// UpdateApprovalPolicy implements permissionv1.ApprovalPolicyServiceServer.
func (s *policies) UpdateApprovalPolicy(ctx context.Context, req *permissionv1.UpdateApprovalPolicyRequest) (*permissionv1.ApprovalPolicy, error) {
	if err := policy.Pattern.Check("approval_policy.name", req.GetApprovalPolicy().GetName()); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.ApprovalPolicy, error) {
		return s.Policies.Update(tx, req.GetApprovalPolicy(), req.GetUpdateMask())
	})
}

// DeleteApprovalPolicy implements permissionv1.ApprovalPolicyServiceServer.
func (s *policies) DeleteApprovalPolicy(ctx context.Context, req *permissionv1.DeleteApprovalPolicyRequest) (*permissionv1.ApprovalPolicy, error) {
	if err := policy.Pattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.ApprovalPolicy, error) {
		return s.Policies.Delete(tx, req.GetName(), req.GetEtag())
	})
}
