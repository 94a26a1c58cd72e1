// Package preferences serves identity's RPCs about what interests customers.
//
// Like package orders it is a part of package api that stands apart, because all of it
// together is more than anybody wants to read at once: its handlers turn requests into
// calls of the centres and decide nothing.
package preferences

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/api"
	"guildhall.dev/services/identity/internal/organization"
	"guildhall.dev/services/identity/internal/preference"
	"guildhall.dev/services/identity/internal/revise"
)

// defaultTopics is how many topics are recommended unless the caller says how many.
const defaultTopics = 10

// Register registers the services of this package.
func Register(r grpc.ServiceRegistrar, c *api.Centres) {
	identityv1.RegisterPreferenceServiceServer(r, preferences{c})
}

// preferences implements PreferenceService.
type preferences struct{ *api.Centres }

// CreatePreference writes down what a customer said.
func (s preferences) CreatePreference(ctx context.Context, req *identityv1.CreatePreferenceRequest) (*identityv1.Preference, error) {
	p, err := about(ctx, s, req, "parent", req.GetParent(), func(tx *change.Tx, caller string) (*identityv1.Preference, error) {
		return s.Preferences.Create(tx, req.GetParent(), req.GetPreference(), caller)
	})
	return own(ctx, p, err)
}

// GetPreference returns a preference.
func (s preferences) GetPreference(ctx context.Context, req *identityv1.GetPreferenceRequest) (*identityv1.Preference, error) {
	if err := preference.Pattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	p, err := api.Read(ctx, s.Centres, func(r kv.Reader) (*identityv1.Preference, error) {
		return s.Preferences.Get(r, req.GetName(), s.Clock())
	})
	return own(ctx, p, err)
}

// ListPreferences returns a page of preferences.
func (s preferences) ListPreferences(ctx context.Context, req *identityv1.ListPreferencesRequest) (*identityv1.ListPreferencesResponse, error) {
	parent := req.GetParent()
	if err := api.CheckScope("parent", parent, organization.Pattern, account.CustomerPattern); err != nil {
		return nil, err
	}
	terms, err := preference.ParseFilter(parent, req.GetFilter())
	if err != nil {
		return nil, err
	}
	found, next, err := api.PageOf(ctx, s.Centres, req, "ListPreferences", func(r kv.Reader, after []byte, limit int) ([]*identityv1.Preference, []byte, error) {
		if account.CustomerPattern.Matches(parent) {
			if _, err := s.Accounts.Get(r, parent); err != nil {
				return nil, nil, err
			}
		}
		return s.Preferences.List(r, preference.Query{Parent: parent, Filter: terms, Now: s.Clock(), After: after, Limit: limit})
	}, req.GetFilter())
	for i, p := range found {
		if found[i], err = own(ctx, p, err); err != nil {
			return nil, err
		}
	}
	return &identityv1.ListPreferencesResponse{Preferences: found, NextPageToken: next}, err
}

// UpdatePreference changes the masked fields.
func (s preferences) UpdatePreference(ctx context.Context, req *identityv1.UpdatePreferenceRequest) (*identityv1.Preference, error) {
	name := req.GetPreference().GetName()
	if err := preference.Pattern.Check("preference.name", name); err != nil {
		return nil, err
	}
	p, err := about(ctx, s, req, "preference.name", resource.Parent(name), func(tx *change.Tx, _ string) (*identityv1.Preference, error) {
		return s.Preferences.Update(tx, req.GetPreference(), req.GetUpdateMask())
	})
	return own(ctx, p, err)
}

// DeletePreference removes a preference.
func (s preferences) DeletePreference(ctx context.Context, req *identityv1.DeletePreferenceRequest) (*identityv1.Preference, error) {
	if err := preference.Pattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	p, err := about(ctx, s, req, "name", resource.Parent(req.GetName()), func(tx *change.Tx, _ string) (*identityv1.Preference, error) {
		if err := s.Accounts.CheckHold(tx, resource.Parent(req.GetName())); err != nil {
			return nil, err
		}
		return s.Preferences.Delete(tx, req.GetName(), req.GetEtag())
	})
	return own(ctx, p, err)
}

// RecordPreferenceEvidence counts what a customer did.
func (s preferences) RecordPreferenceEvidence(ctx context.Context, req *identityv1.RecordPreferenceEvidenceRequest) (*identityv1.RecordPreferenceEvidenceResponse, error) {
	return about(ctx, s, req, "parent", req.GetParent(), func(tx *change.Tx, caller string) (*identityv1.RecordPreferenceEvidenceResponse, error) {
		found, err := s.Preferences.Record(tx, req.GetParent(), req.GetItems(), caller)
		return &identityv1.RecordPreferenceEvidenceResponse{Preferences: found}, err
	})
}

// RecommendTopics returns what a customer likes most.
func (s preferences) RecommendTopics(ctx context.Context, req *identityv1.RecommendTopicsRequest) (*identityv1.RecommendTopicsResponse, error) {
	if err := account.CustomerPattern.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	limit := int(req.GetLimit())
	if limit == 0 {
		limit = defaultTopics
	}
	return api.Read(ctx, s.Centres, func(r kv.Reader) (*identityv1.RecommendTopicsResponse, error) {
		if _, err := s.Accounts.Get(r, req.GetParent()); err != nil {
			return nil, err
		}
		found, err := s.Preferences.Recommend(r, req.GetParent(), s.Clock(), limit)
		return &identityv1.RecommendTopicsResponse{Preferences: found}, err
	})
}

