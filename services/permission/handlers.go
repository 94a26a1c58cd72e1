package permission

import (
	"google.golang.org/grpc"

	"guildhall.dev/pkg/audit"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/feed"
	"guildhall.dev/pkg/serve"
	"guildhall.dev/pkg/subjectdata"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/api/checks"
	"guildhall.dev/services/permission/internal/api/fields"
	"guildhall.dev/services/permission/internal/api/governance"
	"guildhall.dev/services/permission/internal/api/grants"
	"guildhall.dev/services/permission/internal/api/policies"
	"guildhall.dev/services/permission/internal/api/roles"
	"guildhall.dev/services/permission/internal/api/staffing"
)

// handlers are the service's RPCs, by subject.
type handlers struct {
	checks     checks.Config
	grants     grants.Config
	roles      roles.Config
	policies   policies.Config
	governance governance.Config
	staffing   staffing.Config
	fields     fields.Config
	subjects   *subjectdata.Server
}

// newHandlers returns the RPCs over the centres. What the service keeps of its own
// is open.
func (s *Service) newHandlers(c *centres, kit *serve.Kit) handlers {
	return handlers{
		checks: checks.Config{
			Journal: s.journal, Checker: s.checker, Rules: c.rules, Loader: c.loader, Tokens: c.tokens,
			Cache: s.cache, Grants: c.grants, Subjects: c.subjects,
			Lists: c.lists, Explainer: c.explainer, Decisions: s.decisions, Clock: kit.Clock,
		},
		grants: grants.Config{
			Journal: s.journal, Grants: c.grants, Edits: c.edits, Checker: s.checker, Tokens: c.tokens, Usage: s.usage,
			Lanes: change.NewLanes(s.journal.Changes), Appointed: c.people.appointments.Appointed,
			Erasures: c.books.Erasures,
		},
		roles: roles.Config{Journal: s.journal, Roles: c.roles, Grants: c.grants, Properties: c.properties, Edits: c.edits},
		policies: policies.Config{
			Journal: s.journal, Policies: c.policies, Edits: c.edits, Rules: c.rules, Loader: c.loader, Lists: c.lists,
		},
		governance: governance.Config{
			Journal: s.journal, Requests: c.people.requests, Policies: c.people.policies, Notices: c.people.notices,
			Reviews: c.people.reviews, Separations: c.people.separations, Readings: c.people.readings, Clock: kit.Clock, Merged: c.books.Moves.Refuse,
		},
		staffing: staffing.Config{
			Journal: s.journal, Grants: c.grants, Edits: c.edits, Clock: kit.Clock,
			Duties: c.people.duties, Qualifications: c.people.qualifications, Appointments: c.people.appointments,
			Inspections: c.people.inspections, Appraisals: c.people.appraisals,
			Decisions: s.decisions, Merged: c.books.Moves.Refuse,
		},
		fields: fields.Config{Journal: s.journal, Policies: c.fields, Checker: s.checker},
	}
}

// Register implements serve.Service.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	checks.Register(r, s.handlers.checks)
	grants.Register(r, s.handlers.grants)
	roles.Register(r, s.handlers.roles)
	policies.Register(r, s.handlers.policies)
	governance.Register(r, s.handlers.governance)
	staffing.Register(r, s.handlers.staffing)
	fields.Register(r, s.handlers.fields)
	permissionv1.RegisterPermissionSubjectServiceServer(r, s.handlers.subjects)
	permissionv1.RegisterPermissionEventServiceServer(r, feed.NewServer(s.journal.Feed))
	permissionv1.RegisterPermissionAuditServiceServer(r, audit.NewServer(s.journal.Audit))
}
