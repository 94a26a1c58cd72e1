// Package grants serves the RPCs about grants: one by one, many at once, as a
// stream, and whether they are used. Each handler turns a request into calls of
// the centres; what somebody may give and take away is decided by package edit.
package grants

import (
	"time"

	"google.golang.org/grpc"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/erasure"
	"guildhall.dev/pkg/journal"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/check"
	"guildhall.dev/services/permission/internal/edit"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/token"
	"guildhall.dev/services/permission/internal/usage"
)

// Config is what the handlers call. All fields are required.
type Config struct {
	Journal *journal.Journal
	Grants  *grant.Grants
	Edits   *edit.Editor
	Checker *check.Checker
	Tokens  *token.Tokens
	// Usage is what is kept of the uses of grants.
	Usage *usage.Recorder
	// Lanes take single changes of grants, which meet in the revision of their
	// organisation, into one transaction.
	Lanes *change.Lanes
	// Erasures knows of whom nothing is kept any more.
	Erasures *erasure.Book
	// Appointed returns an active appointment of an account to a role on a
	// resource, nil for none: what a service gives by it ends with it.
	Appointed func(r kv.Reader, now time.Time, account, on, role string) (*permissionv1.AdminAppointment, error)
}

// Register registers all services of the package.
func Register(r grpc.ServiceRegistrar, cfg Config) {
	permissionv1.RegisterGrantServiceServer(r, &grants{cfg})
	permissionv1.RegisterGrantUsageServiceServer(r, &grantUsage{cfg})
}
