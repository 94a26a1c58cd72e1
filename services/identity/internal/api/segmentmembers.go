package api

import (
	"context"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/segment"
)

// CreateSegmentMember adds a customer to a fixed list of its organisation.
func (s segments) CreateSegmentMember(ctx context.Context, req *identityv1.CreateSegmentMemberRequest) (*identityv1.SegmentMember, error) {
	if _, err := segment.Pattern.Parse("parent", req.GetParent()); err != nil {
		return nil, err
	}
	name := req.GetSegmentMember().GetCustomer()
	if _, err := account.CustomerPattern.Parse("segment_member.customer", name); err != nil {
		return nil, err
	}
	if resource.Parent(name) != resource.Parent(req.GetParent()) {
		return nil, errs.NotFoundName("CUSTOMER_NOT_FOUND", name)
	}
	// A member holds what the segment does.
	if err := s.Covers(ctx, req.GetParent()); err != nil {
		return nil, err
	}
	added, err := change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.SegmentMember, error) {
		if _, err := s.Segments.Get(tx, req.GetParent()); err != nil {
			return nil, err
		}
		if err := s.Accounts.CheckThere(tx, name); err != nil {
			return nil, err
		}
		return s.Segments.AddMember(tx, req.GetParent(), name)
	})
	return Heard(ctx, s.Centres, added, err)
}

// ListSegmentMembers returns a page of members, by customer.
func (s segments) ListSegmentMembers(ctx context.Context, req *identityv1.ListSegmentMembersRequest) (*identityv1.ListSegmentMembersResponse, error) {
	if _, err := segment.Pattern.Parse("parent", req.GetParent()); err != nil {
		return nil, err
	}
	found, next, err := PageOf(ctx, s.Centres, req, "ListSegmentMembers", func(r kv.Reader, after []byte, limit int) ([]*identityv1.SegmentMember, []byte, error) {
		return s.Segments.Members(r, req.GetParent(), after, limit)
	})
	return &identityv1.ListSegmentMembersResponse{SegmentMembers: found, NextPageToken: next}, err
}

// DeleteSegmentMember takes a customer off a fixed list.
func (s segments) DeleteSegmentMember(ctx context.Context, req *identityv1.DeleteSegmentMemberRequest) (*identityv1.SegmentMember, error) {
	if _, err := segment.MemberPattern.Parse("name", req.GetName()); err != nil {
		return nil, err
	}
	if err := s.frees(ctx, resource.Parent(req.GetName())); err != nil {
		return nil, err
	}
	removed, err := change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.SegmentMember, error) {
		return s.Segments.RemoveMember(tx, req.GetName())
	})
	return Heard(ctx, s.Centres, removed, err)
}

// ListSegmentMembershipChanges returns a page of who joined and left.
func (s segments) ListSegmentMembershipChanges(ctx context.Context, req *identityv1.ListSegmentMembershipChangesRequest) (*identityv1.ListSegmentMembershipChangesResponse, error) {
	if _, err := segment.Pattern.Parse("parent", req.GetParent()); err != nil {
		return nil, err
	}
	if c := req.GetCustomer(); c != "" {
		if _, err := account.CustomerPattern.Parse("customer", c); err != nil {
			return nil, err
		}
	}
	found, next, err := PageOf(ctx, s.Centres, req, "ListSegmentMembershipChanges", func(r kv.Reader, after []byte, limit int) ([]*identityv1.SegmentMembershipChange, []byte, error) {
		return s.Segments.Moves(r, req.GetParent(), req.GetCustomer(), after, limit)
	}, req.GetCustomer())
	return &identityv1.ListSegmentMembershipChangesResponse{SegmentMembershipChanges: found, NextPageToken: next}, err
}

// ListSegmentMemberships returns a page of the segments that a customer is in.
func (s segments) ListSegmentMemberships(ctx context.Context, req *identityv1.ListSegmentMembershipsRequest) (*identityv1.ListSegmentMembershipsResponse, error) {
	if _, err := account.CustomerPattern.Parse("parent", req.GetParent()); err != nil {
		return nil, err
	}
	found, next, err := PageOf(ctx, s.Centres, req, "ListSegmentMemberships", func(r kv.Reader, after []byte, limit int) ([]*identityv1.SegmentMember, []byte, error) {
		if _, err := s.Accounts.Get(r, req.GetParent()); err != nil {
			return nil, nil, err
		}
		return s.Segments.Memberships(r, req.GetParent(), after, limit)
	})
	return &identityv1.ListSegmentMembershipsResponse{SegmentMemberships: found, NextPageToken: next}, err
}

// ExplainSegmentMembership says why a customer is in a segment, or is not.
func (s segments) ExplainSegmentMembership(ctx context.Context, req *identityv1.ExplainSegmentMembershipRequest) (*identityv1.ExplainSegmentMembershipResponse, error) {
	if _, err := account.CustomerPattern.Parse("parent", req.GetParent()); err != nil {
		return nil, err
	}
	if _, err := segment.Pattern.Parse("segment", req.GetSegment()); err != nil {
		return nil, err
	}
	if resource.Parent(req.GetSegment()) != resource.Parent(req.GetParent()) {
		return nil, errs.NotFoundName("SEGMENT_NOT_FOUND", req.GetSegment())
	}
	return Read(ctx, s.Centres, func(r kv.Reader) (*identityv1.ExplainSegmentMembershipResponse, error) {
		rec, err := s.Accounts.Get(r, req.GetParent())
		if err != nil {
			return nil, err
		}
		return s.Segments.Explain(r, req.GetSegment(), rec.Value, s.Clock())
	})
}
