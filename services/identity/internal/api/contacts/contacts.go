// Package contacts serves identity's RPCs by which people keep their own contacts.
//
// Like package api beside it, it turns requests into calls of the centres and
// decides nothing.
package contacts

import (
	"context"

	"google.golang.org/grpc"

	"guildhall.dev/pkg/authn"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/api"
)

// Register registers the service of this package.
func Register(r grpc.ServiceRegistrar, c *api.Centres) {
	identityv1.RegisterContactServiceServer(r, contacts{c})
}

// contacts implements ContactService.
type contacts struct{ *api.Centres }

// ListContacts returns the caller's contacts.
func (s contacts) ListContacts(ctx context.Context, _ *identityv1.ListContactsRequest) (*identityv1.ListContactsResponse, error) {
	return s.Reach.List(ctx, authn.CallerOf(ctx))
}

// RequestContactChange begins to change a contact of the caller's.
func (s contacts) RequestContactChange(ctx context.Context, req *identityv1.RequestContactChangeRequest) (*identityv1.ContactVerification, error) {
	return s.Reach.RequestChange(ctx, authn.CallerOf(ctx), req)
}

// SendContactVerification begins to verify a contact of the caller's.
func (s contacts) SendContactVerification(ctx context.Context, req *identityv1.SendContactVerificationRequest) (*identityv1.ContactVerification, error) {
	return s.Reach.SendVerification(ctx, authn.CallerOf(ctx), req)
}

// ConfirmContact verifies or changes it. An account that is in other segments from
// then on does not act by those before.
func (s contacts) ConfirmContact(ctx context.Context, req *identityv1.ConfirmContactRequest) (*identityv1.Contact, error) {
	out, moved, err := s.Reach.Confirm(ctx, authn.CallerOf(ctx), req)
	if !moved {
		return out, err
	}
	return api.Heard(ctx, s.Centres, out, err)
}
