// Package desk serves identity's RPCs about what the staff have to do, and when
// they work.
//
// Like package records it is a part of package api that stands apart, because all
// of it together is more than anybody wants to read at once: its handlers turn
// requests into calls of the centres, find out whose business a task is, and decide
// nothing else.
package desk

import (
	"google.golang.org/grpc"

	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/api"
)

// Register registers the services of this package.
func Register(r grpc.ServiceRegistrar, c *api.Centres) {
	identityv1.RegisterTaskServiceServer(r, tasks{c})
	identityv1.RegisterWorkdayServiceServer(r, workdays{c})
}
