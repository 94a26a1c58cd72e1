// Package api serves the RPCs of the people's side of service permission:
// change requests, reviews, separation of duties. It turns requests into calls
// of the centres beside it and results into responses, and runs what their
// deadlines need done. It decides nothing.
package api

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/filter"
	"guildhall.dev/pkg/journal"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/people/notice"
	"guildhall.dev/services/permission/internal/people/policy"
	"guildhall.dev/services/permission/internal/people/request"
	"guildhall.dev/services/permission/internal/subject"
)

const organization = resource.Pattern("organizations/{organization}")

// Change serves change requests, their policies and their notices. All fields
// are required.
type Change struct {
	Requests *request.Requests
	Policies *policy.Policies
	Notices  *notice.Notices
	Journal  *journal.Journal
	Logger   *slog.Logger
	Clock    func() time.Time
}

// Tables returns the raw tables of the centres, for kv.Options.
func (c *Change) Tables() []string {
	return slices.Concat(c.Requests.Tables(), c.Policies.Tables(), c.Notices.Tables())
}

// Register registers the handlers.
func (c *Change) Register(r grpc.ServiceRegistrar) {
	permissionv1.RegisterPermissionChangeRequestServiceServer(r, &requests{c})
	permissionv1.RegisterApprovalPolicyServiceServer(r, &policies{c})
	permissionv1.RegisterNoticeServiceServer(r, &notices{c})
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
