// Package subjects serves identity's RPCs about what customers ask about their own
// data, and about legal holds, which keep it.
//
// Like package records it is a part of package api that stands apart: its handlers
// turn requests into calls of the centres and decide nothing.
package subjects

import (
	"google.golang.org/grpc"

	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/api"
)

// Register registers the services of this package.
func Register(r grpc.ServiceRegistrar, c *api.Centres) {
	identityv1.RegisterDataSubjectRequestServiceServer(r, requests{c})
	identityv1.RegisterLegalHoldServiceServer(r, holds{c})
}
