package api

import (
	"context"
	"strings"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/filter"
	"guildhall.dev/pkg/journal"
	"guildhall.dev/pkg/kv"
	feedbackv1 "guildhall.dev/proto/gen/guildhall/feedback/v1"
	"guildhall.dev/services/feedback/internal/complaint"
)

// complaints answers the RPCs of ComplaintService.
type complaints struct{ *Server }

// CreateComplaint asks identity whether the customer exists, unless the
// customer itself calls and its token has said so.
func (s complaints) CreateComplaint(ctx context.Context, req *feedbackv1.CreateComplaintRequest) (*feedbackv1.Complaint, error) {
	actor, _ := caller(ctx)
	if actor != req.GetParent() {
		if _, err := complaint.Customer.Parse("parent", req.GetParent()); err != nil {
			return nil, err
		}
		if err := s.Customers.CheckCustomer(ctx, req.GetParent()); err != nil {
			return nil, err
		}
	}
	return s.do(ctx, req, func(tx *change.Tx) (*feedbackv1.Complaint, error) {
		if err := s.Refuse(tx, req.GetParent()); err != nil {
			return nil, err
		}
		return s.Complaints.Create(tx, req.GetParent(), req.GetComplaintId(), actor, req.GetComplaint())
	})
}

func (s complaints) GetComplaint(ctx context.Context, req *feedbackv1.GetComplaintRequest) (*feedbackv1.Complaint, error) {
	v, err := journal.Read(ctx, s.Journal, func(r kv.Reader) (*feedbackv1.Complaint, error) {
		return s.Complaints.Get(r, req.GetName())
	})
	if err != nil {
		return nil, err
	}
	return shown(ctx, v), nil
}

func (s complaints) ListComplaints(ctx context.Context, req *feedbackv1.ListComplaintsRequest) (*feedbackv1.ListComplaintsResponse, error) {
	state, err := stateOf(req.GetFilter())
	if err != nil {
		return nil, err
	}
	items, next, err := journal.List(ctx, s.Journal, req, []string{"ListComplaints", req.GetParent(), req.GetFilter()}, func(r kv.Reader, after []byte, limit int) ([]*feedbackv1.Complaint, []byte, error) {
		return s.Complaints.List(r, req.GetParent(), state, after, limit)
	})
	if err != nil {
		return nil, err
	}
	for i := range items {
		items[i] = shown(ctx, items[i])
	}
	return &feedbackv1.ListComplaintsResponse{Complaints: items, NextPageToken: next}, nil
}

// stateOf reads the one term a filter of complaints may have.
func stateOf(expr string) (feedbackv1.Complaint_State, error) {
	const prefix = "STATE_"
	var words []string
	for name, n := range feedbackv1.Complaint_State_value {
		if n != 0 {
			words = append(words, strings.TrimPrefix(name, prefix))
		}
	}
	terms, err := filter.Parse(expr, filter.Field{Name: "state", Type: filter.Enum, Values: words})
	if err != nil {
		return 0, err
	}
	if t, ok := terms.Lookup("state"); ok {
		return feedbackv1.Complaint_State(feedbackv1.Complaint_State_value[prefix+t.Text]), nil
	}
	return 0, nil
}

func (s complaints) AcknowledgeComplaint(ctx context.Context, req *feedbackv1.AcknowledgeComplaintRequest) (*feedbackv1.Complaint, error) {
	return s.do(ctx, req, func(tx *change.Tx) (*feedbackv1.Complaint, error) {
		return s.Complaints.Acknowledge(tx, moveOf(ctx, req))
	})
}

func (s complaints) InvestigateComplaint(ctx context.Context, req *feedbackv1.InvestigateComplaintRequest) (*feedbackv1.Complaint, error) {
	return s.do(ctx, req, func(tx *change.Tx) (*feedbackv1.Complaint, error) {
		return s.Complaints.Investigate(tx, moveOf(ctx, req), req.GetSeverity(), req.GetOwner())
	})
}

func (s complaints) CommunicateComplaint(ctx context.Context, req *feedbackv1.CommunicateComplaintRequest) (*feedbackv1.Complaint, error) {
	return s.do(ctx, req, func(tx *change.Tx) (*feedbackv1.Complaint, error) {
		return s.Complaints.Communicate(tx, moveOf(ctx, req), req.GetFinding(), req.GetResolution())
	})
}

func (s complaints) AcceptComplaint(ctx context.Context, req *feedbackv1.AcceptComplaintRequest) (*feedbackv1.Complaint, error) {
	return s.do(ctx, req, func(tx *change.Tx) (*feedbackv1.Complaint, error) {
		return s.Complaints.Accept(tx, moveOf(ctx, req))
	})
}

func (s complaints) DisputeComplaint(ctx context.Context, req *feedbackv1.DisputeComplaintRequest) (*feedbackv1.Complaint, error) {
	return s.do(ctx, req, func(tx *change.Tx) (*feedbackv1.Complaint, error) {
		return s.Complaints.Dispute(tx, moveOf(ctx, req))
	})
}

func (s complaints) CloseComplaint(ctx context.Context, req *feedbackv1.CloseComplaintRequest) (*feedbackv1.Complaint, error) {
	return s.do(ctx, req, func(tx *change.Tx) (*feedbackv1.Complaint, error) {
		return s.Complaints.Close(tx, moveOf(ctx, req), req.GetCause())
	})
}

func (s complaints) ReopenComplaint(ctx context.Context, req *feedbackv1.ReopenComplaintRequest) (*feedbackv1.Complaint, error) {
	return s.do(ctx, req, func(tx *change.Tx) (*feedbackv1.Complaint, error) {
		return s.Complaints.Reopen(tx, moveOf(ctx, req))
	})
}

func (s complaints) WithdrawComplaint(ctx context.Context, req *feedbackv1.WithdrawComplaintRequest) (*feedbackv1.Complaint, error) {
	return s.do(ctx, req, func(tx *change.Tx) (*feedbackv1.Complaint, error) {
		return s.Complaints.Withdraw(tx, moveOf(ctx, req))
	})
}

// moveOf returns what all moves have in common.
func moveOf(ctx context.Context, req interface {
	GetName() string
	GetEtag() string
	GetNote() string
}) complaint.Move {
	actor, _ := caller(ctx)
	return complaint.Move{Name: req.GetName(), Etag: req.GetEtag(), Note: req.GetNote(), Actor: actor}
}

// do makes a change and shows its result as its caller may see it.
func (s complaints) do(ctx context.Context, req proto.Message, fn func(tx *change.Tx) (*feedbackv1.Complaint, error)) (*feedbackv1.Complaint, error) {
	v, err := change.Do(ctx, s.Journal.Changes, req, fn)
	if err != nil {
		return nil, err
	}
	return shown(ctx, v), nil
}

func shown(ctx context.Context, v *feedbackv1.Complaint) *feedbackv1.Complaint {
	if c, _ := authn.FromContext(ctx); c.Kind() == authn.Customer {
		return complaint.ForComplainant(v)
	}
	return v
}
