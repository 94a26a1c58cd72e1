// Package api serves the RPCs of service permission. It turns requests into
// calls of the centres and results into responses. The one thing it decides is
// which question to ask before a grant is given: whether the caller holds as
// much.
package api

import (
	"context"
	"time"

	"google.golang.org/grpc"

	"guildhall.dev/pkg/audit"
	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/feed"
	"guildhall.dev/pkg/journal"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/page"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/access"
	"guildhall.dev/services/permission/internal/check"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/decision"
	"guildhall.dev/services/permission/internal/explain"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/policy"
	"guildhall.dev/services/permission/internal/role"
	"guildhall.dev/services/permission/internal/token"
	"guildhall.dev/services/permission/internal/usage"
)

const organization = resource.Pattern("organizations/{organization}")

// Config is what the handlers call. All fields are required.
type Config struct {
	Roles   *role.Roles
	Grants  *grant.Grants
	Rules   *decide.Rules
	Loader  *decide.Loader
	Checker *check.Checker
	Journal *journal.Journal
	// Appointed returns an active appointment of an account to a role on a
	// resource, nil for none: what a service gives by it ends with it.
	Appointed func(r kv.Reader, now time.Time, account, on, role string) (*permissionv1.AdminAppointment, error)
	// Policies are policies as code.
	Policies *policy.Policies
	// Lists and Explainer tell more of answers than a check does.
	Lists     *access.Lists
	Explainer *explain.Explainer
	// Usage and Decisions are what is kept of answers.
	Usage     *usage.Recorder
	Decisions *decision.Log
	Tokens    *token.Tokens
	// Lanes take single changes of grants, which meet in the revision of their
	// organisation, into one transaction.
	Lanes *change.Lanes
	// Clock decides what has expired, where no change says its time.
	Clock func() time.Time
}

// Register registers all services of the package.
func Register(r grpc.ServiceRegistrar, cfg Config) {
	permissionv1.RegisterRoleServiceServer(r, &roles{cfg})
	permissionv1.RegisterResourceTypeServiceServer(r, &resourceTypes{cfg})
	permissionv1.RegisterPropertyServiceServer(r, &properties{cfg})
	permissionv1.RegisterGrantServiceServer(r, &grants{cfg})
	permissionv1.RegisterGrantUsageServiceServer(r, &grantUsage{cfg})
	permissionv1.RegisterCheckServiceServer(r, &checks{cfg})
	permissionv1.RegisterAccessServiceServer(r, &lists{cfg})
	permissionv1.RegisterExplainServiceServer(r, &explanations{cfg})
	permissionv1.RegisterDecisionServiceServer(r, &decisions{cfg})
	permissionv1.RegisterPolicyServiceServer(r, &policies{cfg})
	permissionv1.RegisterPermissionEventServiceServer(r, feed.NewServer(cfg.Journal.Feed))
	permissionv1.RegisterPermissionAuditServiceServer(r, audit.NewServer(cfg.Journal.Audit))
}

// caller returns who is calling; the zero Caller outside of a call.
func caller(ctx context.Context) authn.Caller {
	c, _ := authn.FromContext(ctx)
	return c
}

// listing is one page request, opened.
type listing struct {
	query page.Query
	after []byte
	size  int
}

// list opens the page request of a List method; parts are what decides which
// records come in which order.
func (cfg Config) list(ctx context.Context, size int32, token, method string, parts ...string) (listing, error) {
	l := listing{query: page.Fingerprint(append([]string{method, caller(ctx).Name}, parts...)...)}
	var err error
	l.after, l.size, err = cfg.Journal.Pages.Start(page.Request{Size: size, Token: token}, l.query)
	return l, err
}

// next returns the token for the page behind a position.
func (cfg Config) next(l listing, position []byte) string {
	return cfg.Journal.Pages.Next(l.query, position)
}
