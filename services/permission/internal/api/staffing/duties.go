package staffing

import (
	"context"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/journal"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/people/duty"
	"guildhall.dev/services/permission/internal/subject"
)

// duties implements permissionv1.DutyProfileServiceServer.
type duties struct{ Config }

func (s duties) CreateDutyProfile(ctx context.Context, req *permissionv1.CreateDutyProfileRequest) (*permissionv1.DutyProfile, error) {
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.DutyProfile, error) {
		return s.Duties.CreateProfile(tx, req.GetParent(), req.GetDutyProfileId(), req.GetDutyProfile())
	})
}

func (s duties) GetDutyProfile(ctx context.Context, req *permissionv1.GetDutyProfileRequest) (*permissionv1.DutyProfile, error) {
	return journal.Read(ctx, s.Journal, func(r kv.Reader) (*permissionv1.DutyProfile, error) {
		return s.Duties.GetProfile(r, req.GetName())
	})
}

func (s duties) ListDutyProfiles(ctx context.Context, req *permissionv1.ListDutyProfilesRequest) (*permissionv1.ListDutyProfilesResponse, error) {
	found, next, err := journal.List(ctx, s.Journal, req, []string{"ListDutyProfiles", req.GetParent()}, func(r kv.Reader, after []byte, limit int) ([]*permissionv1.DutyProfile, []byte, error) {
		return s.Duties.ListProfiles(r, req.GetParent(), after, limit)
	})
	if err != nil {
		return nil, err
	}
	return &permissionv1.ListDutyProfilesResponse{DutyProfiles: found, NextPageToken: next}, nil
}

func (s duties) UpdateDutyProfile(ctx context.Context, req *permissionv1.UpdateDutyProfileRequest) (*permissionv1.DutyProfile, error) {
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.DutyProfile, error) {
		return s.Duties.UpdateProfile(tx, req.GetDutyProfile(), req.GetUpdateMask())
	})
}

func (s duties) DeleteDutyProfile(ctx context.Context, req *permissionv1.DeleteDutyProfileRequest) (*permissionv1.DutyProfile, error) {
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.DutyProfile, error) {
		return s.Duties.DeleteProfile(tx, req.GetName(), req.GetEtag())
	})
}

func (s duties) AssignDuty(ctx context.Context, req *permissionv1.AssignDutyRequest) (*permissionv1.DutyAssignment, error) {
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.DutyAssignment, error) {
		return s.Duties.Assign(tx, req.GetParent(), req.GetDutyAssignmentId(), authn.CallerOf(ctx).Name, req.GetDutyAssignment())
	})
}

func (s duties) GetDutyAssignment(ctx context.Context, req *permissionv1.GetDutyAssignmentRequest) (*permissionv1.DutyAssignment, error) {
	return journal.Read(ctx, s.Journal, func(r kv.Reader) (*permissionv1.DutyAssignment, error) {
		return s.Duties.GetAssignment(r, req.GetName())
	})
}

func (s duties) ListDutyAssignments(ctx context.Context, req *permissionv1.ListDutyAssignmentsRequest) (*permissionv1.ListDutyAssignmentsResponse, error) {
	field, value, err := only(req.GetFilter(), "subject", "duty_profile")
	if err != nil {
		return nil, err
	}
	var f duty.Filter
	switch field {
	case "subject":
		f.Subject = value
	case "duty_profile":
		f.Profile = value
	}
	found, next, err := journal.List(ctx, s.Journal, req, []string{"ListDutyAssignments", req.GetParent(), req.GetFilter()}, func(r kv.Reader, after []byte, limit int) ([]*permissionv1.DutyAssignment, []byte, error) {
		return s.Duties.ListAssignments(r, req.GetParent(), f, after, limit)
	})
	if err != nil {
		return nil, err
	}
	return &permissionv1.ListDutyAssignmentsResponse{DutyAssignments: found, NextPageToken: next}, nil
}

func (s duties) EndDuty(ctx context.Context, req *permissionv1.EndDutyRequest) (*permissionv1.DutyAssignment, error) {
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.DutyAssignment, error) {
		return s.Duties.End(tx, req.GetName(), req.GetEtag())
	})
}

func (s duties) ProposeGrants(ctx context.Context, req *permissionv1.ProposeGrantsRequest) (*permissionv1.ProposeGrantsResponse, error) {
	if err := subject.Organization.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	now := s.Clock()
	found, next, err := journal.List(ctx, s.Journal, req, []string{"ProposeGrants", req.GetParent(), req.GetSubject()}, func(r kv.Reader, after []byte, limit int) ([]*permissionv1.GrantProposal, []byte, error) {
		return s.Duties.Propose(r, now, req.GetParent(), req.GetSubject(), after, limit)
	})
	if err != nil {
		return nil, err
	}
	return &permissionv1.ProposeGrantsResponse{GrantProposals: found, NextPageToken: next}, nil
}

// ApplyProposal gives each missing grant by the rule of CreateGrant.
func (s duties) ApplyProposal(ctx context.Context, req *permissionv1.ApplyProposalRequest) (*permissionv1.ApplyProposalResponse, error) {
	by := authn.CallerOf(ctx)
	resp, err := change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.ApplyProposalResponse, error) {
		missing, err := s.Duties.Prepare(tx, req.GetName(), req.GetEtag())
		if err != nil {
			return nil, err
		}
		resp := &permissionv1.ApplyProposalResponse{}
		for _, g := range missing {
			g.Name = resource.Parent(req.GetName()) + "/grants/" + tx.NewID()
			g.Creator = by.Name
			given, err := s.Edits.Give(tx, by, g)
			if err != nil {
				return nil, err
			}
			resp.Grants = append(resp.Grants, given)
		}
		return resp, nil
	})
	s.Journal.KeepRefusal(ctx, req.GetName(), err)
	return resp, err
}

func (s duties) SummarizeDuties(ctx context.Context, req *permissionv1.SummarizeDutiesRequest) (*permissionv1.SummarizeDutiesResponse, error) {
	if err := subject.Organization.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	now := s.Clock()
	return journal.Read(ctx, s.Journal, func(r kv.Reader) (*permissionv1.SummarizeDutiesResponse, error) {
		return s.Duties.Summarize(r, now, req.GetParent())
	})
}
