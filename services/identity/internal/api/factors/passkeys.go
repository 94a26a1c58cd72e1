package factors

import (
	"context"

	"google.golang.org/grpc"

	"guildhall.dev/pkg/authn"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/api"
)

// RegisterPasskeys registers the service of passkeys.
func RegisterPasskeys(r grpc.ServiceRegistrar, c *api.Centres) {
	identityv1.RegisterPasskeyServiceServer(r, passkeys{c})
}

// passkeys implements PasskeyService.
type passkeys struct{ *api.Centres }

// BeginPasskeyRegistration says what to make the caller's passkey with.
func (s passkeys) BeginPasskeyRegistration(ctx context.Context, _ *identityv1.BeginPasskeyRegistrationRequest) (*identityv1.BeginPasskeyRegistrationResponse, error) {
	return s.Gate.BeginPasskeyRegistration(ctx, authn.CallerOf(ctx))
}

// CompletePasskeyRegistration adds it.
func (s passkeys) CompletePasskeyRegistration(ctx context.Context, req *identityv1.CompletePasskeyRegistrationRequest) (*identityv1.CompletePasskeyRegistrationResponse, error) {
	return s.Gate.CompletePasskeyRegistration(ctx, authn.CallerOf(ctx), req)
}

// BeginPasskeyLogin says what to ask for a passkey with.
func (s passkeys) BeginPasskeyLogin(context.Context, *identityv1.BeginPasskeyLoginRequest) (*identityv1.BeginPasskeyLoginResponse, error) {
	return s.Gate.BeginPasskeyLogin()
}

// CompletePasskeyLogin logs in whose passkey it is.
func (s passkeys) CompletePasskeyLogin(ctx context.Context, req *identityv1.CompletePasskeyLoginRequest) (*identityv1.TokenSet, error) {
	return s.Gate.CompletePasskeyLogin(ctx, req, api.RemoteAddress(ctx))
}
