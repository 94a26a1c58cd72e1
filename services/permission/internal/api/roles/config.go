// Package roles serves the RPCs about what grants are made of: roles with their
// history and usage, permissions, resource types, and stored properties. Each
// handler turns a request into calls of the centres; what somebody may change is
// decided by package edit.
package roles

import (
	"google.golang.org/grpc"

	"guildhall.dev/pkg/journal"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/edit"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/property"
	"guildhall.dev/services/permission/internal/role"
)

// Config is what the handlers call. All fields are required.
type Config struct {
	Journal    *journal.Journal
	Roles      *role.Roles
	Grants     *grant.Grants
	Properties *property.Properties
	Edits      *edit.Editor
}

// Register registers all services of the package.
func Register(r grpc.ServiceRegistrar, cfg Config) {
	permissionv1.RegisterRoleServiceServer(r, &roles{cfg})
	permissionv1.RegisterResourceTypeServiceServer(r, &resourceTypes{cfg})
	permissionv1.RegisterPropertyServiceServer(r, &properties{cfg})
}
