// Package consents serves identity's RPCs about what customers agreed to and
// whether they may be contacted.
//
// It is a part of package api, apart because all of it together is more than
// anybody wants to read at once; the same is true of its handlers: they turn
// requests into calls of the centres and decide nothing.
package consents

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/api"
	"guildhall.dev/services/identity/internal/consent"
)

// Register registers the service of this package.
func Register(r grpc.ServiceRegistrar, c *api.Centres) {
	identityv1.RegisterConsentServiceServer(r, consents{c})
}

// consents implements ConsentService.
type consents struct{ *api.Centres }

// GrantConsent records that a customer agrees.
func (s consents) GrantConsent(ctx context.Context, req *identityv1.GrantConsentRequest) (*identityv1.GrantConsentResponse, error) {
	w, err := word(ctx, req)
	if err != nil {
		return nil, err
	}
	if err := consent.PurposePattern.Check("purpose", req.GetPurpose()); err != nil {
		return nil, err
	}
	w.Language = req.GetLanguage()
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.GrantConsentResponse, error) {
		if err := s.Accounts.CheckChangeable(tx, w.Customer); err != nil {
			return nil, err
		}
		holds, err := s.Consents.Grant(tx, w, req.GetPurpose(), req.GetChannels(), req.GetTextVersion())
		return &identityv1.GrantConsentResponse{Consents: holds}, err
	})
}

// WithdrawConsent records that a customer takes back what it agreed to.
func (s consents) WithdrawConsent(ctx context.Context, req *identityv1.WithdrawConsentRequest) (*identityv1.WithdrawConsentResponse, error) {
	w, err := word(ctx, req)
	if err != nil {
		return nil, err
	}
	if req.GetPurpose() != "" {
		if err := consent.PurposePattern.Check("purpose", req.GetPurpose()); err != nil {
			return nil, err
		}
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.WithdrawConsentResponse, error) {
		if err := s.Accounts.CheckChangeable(tx, w.Customer); err != nil {
			return nil, err
		}
		holds, err := s.Consents.Withdraw(tx, w, req.GetPurpose(), req.GetChannels())
		return &identityv1.WithdrawConsentResponse{Consents: holds}, err
	})
}

// said is what both requests have.
type said interface {
	GetParent() string
	GetEvidence() string
	GetConsentTime() *timestamppb.Timestamp
}

// word returns what a request says for a customer.
func word(ctx context.Context, req said) (consent.Word, error) {
	if err := account.CustomerPattern.Check("parent", req.GetParent()); err != nil {
		return consent.Word{}, err
	}
	caller, err := api.CallerOf(ctx)
	w := consent.Word{Customer: req.GetParent(), Actor: caller.Name, Evidence: req.GetEvidence(), At: req.GetConsentTime()}
	if caller.Name == w.Customer {
		w.RemoteAddress = api.RemoteAddress(ctx) // that of staff proves nothing, and is theirs
	}
	return w, err
}

// ListConsents returns a page of what holds of a customer.
func (s consents) ListConsents(ctx context.Context, req *identityv1.ListConsentsRequest) (*identityv1.ListConsentsResponse, error) {
	if err := account.CustomerPattern.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	found, next, err := api.PageOf(ctx, s.Centres, req, "ListConsents", func(r kv.Reader, after []byte, limit int) ([]*identityv1.Consent, []byte, error) {
		if _, err := s.Accounts.Get(r, req.GetParent()); err != nil {
			return nil, nil, err
		}
		return s.Consents.List(r, req.GetParent(), after, limit)
	})
	return &identityv1.ListConsentsResponse{Consents: found, NextPageToken: next}, err
}

// ListConsentRecords returns a page of what a customer said.
func (s consents) ListConsentRecords(ctx context.Context, req *identityv1.ListConsentRecordsRequest) (*identityv1.ListConsentRecordsResponse, error) {
	if err := account.CustomerPattern.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	found, next, err := api.PageOf(ctx, s.Centres, req, "ListConsentRecords", func(r kv.Reader, after []byte, limit int) ([]*identityv1.ConsentRecord, []byte, error) {
		if _, err := s.Accounts.Get(r, req.GetParent()); err != nil {
			return nil, nil, err
		}
		return s.Consents.Records(r, req.GetParent(), after, limit)
	})
	return &identityv1.ListConsentRecordsResponse{ConsentRecords: found, NextPageToken: next}, err
}

// CheckContactable says whether a customer may be contacted.
func (s consents) CheckContactable(ctx context.Context, req *identityv1.CheckContactableRequest) (*identityv1.ContactDecision, error) {
	if err := account.CustomerPattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	if err := consent.PurposePattern.Check("purpose", req.GetPurpose()); err != nil {
		return nil, err
	}
	decision, err := api.Read(ctx, s.Centres, func(r kv.Reader) (*identityv1.ContactDecision, error) {
		rec, err := s.Accounts.Get(r, req.GetName())
		if err != nil {
			return nil, err
		}
		all, err := s.Consents.Contactable(r, []consent.Candidate{{Name: req.GetName(), Account: rec.Value}}, req.GetPurpose(), req.GetChannel())
		if err != nil {
			return nil, err
		}
		return all[0], nil
	})
	if err == nil {
		s.Consents.Note(ctx, decision)
	}
	return decision, err
}

// BatchCheckContactable says of each of some customers whether it may be contacted.
func (s consents) BatchCheckContactable(ctx context.Context, req *identityv1.BatchCheckContactableRequest) (*identityv1.BatchCheckContactableResponse, error) {
	if err := api.CheckBelow(req.GetParent(), req.GetNames(), account.CustomerPattern); err != nil {
		return nil, err
	}
	if err := consent.PurposePattern.Check("purpose", req.GetPurpose()); err != nil {
		return nil, err
	}
	resp, err := api.Read(ctx, s.Centres, func(r kv.Reader) (*identityv1.BatchCheckContactableResponse, error) {
		candidates, err := s.candidates(r, req.GetNames())
		if err != nil {
			return nil, err
		}
		all, err := s.Consents.Contactable(r, candidates, req.GetPurpose(), req.GetChannel())
		return &identityv1.BatchCheckContactableResponse{Decisions: all}, err
	})
	if err == nil {
		s.Consents.Note(ctx, resp.GetDecisions()...)
	}
	return resp, err
}

// candidates returns the customers of names, in their order, with no account for
// those that are not there.
func (s consents) candidates(r kv.Reader, names []string) ([]consent.Candidate, error) {
	live, err := s.Accounts.LiveOf(r, names)
	if err != nil {
		return nil, err
	}
	out := make([]consent.Candidate, len(names))
	for i, name := range names {
		out[i].Name = name
		if len(live) > 0 && live[0].GetName() == name {
			out[i].Account, live = live[0], live[1:]
		}
	}
	return out, nil
}
