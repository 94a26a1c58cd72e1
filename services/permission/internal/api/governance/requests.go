package governance

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/filter"
	"guildhall.dev/pkg/journal"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/people/request"
	"guildhall.dev/services/permission/internal/subject"
)

type requests struct{ Config }

// CreatePermissionChangeRequest implements permissionv1.PermissionChangeRequestServiceServer.
func (s *requests) CreatePermissionChangeRequest(ctx context.Context, req *permissionv1.CreatePermissionChangeRequestRequest) (*permissionv1.PermissionChangeRequest, error) {
	return s.do(ctx, req, func(tx *change.Tx) (*permissionv1.PermissionChangeRequest, error) {
		if err := s.Merged(tx, req.GetParent()); err != nil {
			return nil, err
		}
		return s.Requests.Create(tx, authn.CallerOf(ctx), req.GetParent(), req.GetPermissionChangeRequestId(), req.GetPermissionChangeRequest())
	})
}

// GetPermissionChangeRequest implements permissionv1.PermissionChangeRequestServiceServer.
func (s *requests) GetPermissionChangeRequest(ctx context.Context, req *permissionv1.GetPermissionChangeRequestRequest) (*permissionv1.PermissionChangeRequest, error) {
	if err := request.CheckName(req.GetName()); err != nil {
		return nil, err
	}
	return journal.Read(ctx, s.Journal, func(r kv.Reader) (*permissionv1.PermissionChangeRequest, error) {
		return s.Requests.Get(r, req.GetName())
	})
}

// ListPermissionChangeRequests implements permissionv1.PermissionChangeRequestServiceServer.
func (s *requests) ListPermissionChangeRequests(ctx context.Context, req *permissionv1.ListPermissionChangeRequestsRequest) (*permissionv1.ListPermissionChangeRequestsResponse, error) {
	parent := req.GetParent()
	if !subject.IsAccount(parent) {
		if err := subject.Organization.Check("parent", parent); err != nil {
			return nil, err
		}
	}
	f, approver, err := requestFilter(req)
	if err != nil {
		return nil, err
	}
	items, next, err := journal.List(ctx, s.Journal, req, []string{"ListPermissionChangeRequests", parent, req.GetFilter()},
		func(r kv.Reader, after []byte, limit int) ([]*permissionv1.PermissionChangeRequest, []byte, error) {
			if approver != "" {
				return s.Requests.Inbox(r, parent, approver, after, limit)
			}
			return s.Requests.List(r, parent, f, after, limit)
		})
	if err != nil {
		return nil, err
	}
	return &permissionv1.ListPermissionChangeRequestsResponse{PermissionChangeRequests: items, NextPageToken: next}, nil
}

// requestFilter reads what indexes serve: a state, a subject, or both, or one
// approver's inbox.
func requestFilter(req *permissionv1.ListPermissionChangeRequestsRequest) (f request.Filter, approver string, err error) {
	const prefix = "STATE_"
	terms, err := filter.Parse(req.GetFilter(),
		filter.Field{Name: "state", Type: filter.Enum, Values: words(permissionv1.PermissionChangeRequest_State_value, prefix)},
		filter.Field{Name: "subject", Type: filter.String}, filter.Field{Name: "approver", Type: filter.String})
	if err != nil {
		return f, "", err
	}
	if t, ok := terms.Lookup("approver"); ok {
		if _, only := onlyTerm(terms, "approver"); !only || !subject.IsAccount(t.Text) || subject.IsAccount(req.GetParent()) {
			return f, "", errs.InvalidField("filter", "FILTER_INVALID", "an approver's inbox is of an organisation: send approver = \"…\" by itself, with the name of an account")
		}
		return f, t.Text, nil
	}
	if t, ok := terms.Lookup("state"); ok {
		f.State = permissionv1.PermissionChangeRequest_State(permissionv1.PermissionChangeRequest_State_value[prefix+t.Text])
	}
	if t, ok := terms.Lookup("subject"); ok {
		f.Subject = t.Text
	}
	return f, "", nil
}

// VerifyPermissionChangeRequestIdentity implements permissionv1.PermissionChangeRequestServiceServer.
func (s *requests) VerifyPermissionChangeRequestIdentity(ctx context.Context, req *permissionv1.VerifyPermissionChangeRequestIdentityRequest) (*permissionv1.PermissionChangeRequest, error) {
	return s.do(ctx, req, func(tx *change.Tx) (*permissionv1.PermissionChangeRequest, error) {
		return s.Requests.Verify(tx, s.moveOf(ctx, req, req.GetNote()), req.GetMethod())
	})
}

// ApprovePermissionChangeRequest implements permissionv1.PermissionChangeRequestServiceServer.
func (s *requests) ApprovePermissionChangeRequest(ctx context.Context, req *permissionv1.ApprovePermissionChangeRequestRequest) (*permissionv1.PermissionChangeRequest, error) {
	return s.do(ctx, req, func(tx *change.Tx) (*permissionv1.PermissionChangeRequest, error) {
		return s.Requests.Approve(tx, s.moveOf(ctx, req, req.GetWords()), req.GetGrant())
	})
}

