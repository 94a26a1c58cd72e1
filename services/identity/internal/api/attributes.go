package api

import (
	"context"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/attribute"
	"guildhall.dev/services/identity/internal/organization"
	"guildhall.dev/services/identity/internal/revise"
)

// attributes implements AttributeService.
type attributes struct{ *Centres }

// CreateAttributeDefinition makes a definition.
func (s attributes) CreateAttributeDefinition(ctx context.Context, req *identityv1.CreateAttributeDefinitionRequest) (*identityv1.AttributeDefinition, error) {
	if _, err := organization.Pattern.Parse("parent", req.GetParent()); err != nil {
		return nil, err
	}
	if err := resource.CheckID("attribute_definition_id", req.GetAttributeDefinitionId()); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.AttributeDefinition, error) {
		name, err := s.nameIn(tx, req.GetParent(), "attributeDefinitions", "attribute_definition_id", req.GetAttributeDefinitionId())
		if err != nil {
			return nil, err
		}
		return s.Attributes.Create(tx, revise.Named(req.GetAttributeDefinition(), name))
	})
}

// GetAttributeDefinition returns a definition.
func (s attributes) GetAttributeDefinition(ctx context.Context, req *identityv1.GetAttributeDefinitionRequest) (*identityv1.AttributeDefinition, error) {
	if _, err := attribute.Pattern.Parse("name", req.GetName()); err != nil {
		return nil, err
	}
	return Read(ctx, s.Centres, func(r kv.Reader) (*identityv1.AttributeDefinition, error) { return s.Attributes.Get(r, req.GetName()) })
}

// ListAttributeDefinitions returns a page of definitions, by name.
func (s attributes) ListAttributeDefinitions(ctx context.Context, req *identityv1.ListAttributeDefinitionsRequest) (*identityv1.ListAttributeDefinitionsResponse, error) {
	if _, err := organization.Pattern.Parse("parent", req.GetParent()); err != nil {
		return nil, err
	}
	found, next, err := PageOf(ctx, s.Centres, req, "ListAttributeDefinitions", func(r kv.Reader, after []byte, limit int) ([]*identityv1.AttributeDefinition, []byte, error) {
		return s.Attributes.List(r, req.GetParent(), after, limit)
	})
	return &identityv1.ListAttributeDefinitionsResponse{AttributeDefinitions: found, NextPageToken: next}, err
}

// UpdateAttributeDefinition changes the masked fields.
func (s attributes) UpdateAttributeDefinition(ctx context.Context, req *identityv1.UpdateAttributeDefinitionRequest) (*identityv1.AttributeDefinition, error) {
	if _, err := attribute.Pattern.Parse("attribute_definition.name", req.GetAttributeDefinition().GetName()); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.AttributeDefinition, error) {
		return s.Attributes.Update(tx, req.GetAttributeDefinition(), req.GetUpdateMask())
	})
}
