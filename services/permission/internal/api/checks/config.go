// Package checks serves the RPCs that ask: checks, what changed about them, who
// may do what and why, what was answered before; and the one that tells who may
// act at all. Each handler turns a request into calls of the centres.
package checks

import (
	"time"

	"google.golang.org/grpc"

	"guildhall.dev/pkg/feed"
	"guildhall.dev/pkg/journal"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/access"
	"guildhall.dev/services/permission/internal/cache"
	"guildhall.dev/services/permission/internal/check"
	"guildhall.dev/services/permission/internal/decide"
	"guildhall.dev/services/permission/internal/decision"
	"guildhall.dev/services/permission/internal/explain"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/subject"
	"guildhall.dev/services/permission/internal/token"
)

// Config is what the handlers call. All fields are required.
type Config struct {
	Journal *journal.Journal
	Checker *check.Checker
	Rules   *decide.Rules
	Loader  *decide.Loader
	Tokens  *token.Tokens
	// Cache and Grants tell watchers when something changes, or expires.
	Cache  *cache.Cache
	Grants *grant.Grants
	// Subjects hear who may act, and Identity follows the feed that says who is in
	// what.
	Subjects *subject.Subjects
	Identity *feed.Consumer
	// Lists and Explainer tell more of answers than a check does, Decisions what
	// was answered.
	Lists     *access.Lists
	Explainer *explain.Explainer
	Decisions *decision.Log
	Clock     func() time.Time
}

// Register registers all services of the package.
func Register(r grpc.ServiceRegistrar, cfg Config) {
	permissionv1.RegisterCheckServiceServer(r, &checks{cfg})
	permissionv1.RegisterStandingServiceServer(r, &standings{cfg})
	permissionv1.RegisterAccessServiceServer(r, &lists{cfg})
	permissionv1.RegisterExplainServiceServer(r, &explanations{cfg})
	permissionv1.RegisterDecisionServiceServer(r, &decisions{cfg})
}
