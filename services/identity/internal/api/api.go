// Package api serves identity's RPCs: it turns requests into calls of the
// centres and what they return into responses, and decides nothing.
//
// The interceptors of pkg/rpc have authenticated, authorised and validated a
// call before it comes here. Every mutation goes through change.Do, which
// makes it one transaction with its audit entry, its events and the answer to
// a retry.
package api

import (
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"

	"guildhall.dev/pkg/audit"
	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/feed"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/page"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/identity/internal/absence"
	"guildhall.dev/services/identity/internal/access"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/app"
	"guildhall.dev/services/identity/internal/attribute"
	"guildhall.dev/services/identity/internal/chronicle"
	"guildhall.dev/services/identity/internal/clientkey"
	"guildhall.dev/services/identity/internal/consent"
	"guildhall.dev/services/identity/internal/delivery"
	"guildhall.dev/services/identity/internal/desk"
	"guildhall.dev/services/identity/internal/dismissal"
	"guildhall.dev/services/identity/internal/duplicate"
	"guildhall.dev/services/identity/internal/evaluation"
	"guildhall.dev/services/identity/internal/factor"
	"guildhall.dev/services/identity/internal/handover"
	"guildhall.dev/services/identity/internal/hold"
	"guildhall.dev/services/identity/internal/importer"
	"guildhall.dev/services/identity/internal/intake"
	"guildhall.dev/services/identity/internal/interaction"
	"guildhall.dev/services/identity/internal/keyring"
	"guildhall.dev/services/identity/internal/merge"
	"guildhall.dev/services/identity/internal/merger"
	"guildhall.dev/services/identity/internal/message"
	"guildhall.dev/services/identity/internal/oauth"
	"guildhall.dev/services/identity/internal/order"
	"guildhall.dev/services/identity/internal/organization"
	"guildhall.dev/services/identity/internal/ownership"
	"guildhall.dev/services/identity/internal/preference"
	"guildhall.dev/services/identity/internal/reach"
	"guildhall.dev/services/identity/internal/rights"
	"guildhall.dev/services/identity/internal/segment"
	"guildhall.dev/services/identity/internal/session"
	"guildhall.dev/services/identity/internal/stage"
	"guildhall.dev/services/identity/internal/standing"
	"guildhall.dev/services/identity/internal/tag"
	"guildhall.dev/services/identity/internal/takeout"
	"guildhall.dev/services/identity/internal/task"
	"guildhall.dev/services/identity/internal/team"
	"guildhall.dev/services/identity/internal/throttle"
	"guildhall.dev/services/identity/internal/timeline"
	"guildhall.dev/services/identity/internal/verification"
	"guildhall.dev/services/identity/internal/workday"
)

// Centres are what the handlers call. All are required.
type Centres struct {
	Store         kv.Store
	Journal       *change.Journal
	Feed          *feed.Log
	Audit         *audit.Log
	Pages         *page.Codec
	Organizations *organization.Book
	Accounts      *account.Book
	Teams         *team.Book
	Tags          *tag.Book
	Attributes    *attribute.Book
	Segments      *segment.Book
	Orders        *order.Book
	Stages        *stage.Book
	Consents      *consent.Book
	Ownerships    *ownership.Book
	Handovers     *handover.Book
	// Duplicates finds customers who may be one person, Dismissals says who are not.
	Duplicates *duplicate.Finder
	Dismissals *dismissal.Book
	// Merges has who was merged into whom, Merger makes it so.
	Merges *merge.Book
	Merger *merger.Merger
	// Interactions are what was spoken and written with customers; Intake takes
	// them in.
	Interactions *interaction.Book
	Intake       *intake.Desk
	// Timeline is what happened to customers; Scribe writes it, of what Followers hear
	// too.
	Timeline  *timeline.Book
	Scribe    *chronicle.Scribe
	Followers *chronicle.Followers
	// Preferences are what customers are interested in.
	Preferences *preference.Book
	// Tasks are what staff have to do; Desk says who has them.
	Tasks      *task.Book
	Desk       *desk.Desk
	Absences   *absence.Book
	Calendars  *workday.Book
	Factors    *factor.Book
	Sessions   *session.Book
	ClientKeys *clientkey.Book
	Apps       *app.Book
	// Rights has what customers ask about their data, Takeouts what is put together
	// for them, Holds what keeps it.
	Rights   *rights.Book
	Takeouts *takeout.Book
	Holds    *hold.Book
	// Outbox has the messages to people, Templates what they say.
	Outbox    *delivery.Book
	Templates *message.Book
	// Evaluations drives what segments leave to the background.
	Evaluations *evaluation.Driver
	Gate        *access.Gate
	OAuth       *oauth.Server
	// Verifications are the codes that prove contacts, which Reach sends and takes.
	Verifications *verification.Book
	Reach         *reach.Desk
	// Throttle slows guessing down; Waits is what it counts.
	Throttle *throttle.Turnstile
	Waits    *throttle.Book
	// Standings tells permission who may not act any more.
	Standings *standing.Deliverer
	// Checks is permission, which knows who holds how much, and Permission what
	// it has heard of the feed.
	Checks     permissionv1.CheckServiceClient
	Checker    authz.Checker
	Discloser  authz.Discloser
	Permission permissionv1.StandingServiceClient
	Keys       *keyring.Ring
	Importer   *importer.Importer
	Clock      func() time.Time
}

// Register registers the services of this package, which are all but those of
// packages below it.
func Register(r grpc.ServiceRegistrar, c *Centres) {
	identityv1.RegisterOrganizationServiceServer(r, organizations{c})
	identityv1.RegisterStaffServiceServer(r, staff{c})
	identityv1.RegisterCustomerServiceServer(r, customers{c})
	identityv1.RegisterTeamServiceServer(r, teams{c})
	identityv1.RegisterTagServiceServer(r, tags{c})
	identityv1.RegisterAttributeServiceServer(r, attributes{c})
	identityv1.RegisterSegmentServiceServer(r, segments{c})
	identityv1.RegisterAuthServiceServer(r, auth{c})
	identityv1.RegisterThrottleServiceServer(r, throttles{c})
	identityv1.RegisterIdentityEventServiceServer(r, feed.NewServer(c.Feed))
	identityv1.RegisterIdentityAuditServiceServer(r, audit.NewServer(c.Audit))
}

// CheckScope refuses a name that has none of the patterns, of which a list or a
// report takes either. The error is Invalid (RESOURCE_NAME_INVALID).
func CheckScope(field, name string, patterns ...resource.Pattern) error {
	if slices.ContainsFunc(patterns, func(p resource.Pattern) bool { return p.Matches(name) }) {
		return nil
	}
	forms := make([]string, len(patterns))
	for i, p := range patterns {
		forms[i] = string(p)
	}
	return errs.InvalidField(field, resource.Reason, "send a name of the form "+strings.Join(forms, " or "))
}

// CheckStaffScope refuses what is neither an organisation nor one of its staff, the
// two that have what staff have to do. The error is that of CheckScope.
func CheckStaffScope(field, name string) error {
	return CheckScope(field, name, organization.Pattern, account.StaffPattern)
}

// CheckBelow refuses names of a batch that lie outside of its parent or are
// none of the pattern.
func CheckBelow(parent string, names []string, pattern resource.Pattern) error {
	for _, name := range names {
		if _, err := pattern.Parse("names", name); err != nil {
			return err
		}
		if resource.Parent(name) != parent {
			return errs.InvalidField("names", "PARENT_MISMATCH", "name resources below the parent of the request")
		}
	}
	return nil
}
