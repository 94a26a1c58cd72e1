// Package messages serves identity's RPCs about messages to people: deliveries,
// and the templates of what they say.
//
// It is a part of package api, apart because all of it together is more than
// anybody wants to read at once; the same is true of its handlers: they turn
// requests into calls of the centres and decide nothing.
package messages

import (
	"google.golang.org/grpc"

	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/api"
)

// Register registers the services of this package.
func Register(r grpc.ServiceRegistrar, c *api.Centres) {
	identityv1.RegisterDeliveryServiceServer(r, deliveries{c})
	identityv1.RegisterMessageTemplateServiceServer(r, templates{c})
}
