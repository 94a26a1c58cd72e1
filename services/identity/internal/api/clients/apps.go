package clients

import (
	"context"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/api"
	"guildhall.dev/services/identity/internal/app"
	"guildhall.dev/services/identity/internal/organization"
	"guildhall.dev/services/identity/internal/revise"
)

// apps implements OAuthClientService.
type apps struct{ *api.Centres }

// CreateOAuthClient makes an app.
func (s apps) CreateOAuthClient(ctx context.Context, req *identityv1.CreateOAuthClientRequest) (*identityv1.OAuthClient, error) {
	ids, err := organization.Pattern.Parse("parent", req.GetParent())
	if err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.OAuthClient, error) {
		id, err := tx.IDOr("oauth_client_id", req.GetOauthClientId())
		if err != nil {
			return nil, err
		}
		return s.Apps.Create(tx, revise.Named(req.GetOauthClient(), app.Pattern.Format(ids[0], id)))
	})
}

// GetOAuthClient returns an app.
func (s apps) GetOAuthClient(ctx context.Context, req *identityv1.GetOAuthClientRequest) (*identityv1.OAuthClient, error) {
	if err := app.Pattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	return api.Read(ctx, s.Centres, func(r kv.Reader) (*identityv1.OAuthClient, error) { return s.Apps.Get(r, req.GetName()) })
}

// ListOAuthClients returns a page of apps, by name.
func (s apps) ListOAuthClients(ctx context.Context, req *identityv1.ListOAuthClientsRequest) (*identityv1.ListOAuthClientsResponse, error) {
	if err := organization.Pattern.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	found, next, err := api.PageOf(ctx, s.Centres, req, "ListOAuthClients",
		func(r kv.Reader, after []byte, limit int) ([]*identityv1.OAuthClient, []byte, error) {
			return s.Apps.List(r, req.GetParent(), after, limit)
		})
	return &identityv1.ListOAuthClientsResponse{OauthClients: found, NextPageToken: next}, err
}

// UpdateOAuthClient changes the masked fields.
func (s apps) UpdateOAuthClient(ctx context.Context, req *identityv1.UpdateOAuthClientRequest) (*identityv1.OAuthClient, error) {
	if err := app.Pattern.Check("oauth_client.name", req.GetOauthClient().GetName()); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.OAuthClient, error) {
		return s.Apps.Update(tx, req.GetOauthClient(), req.GetUpdateMask())
	})
}

// DeleteOAuthClient removes an app with its keys.
func (s apps) DeleteOAuthClient(ctx context.Context, req *identityv1.DeleteOAuthClientRequest) (*identityv1.OAuthClient, error) {
	if err := app.Pattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.OAuthClient, error) {
		return s.Apps.Delete(tx, req.GetName(), req.GetEtag())
	})
}
