// Package interactions serves identity's RPCs about what was spoken and written with
// customers.
//
// Like package orders it is a part of package api that stands apart, because all of it
// together is more than anybody wants to read at once: its handlers turn requests into
// calls of the centres and decide nothing.
package interactions

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
	"guildhall.dev/services/identity/internal/interaction"
	"guildhall.dev/services/identity/internal/organization"
)

// Register registers the services of this package.
func Register(r grpc.ServiceRegistrar, c *api.Centres) {
	identityv1.RegisterInteractionServiceServer(r, interactions{c})
}

// interactions implements InteractionService.
type interactions struct{ *api.Centres }

// CreateInteraction writes an interaction down.
func (s interactions) CreateInteraction(ctx context.Context, req *identityv1.CreateInteractionRequest) (*identityv1.Interaction, error) {
	if err := account.CustomerPattern.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	caller, err := api.CallerOf(ctx)
	if err != nil {
		return nil, err
	}
	asked := proto.CloneOf(req.GetInteraction())
	if asked.GetStaff() == "" && caller.Kind() == authn.Staff && resource.Parent(caller.Name) == resource.Parent(req.GetParent()) {
		asked.Staff = caller.Name
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.Interaction, error) {
		return s.Intake.Create(tx, req.GetParent(), asked, caller.Name)
	})
}

// GetInteraction returns an interaction.
func (s interactions) GetInteraction(ctx context.Context, req *identityv1.GetInteractionRequest) (*identityv1.Interaction, error) {
	if err := interaction.Pattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	return api.Read(ctx, s.Centres, func(r kv.Reader) (*identityv1.Interaction, error) { return s.Interactions.Get(r, req.GetName()) })
}

// ListInteractions returns a page of interactions, newest first. Those of a deleted
// customer can be read until it is purged.
func (s interactions) ListInteractions(ctx context.Context, req *identityv1.ListInteractionsRequest) (*identityv1.ListInteractionsResponse, error) {
	parent := req.GetParent()
	if err := api.CheckScope("parent", parent, organization.Pattern, account.CustomerPattern); err != nil {
		return nil, err
	}
	terms, err := interaction.ParseFilter(req.GetFilter())
	if err != nil {
		return nil, err
	}
	found, next, err := api.PageOf(ctx, s.Centres, req, "ListInteractions", func(r kv.Reader, after []byte, limit int) ([]*identityv1.Interaction, []byte, error) {
		if account.CustomerPattern.Matches(parent) {
			if _, err := s.Accounts.Get(r, parent); err != nil {
				return nil, nil, err
			}
		}
		return s.Interactions.List(r, interaction.Query{Parent: parent, Filter: terms, After: after, Limit: limit})
	}, req.GetFilter())
	return &identityv1.ListInteractionsResponse{Interactions: found, NextPageToken: next}, err
}

// UpdateInteraction changes the masked fields.
func (s interactions) UpdateInteraction(ctx context.Context, req *identityv1.UpdateInteractionRequest) (*identityv1.Interaction, error) {
	if err := interaction.Pattern.Check("interaction.name", req.GetInteraction().GetName()); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.Interaction, error) {
		return s.Intake.Update(tx, req.GetInteraction(), req.GetUpdateMask())
	})
}

// DeleteInteraction removes an interaction.
func (s interactions) DeleteInteraction(ctx context.Context, req *identityv1.DeleteInteractionRequest) (*identityv1.Interaction, error) {
	if err := interaction.Pattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.Interaction, error) {
		if err := s.Accounts.CheckHold(tx, resource.Parent(req.GetName())); err != nil {
			return nil, err
		}
		return s.Interactions.Delete(tx, req.GetName(), req.GetEtag())
	})
}

// IngestInteractions writes down what another system has.
func (s interactions) IngestInteractions(ctx context.Context, req *identityv1.IngestInteractionsRequest) (*identityv1.IngestInteractionsResponse, error) {
	if err := organization.Pattern.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	caller, err := api.CallerOf(ctx)
	if err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.IngestInteractionsResponse, error) {
		results, err := s.Intake.Ingest(tx, req.GetParent(), req.GetItems(), caller.Name)
		return &identityv1.IngestInteractionsResponse{Results: results}, err
	})
}

// ReviewInteraction keeps how good an interaction was.
func (s interactions) ReviewInteraction(ctx context.Context, req *identityv1.ReviewInteractionRequest) (*identityv1.Interaction, error) {
	if err := interaction.Pattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	caller, err := api.CallerOf(ctx)
	if err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.Interaction, error) {
		return s.Interactions.Review(tx, req.GetName(), req.GetEtag(), &identityv1.InteractionReview{
			Score: req.GetScore(), Note: req.GetNote(), Reviewer: caller.Name,
		})
	})
}

// SummarizeInteractions returns what interactions come to.
func (s interactions) SummarizeInteractions(ctx context.Context, req *identityv1.SummarizeInteractionsRequest) (*identityv1.InteractionSummary, error) {
	if err := api.CheckScope("parent", req.GetParent(), organization.Pattern, account.CustomerPattern, account.StaffPattern); err != nil {
		return nil, err
	}
	first, second, err := interaction.Months(req.GetStartMonth(), req.GetEndMonth(), s.Clock())
	if err != nil {
		return nil, err
	}
	return api.Read(ctx, s.Centres, func(r kv.Reader) (*identityv1.InteractionSummary, error) {
		return s.Interactions.Summary(r, req.GetParent(), first, second)
	})
}

// GetInteractionPolicy returns an organisation's.
func (s interactions) GetInteractionPolicy(ctx context.Context, req *identityv1.GetInteractionPolicyRequest) (*identityv1.InteractionPolicy, error) {
	return api.GetSetting(ctx, s.Centres, s.Interactions.Policies, interaction.PolicyPattern, req.GetName())
}

// UpdateInteractionPolicy changes the masked fields.
func (s interactions) UpdateInteractionPolicy(ctx context.Context, req *identityv1.UpdateInteractionPolicyRequest) (*identityv1.InteractionPolicy, error) {
	return api.UpdateSetting(ctx, s.Centres, s.Interactions.Policies, interaction.PolicyPattern, "interaction_policy", req.GetInteractionPolicy(), req)
}
