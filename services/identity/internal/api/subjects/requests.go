package subjects

import (
	"context"
	"time"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/api"
	"guildhall.dev/services/identity/internal/delivery"
	"guildhall.dev/services/identity/internal/message"
	"guildhall.dev/services/identity/internal/organization"
	"guildhall.dev/services/identity/internal/revise"
	"guildhall.dev/services/identity/internal/rights"
)

// fresh is how old a customer's proof of who they are may be, to ask for the own
// erasure, or to see all that is kept.
const fresh = 5 * time.Minute

// requests implements DataSubjectRequestService.
type requests struct{ *api.Centres }

// CreateDataSubjectRequest writes a request down.
func (s requests) CreateDataSubjectRequest(ctx context.Context, req *identityv1.CreateDataSubjectRequestRequest) (*identityv1.DataSubjectRequest, error) {
	if err := account.CustomerPattern.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	caller, err := api.CallerOf(ctx)
	if err != nil {
		return nil, err
	}
	asked := req.GetDataSubjectRequest()
	// Only who asks for oneself needs the proof: what staff write down is verified.
	if caller.Name == req.GetParent() && doneBySuite(asked.GetKind()) {
		if err := authn.Proven(caller, fresh, s.Clock()); err != nil {
			return nil, err
		}
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.DataSubjectRequest, error) {
		id, err := tx.IDOr("data_subject_request_id", req.GetDataSubjectRequestId())
		if err != nil {
			return nil, err
		}
		if err := s.Accounts.CheckNotErased(tx, req.GetParent()); err != nil {
			return nil, err
		}
		made, err := s.Rights.Create(tx, revise.Named(asked, req.GetParent()+"/dataSubjectRequests/"+id), caller.Name)
		if err != nil {
			return nil, err
		}
		return s.confirmed(tx, made)
	})
}

// doneBySuite reports whether the suite itself does what a request of the kind asks.
func doneBySuite(kind identityv1.DataSubjectRequest_Kind) bool {
	return kind == identityv1.DataSubjectRequest_KIND_ERASE || kind == identityv1.DataSubjectRequest_KIND_ACCESS
}

// newsFor is for how long the news of a request is worth sending.
const newsFor = 7 * 24 * time.Hour

// confirmed follows up on a request of which it may be known by now who asks: the
// customer is told of an erasure and of a copy, whoever wrote the request down, and of
// an erasure it is kept whether it is held.
func (s requests) confirmed(tx *change.Tx, q *identityv1.DataSubjectRequest) (*identityv1.DataSubjectRequest, error) {
	if q.GetErasure() == nil && q.GetAccess() == nil {
		return q, nil
	}
	customer := rights.CustomerOf(q.GetName())
	rec, found, err := s.Accounts.Find(tx, customer)
	if err != nil || !found {
		return q, err
	}
	news := delivery.Message{Account: rec.Value, Kind: message.DataRequested, Expire: tx.Time.Add(newsFor)}
	at := tx.Time
	if q.GetErasure() != nil {
		at = q.GetErasure().GetEraseTime().AsTime()
		news.Kind, news.Expire = message.ErasureRequested, at
	}
	news.Values = message.Values{message.Time: message.Moment(at)}
	// Where there is no time to withdraw an erasure there is nobody left to tell.
	if news.Expire.After(tx.Time) {
		if err := s.Outbox.Tell(tx, news); err != nil {
			return nil, err
		}
	}
	if q.GetErasure() == nil || !rec.Value.GetLegalHold() {
		return q, nil
	}
	if err := s.Rights.SetHeld(tx, customer, true); err != nil {
		return nil, err
	}
	return s.Rights.Get(tx, q.GetName())
}

// GetDataSubjectRequest returns a request.
func (s requests) GetDataSubjectRequest(ctx context.Context, req *identityv1.GetDataSubjectRequestRequest) (*identityv1.DataSubjectRequest, error) {
	if err := rights.Pattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	return api.Read(ctx, s.Centres, func(r kv.Reader) (*identityv1.DataSubjectRequest, error) { return s.Rights.Get(r, req.GetName()) })
}

