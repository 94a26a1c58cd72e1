// Package api serves the RPCs of the people's side of service permission:
// change requests, reviews, separation of duties. It turns requests into calls
// of the centres beside it and results into responses, and runs what their
// deadlines need done. It decides nothing.
package api

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"
	"google.golang.org/grpc"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/filter"
	"guildhall.dev/pkg/journal"
	"guildhall.dev/pkg/resource"
	"guildhall.dev/pkg/serve"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/people/notice"
	"guildhall.dev/services/permission/internal/people/policy"
	"guildhall.dev/services/permission/internal/people/reading"
	"guildhall.dev/services/permission/internal/people/request"
	"guildhall.dev/services/permission/internal/people/review"
	"guildhall.dev/services/permission/internal/people/separation"
	"guildhall.dev/services/permission/internal/subject"
)

const organization = resource.Pattern("organizations/{organization}")

// Change serves change requests, their policies and their notices, access
// reviews, and rules of separation. All exported fields are required.
type Change struct {
	Requests *request.Requests
	Policies *policy.Policies
	Notices  *notice.Notices
	Reviews  *review.Reviews

	Separations *separation.Separations
	Readings    *reading.Counter

	// Set by Open.
	journal *journal.Journal
	logger  *slog.Logger
	clock   func() time.Time
	overdue atomic.Int64 // items of reviews, as of the last sweep
}

// Tables returns the raw tables of the centres, for kv.Options.
func (c *Change) Tables() []string {
	return slices.Concat(c.Requests.Tables(), c.Policies.Tables(), c.Notices.Tables(), c.Reviews.Tables(), c.Separations.Tables(), c.Readings.Tables())
}

// Open gives the centres the store that has their tables. Call it before
// Register and Run.
func (c *Change) Open(j *journal.Journal, kit *serve.Kit) error {
	c.journal, c.logger, c.clock = j, kit.Logger, kit.Clock
	if err := c.Readings.Open(j.Store, j.Changes, kit.Logger, kit.Meter); err != nil {
		return err
	}
	if kit.Meter == nil {
		return nil
	}
	_, err := kit.Meter.Int64ObservableGauge("guildhall.permission.reviews.overdue",
		metric.WithDescription("Items of active access reviews that nobody decided about in time."),
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(c.overdue.Load())
			return nil
		}))
	if err != nil {
		return fmt.Errorf("metric of reviews: %w", err)
	}
	return nil
}

// Register registers the handlers.
func (c *Change) Register(r grpc.ServiceRegistrar) {
	permissionv1.RegisterPermissionChangeRequestServiceServer(r, &requests{c})
	permissionv1.RegisterApprovalPolicyServiceServer(r, &policies{c})
	permissionv1.RegisterNoticeServiceServer(r, &notices{c})
	permissionv1.RegisterAccessReviewServiceServer(r, &reviews{c})
	permissionv1.RegisterSeparationRuleServiceServer(r, &separations{c})
	permissionv1.RegisterAlarmServiceServer(r, &separations{c})
}

// caller returns who is calling; the zero Caller outside of a call.
func caller(ctx context.Context) authn.Caller {
	c, _ := authn.FromContext(ctx)
	return c
}

// checkAccount refuses a parent that is no account.
func checkAccount(name string) error {
	if subject.IsAccount(name) {
		return nil
	}
	return errs.InvalidField("parent", resource.Reason, "send the name of an account, as in organizations/acme/staff/s1")
}

// words returns the values of an enum as filters spell them, without the zero
// one.
func words(values map[string]int32, prefix string) []string {
	var out []string
	for name, n := range values {
		if n != 0 {
			out = append(out, strings.TrimPrefix(name, prefix))
		}
	}
	return out
}

// onlyTerm returns the filter's term of that field when it is the only one.
func onlyTerm(terms filter.Terms, field string) (filter.Term, bool) {
	t, ok := terms.Lookup(field)
	return t, ok && len(terms) == 1
}