// RecordRecommendation counts what became of a recommendation.
func (s preferences) RecordRecommendation(ctx context.Context, req *identityv1.RecordRecommendationRequest) (*identityv1.RecordRecommendationResponse, error) {
	return about(ctx, s, req, "parent", req.GetParent(), func(tx *change.Tx, _ string) (*identityv1.RecordRecommendationResponse, error) {
		rate, err := s.Preferences.Count(tx, req.GetParent(), req.GetTopic(), req.GetOutcome())
		return &identityv1.RecordRecommendationResponse{RecommendationRate: rate}, err
	})
}

// ListRecommendationRates returns a page of an organisation's rates.
func (s preferences) ListRecommendationRates(ctx context.Context, req *identityv1.ListRecommendationRatesRequest) (*identityv1.ListRecommendationRatesResponse, error) {
	if err := organization.Pattern.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	found, next, err := api.PageOf(ctx, s.Centres, req, "ListRecommendationRates", func(r kv.Reader, after []byte, limit int) ([]*identityv1.RecommendationRate, []byte, error) {
		if _, err := s.Organizations.Get(r, req.GetParent()); err != nil {
			return nil, nil, err
		}
		return s.Preferences.Rates(r, req.GetParent(), after, limit)
	})
	return &identityv1.ListRecommendationRatesResponse{RecommendationRates: found, NextPageToken: next}, err
}

// GetProfilingChoice returns a customer's choice.
func (s preferences) GetProfilingChoice(ctx context.Context, req *identityv1.GetProfilingChoiceRequest) (*identityv1.ProfilingChoice, error) {
	if err := preference.ChoicePattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	choice, err := api.Read(ctx, s.Centres, func(r kv.Reader) (*identityv1.ProfilingChoice, error) {
		customer := revise.ParentOf(req.GetName())
		if _, err := s.Accounts.Get(r, customer); err != nil {
			return nil, err
		}
		return s.Preferences.Choices.Of(r, customer)
	})
	return ownChoice(ctx, choice, err)
}

// UpdateProfilingChoice changes a customer's choice.
func (s preferences) UpdateProfilingChoice(ctx context.Context, req *identityv1.UpdateProfilingChoiceRequest) (*identityv1.ProfilingChoice, error) {
	choice := req.GetProfilingChoice()
	if err := preference.ChoicePattern.Check("profiling_choice.name", choice.GetName()); err != nil {
		return nil, err
	}
	chosen, err := about(ctx, s, req, "profiling_choice.name", revise.ParentOf(choice.GetName()), func(tx *change.Tx, caller string) (*identityv1.ProfilingChoice, error) {
		return s.Preferences.Choose(tx, choice, req.GetUpdateMask(), caller)
	})
	return ownChoice(ctx, chosen, err)
}

// GetPreferencePolicy returns an organisation's.
func (s preferences) GetPreferencePolicy(ctx context.Context, req *identityv1.GetPreferencePolicyRequest) (*identityv1.PreferencePolicy, error) {
	return api.GetSetting(ctx, s.Centres, s.Preferences.Policies, preference.PolicyPattern, req.GetName())
}

// UpdatePreferencePolicy changes the masked fields.
func (s preferences) UpdatePreferencePolicy(ctx context.Context, req *identityv1.UpdatePreferencePolicyRequest) (*identityv1.PreferencePolicy, error) {
	return api.UpdateSetting(ctx, s.Centres, s.Preferences.Policies, preference.PolicyPattern, "preference_policy", req.GetPreferencePolicy(), req)
}

// own returns a preference as a caller may have it: a customer does not learn who of the
// staff wrote it down.
func own(ctx context.Context, p *identityv1.Preference, err error) (*identityv1.Preference, error) {
	if err == nil && foreign(ctx, p.GetCreator()) {
		p = proto.CloneOf(p)
		p.Creator = ""
	}
	return p, err
}

// ownChoice is own for a choice, and who made it.
func ownChoice(ctx context.Context, c *identityv1.ProfilingChoice, err error) (*identityv1.ProfilingChoice, error) {
	if err == nil && foreign(ctx, c.GetActor()) {
		c = proto.CloneOf(c)
		c.Actor = ""
	}
	return c, err
}

// foreign reports whether an account is another than a caller who is a customer.
func foreign(ctx context.Context, account string) bool {
	caller, err := api.CallerOf(ctx)
	return err != nil || caller.Kind() == authn.Customer && account != caller.Name
}

// about makes a change of what there is about a customer, who is in a field of the
// request and has to be there, for a caller.
func about[T proto.Message](ctx context.Context, s preferences, req proto.Message, field, customer string, do func(tx *change.Tx, caller string) (T, error)) (none T, _ error) {
	if err := account.CustomerPattern.Check(field, customer); err != nil {
		return none, err
	}
	caller, err := api.CallerOf(ctx)
	if err != nil {
		return none, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (T, error) {
		if err := s.Accounts.CheckChangeable(tx, customer); err != nil {
			return none, err
		}
		return do(tx, caller.Name)
	})
}