// ListDataSubjectRequests returns a page of requests, the first that is due first.
func (s requests) ListDataSubjectRequests(ctx context.Context, req *identityv1.ListDataSubjectRequestsRequest) (*identityv1.ListDataSubjectRequestsResponse, error) {
	if !account.CustomerPattern.Matches(req.GetParent()) {
		if err := organization.Pattern.Check("parent", req.GetParent()); err != nil {
			return nil, err
		}
	}
	terms, err := rights.ParseFilter(req.GetFilter())
	if err != nil {
		return nil, err
	}
	now := s.Clock()
	found, next, err := api.PageOf(ctx, s.Centres, req, "ListDataSubjectRequests",
		func(r kv.Reader, after []byte, limit int) ([]*identityv1.DataSubjectRequest, []byte, error) {
			return s.Rights.List(r, req.GetParent(), terms, now, after, limit)
		}, req.GetFilter())
	return &identityv1.ListDataSubjectRequestsResponse{DataSubjectRequests: found, NextPageToken: next}, err
}

// VerifyIdentityOfDataSubject says whether the customer asks.
func (s requests) VerifyIdentityOfDataSubject(ctx context.Context, req *identityv1.VerifyIdentityOfDataSubjectRequest) (*identityv1.DataSubjectRequest, error) {
	if err := rights.Pattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	if err := api.NotOneself(ctx, rights.CustomerOf(req.GetName())); err != nil {
		return nil, err
	}
	caller, err := api.CallerOf(ctx)
	if err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.DataSubjectRequest, error) {
		q, confirmed, err := s.Rights.Verify(tx, req.GetName(), req.GetEtag(), req.GetProof(), caller.Name)
		if err != nil || !confirmed {
			return q, err
		}
		return s.confirmed(tx, q)
	})
}

// ExtendDataSubjectRequest puts the answer off.
func (s requests) ExtendDataSubjectRequest(ctx context.Context, req *identityv1.ExtendDataSubjectRequestRequest) (*identityv1.DataSubjectRequest, error) {
	if err := rights.Pattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.DataSubjectRequest, error) {
		return s.Rights.Extend(tx, req.GetName(), req.GetEtag(), req.GetReason())
	})
}

// RefuseDataSubjectRequest refuses a request.
func (s requests) RefuseDataSubjectRequest(ctx context.Context, req *identityv1.RefuseDataSubjectRequestRequest) (*identityv1.DataSubjectRequest, error) {
	if err := rights.Pattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.DataSubjectRequest, error) {
		q, err := s.Rights.Refuse(tx, req.GetName(), req.GetEtag(), req.GetRefusal(), req.GetAnswer())
		if err != nil {
			return nil, err
		}
		return q, s.Takeouts.End(tx, req.GetName())
	})
}

// FulfilDataSubjectRequest says that what was asked is done.
func (s requests) FulfilDataSubjectRequest(ctx context.Context, req *identityv1.FulfilDataSubjectRequestRequest) (*identityv1.DataSubjectRequest, error) {
	if err := rights.Pattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.DataSubjectRequest, error) {
		return s.Rights.Fulfil(tx, req.GetName(), req.GetEtag(), req.GetAnswer())
	})
}

// WithdrawDataSubjectRequest takes a request back.
func (s requests) WithdrawDataSubjectRequest(ctx context.Context, req *identityv1.WithdrawDataSubjectRequestRequest) (*identityv1.DataSubjectRequest, error) {
	if err := rights.Pattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.DataSubjectRequest, error) {
		q, err := s.Rights.Withdraw(tx, req.GetName(), req.GetEtag())
		if err != nil {
			return nil, err
		}
		return q, s.Takeouts.End(tx, req.GetName())
	})
}

// GetDataSubjectPolicy returns an organisation's.
func (s requests) GetDataSubjectPolicy(ctx context.Context, req *identityv1.GetDataSubjectPolicyRequest) (*identityv1.DataSubjectPolicy, error) {
	return api.GetSetting(ctx, s.Centres, s.Rights.Policies, rights.PolicyPattern, req.GetName())
}

// UpdateDataSubjectPolicy changes the masked fields.
func (s requests) UpdateDataSubjectPolicy(ctx context.Context, req *identityv1.UpdateDataSubjectPolicyRequest) (*identityv1.DataSubjectPolicy, error) {
	return api.UpdateSetting(ctx, s.Centres, s.Rights.Policies, rights.PolicyPattern, "data_subject_policy", req.GetDataSubjectPolicy(), req)
}
