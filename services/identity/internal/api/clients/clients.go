// Package clients serves identity's RPCs about programs: service accounts, apps,
// the keys of both, and the endpoints of OAuth 2.0.
//
// It is package api's other half, apart because both together are more than
// anybody wants to read at once; the same is true of its handlers: they turn
// requests into calls of the centres and decide nothing.
package clients

import (
	"context"

	"google.golang.org/grpc"

	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/api"
	"guildhall.dev/services/identity/internal/oauth"
)

// Register registers the services of this package.
func Register(r grpc.ServiceRegistrar, c *api.Centres) {
	identityv1.RegisterServiceAccountServiceServer(r, accounts{c})
	identityv1.RegisterClientKeyServiceServer(r, keys{c})
	identityv1.RegisterOAuthClientServiceServer(r, apps{c})
	identityv1.RegisterOAuthServiceServer(r, endpoints{c.OAuth})
}

// endpoints implements OAuthService.
type endpoints struct{ *oauth.Server }

// Authorize logs a person in for an app.
func (e endpoints) Authorize(ctx context.Context, req *identityv1.AuthorizeRequest) (*identityv1.AuthorizeResponse, error) {
	return e.Server.Authorize(ctx, req, api.RemoteAddress(ctx))
}

// serviceAccount returns the API's view of a service account.
func serviceAccount(rec kv.Record[*storev1.Account]) *identityv1.ServiceAccount {
	a := rec.Value
	return &identityv1.ServiceAccount{
		Name: a.GetName(), DisplayName: a.GetDisplayName(), Description: a.GetDescription(), State: a.GetState(),
		CreateTime: a.GetCreateTime(), UpdateTime: a.GetUpdateTime(), DeleteTime: a.GetDeleteTime(), PurgeTime: a.GetPurgeTime(),
		Etag: rec.Etag,
	}
}

// account returns the account of a program: the fields that a caller may set,
// under the given name.
func account(name string, s *identityv1.ServiceAccount) *storev1.Account {
	return &storev1.Account{Name: name, DisplayName: s.GetDisplayName(), Description: s.GetDescription()}
}

// key returns the API's view of a key; its secret is "" but when it is made.
func key(k *storev1.ClientKey, secret string) *identityv1.ClientKey {
	if k.GetPublicJwk() != "" {
		secret = ""
	}
	return &identityv1.ClientKey{
		Name: k.GetName(), DisplayName: k.GetDisplayName(), PublicJwk: k.GetPublicJwk(), Secret: secret,
		CreateTime: k.GetCreateTime(), ExpireTime: k.GetExpireTime(), LastUsedTime: k.GetLastUsedTime(),
	}
}
