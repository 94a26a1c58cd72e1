// Package governance serves the RPCs by which people keep each other's power in
// check: change requests with their policies and notices, access reviews, rules
// of separation and alarms. It turns requests into calls of the centres below
// internal/people and results into responses. It decides nothing.
package governance

import (
	"strings"
	"time"

	"google.golang.org/grpc"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/filter"
	"guildhall.dev/pkg/journal"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/people/notice"
	"guildhall.dev/services/permission/internal/people/policy"
	"guildhall.dev/services/permission/internal/people/reading"
	"guildhall.dev/services/permission/internal/people/request"
	"guildhall.dev/services/permission/internal/people/review"
	"guildhall.dev/services/permission/internal/people/separation"
	"guildhall.dev/services/permission/internal/subject"
)

// Config is what the handlers call. All fields are required.
type Config struct {
	Journal     *journal.Journal
	Requests    *request.Requests
	Policies    *policy.Policies
	Notices     *notice.Notices
	Reviews     *review.Reviews
	Separations *separation.Separations
	Readings    *reading.Counter
	Clock       func() time.Time
	// Merged refuses an account that was merged into another one.
	Merged func(r kv.Reader, accounts ...string) error
}

// Register registers all services of the package.
func Register(r grpc.ServiceRegistrar, cfg Config) {
	permissionv1.RegisterPermissionChangeRequestServiceServer(r, &requests{cfg})
	permissionv1.RegisterApprovalPolicyServiceServer(r, &policies{cfg})
	permissionv1.RegisterNoticeServiceServer(r, &notices{cfg})
	permissionv1.RegisterAccessReviewServiceServer(r, &reviews{cfg})
	permissionv1.RegisterSeparationRuleServiceServer(r, &separations{cfg})
	permissionv1.RegisterAlarmServiceServer(r, &separations{cfg})
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
