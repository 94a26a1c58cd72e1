package consents

import (
	"context"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/api"
	"guildhall.dev/services/identity/internal/consent"
	"guildhall.dev/services/identity/internal/organization"
	"guildhall.dev/services/identity/internal/revise"
)

// CreateConsentPurpose makes a purpose.
func (s consents) CreateConsentPurpose(ctx context.Context, req *identityv1.CreateConsentPurposeRequest) (*identityv1.ConsentPurpose, error) {
	if err := organization.Pattern.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	if err := resource.CheckID("consent_purpose_id", req.GetConsentPurposeId()); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.ConsentPurpose, error) {
		if _, err := s.Organizations.Get(tx, req.GetParent()); err != nil {
			return nil, err
		}
		name := req.GetParent() + "/consentPurposes/" + req.GetConsentPurposeId()
		return s.Consents.CreatePurpose(tx, revise.Named(req.GetConsentPurpose(), name))
	})
}

// GetConsentPurpose returns a purpose.
func (s consents) GetConsentPurpose(ctx context.Context, req *identityv1.GetConsentPurposeRequest) (*identityv1.ConsentPurpose, error) {
	if err := consent.PurposePattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	return api.Read(ctx, s.Centres, func(r kv.Reader) (*identityv1.ConsentPurpose, error) { return s.Consents.Purpose(r, req.GetName()) })
}

// ListConsentPurposes returns a page of purposes, by name.
func (s consents) ListConsentPurposes(ctx context.Context, req *identityv1.ListConsentPurposesRequest) (*identityv1.ListConsentPurposesResponse, error) {
	if err := organization.Pattern.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	found, next, err := api.PageOf(ctx, s.Centres, req, "ListConsentPurposes", func(r kv.Reader, after []byte, limit int) ([]*identityv1.ConsentPurpose, []byte, error) {
		return s.Consents.Purposes(r, req.GetParent(), after, limit)
	})
	return &identityv1.ListConsentPurposesResponse{ConsentPurposes: found, NextPageToken: next}, err
}

// UpdateConsentPurpose changes the masked fields.
func (s consents) UpdateConsentPurpose(ctx context.Context, req *identityv1.UpdateConsentPurposeRequest) (*identityv1.ConsentPurpose, error) {
	if err := consent.PurposePattern.Check("consent_purpose.name", req.GetConsentPurpose().GetName()); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.ConsentPurpose, error) {
		return s.Consents.UpdatePurpose(tx, req.GetConsentPurpose(), req.GetUpdateMask())
	})
}

// ListConsentTexts returns a page of the versions of a purpose's text.
func (s consents) ListConsentTexts(ctx context.Context, req *identityv1.ListConsentTextsRequest) (*identityv1.ListConsentTextsResponse, error) {
	if err := consent.PurposePattern.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	found, next, err := api.PageOf(ctx, s.Centres, req, "ListConsentTexts", func(r kv.Reader, after []byte, limit int) ([]*identityv1.ConsentText, []byte, error) {
		return s.Consents.Texts(r, req.GetParent(), after, limit)
	})
	return &identityv1.ListConsentTextsResponse{ConsentTexts: found, NextPageToken: next}, err
}
