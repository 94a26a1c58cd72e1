// Package records serves identity's RPCs about the record that an enterprise keeps
// of its customers, beyond their accounts: who looks after them, and how far they
// have come.
//
// Like package clients it is a part of package api that stands apart, because all
// of it together is more than anybody wants to read at once: its handlers turn
// requests into calls of the centres and decide nothing.
package records

import (
	"google.golang.org/grpc"

	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/api"
)

// Register registers the services of this package.
func Register(r grpc.ServiceRegistrar, c *api.Centres) {
	identityv1.RegisterOwnershipServiceServer(r, ownerships{c})
	identityv1.RegisterOwnershipTransferServiceServer(r, transfers{c})
	identityv1.RegisterStageServiceServer(r, stages{c})
}