// RejectPermissionChangeRequest implements permissionv1.PermissionChangeRequestServiceServer.
func (s *requests) RejectPermissionChangeRequest(ctx context.Context, req *permissionv1.RejectPermissionChangeRequestRequest) (*permissionv1.PermissionChangeRequest, error) {
	return s.do(ctx, req, func(tx *change.Tx) (*permissionv1.PermissionChangeRequest, error) {
		return s.Requests.Reject(tx, s.moveOf(ctx, req, req.GetNote()))
	})
}

// ApplyPermissionChangeRequest implements permissionv1.PermissionChangeRequestServiceServer.
func (s *requests) ApplyPermissionChangeRequest(ctx context.Context, req *permissionv1.ApplyPermissionChangeRequestRequest) (*permissionv1.PermissionChangeRequest, error) {
	return s.do(ctx, req, func(tx *change.Tx) (*permissionv1.PermissionChangeRequest, error) {
		return s.Requests.Apply(tx, s.moveOf(ctx, req, ""))
	})
}

// UseApproval implements permissionv1.PermissionChangeRequestServiceServer, and
// authz.Use for this process.
func (c Config) UseApproval(ctx context.Context, req *permissionv1.UseApprovalRequest) (*permissionv1.UseApprovalResponse, error) {
	if err := subject.Organization.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	if err := request.CheckName(req.GetApproval()); err != nil {
		return nil, err
	}
	if subject.OrganizationOf(req.GetApproval()) != req.GetParent() {
		return nil, errs.NotFoundName("CHANGE_REQUEST_NOT_FOUND", req.GetApproval())
	}
	return change.Do(ctx, c.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.UseApprovalResponse, error) {
		return &permissionv1.UseApprovalResponse{}, c.Requests.Use(tx, request.Use{
			Approval: req.GetApproval(), Subject: req.GetSubject(), Permission: req.GetPermission(), Resource: req.GetResource(),
		})
	})
}

// WithdrawPermissionChangeRequest implements permissionv1.PermissionChangeRequestServiceServer.
func (s *requests) WithdrawPermissionChangeRequest(ctx context.Context, req *permissionv1.WithdrawPermissionChangeRequestRequest) (*permissionv1.PermissionChangeRequest, error) {
	return s.do(ctx, req, func(tx *change.Tx) (*permissionv1.PermissionChangeRequest, error) {
		return s.Requests.Withdraw(tx, s.moveOf(ctx, req, req.GetNote()))
	})
}

// CancelPermissionChangeRequest implements permissionv1.PermissionChangeRequestServiceServer.
func (s *requests) CancelPermissionChangeRequest(ctx context.Context, req *permissionv1.CancelPermissionChangeRequestRequest) (*permissionv1.PermissionChangeRequest, error) {
	return s.do(ctx, req, func(tx *change.Tx) (*permissionv1.PermissionChangeRequest, error) {
		return s.Requests.Cancel(tx, s.moveOf(ctx, req, req.GetNote()))
	})
}

// SummarizePermissionChangeRequests implements permissionv1.PermissionChangeRequestServiceServer.
func (s *requests) SummarizePermissionChangeRequests(ctx context.Context, req *permissionv1.SummarizePermissionChangeRequestsRequest) (*permissionv1.SummarizePermissionChangeRequestsResponse, error) {
	if err := subject.Organization.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	until, err := instant("end_time", req.GetEndTime(), s.Clock())
	if err != nil {
		return nil, err
	}
	const month = 30 * 24 * time.Hour
	from, err := instant("start_time", req.GetStartTime(), until.Add(-month))
	if err != nil {
		return nil, err
	}
	return journal.Read(ctx, s.Journal, func(r kv.Reader) (*permissionv1.SummarizePermissionChangeRequestsResponse, error) {
		return s.Requests.Summarize(r, req.GetParent(), from, until)
	})
}

// instant returns the time of a field, or another when it is not set.
func instant(field string, t *timestamppb.Timestamp, or time.Time) (time.Time, error) {
	if t == nil {
		return or, nil
	}
	if !t.IsValid() {
		return time.Time{}, errs.InvalidField(field, "TIMESTAMP_INVALID", "send an instant between the years 1 and 9999")
	}
	return t.AsTime(), nil
}

// moveOf returns what all moves have in common.
func (s *requests) moveOf(ctx context.Context, req interface {
	GetName() string
	GetEtag() string
}, note string) request.Move {
	return request.Move{Name: req.GetName(), Etag: req.GetEtag(), By: authn.CallerOf(ctx), Note: note}
}

// do makes a change. What a person is refused to give goes into the audit log,
// as in CreateGrant.
func (s *requests) do(ctx context.Context, req proto.Message, fn func(tx *change.Tx) (*permissionv1.PermissionChangeRequest, error)) (*permissionv1.PermissionChangeRequest, error) {
	if named, ok := req.(interface{ GetName() string }); ok {
		if err := request.CheckName(named.GetName()); err != nil {
			return nil, err
		}
	}
	v, err := change.Do(ctx, s.Journal.Changes, req, fn)
	if named, ok := req.(interface{ GetName() string }); ok {
		s.Journal.KeepRefusal(ctx, named.GetName(), err)
	}
	return v, err
}
