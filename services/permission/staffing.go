package permission

import (
	"slices"

	"guildhall.dev/pkg/serve"
	"guildhall.dev/services/permission/internal/api"
	"guildhall.dev/services/permission/internal/api/staffing"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/mirror"
	"guildhall.dev/services/permission/internal/people/appointment"
	"guildhall.dev/services/permission/internal/people/appraisal"
	"guildhall.dev/services/permission/internal/people/duty"
	"guildhall.dev/services/permission/internal/people/inspection"
	"guildhall.dev/services/permission/internal/people/qualification"
	"guildhall.dev/services/permission/internal/people/sweep"
	"guildhall.dev/services/permission/internal/role"
	"guildhall.dev/services/permission/internal/subject"
)

// crew are the centres that package staffing serves.
type crew struct {
	duties         *duty.Duties
	qualifications *qualification.Qualifications
	appointments   *appointment.Appointments
	inspections    *inspection.Inspections
	appraisals     *appraisal.Appraisals
}

func newCrew(roles *role.Roles, grants *grant.Grants, subjects *subject.Subjects) crew {
	duties := duty.New(roles, grants)
	return crew{
		duties: duties, qualifications: qualification.New(roles, grants, subjects),
		appointments: appointment.New(roles, grants, duties), inspections: inspection.New(), appraisals: appraisal.New(),
	}
}

// Tables returns the raw tables of all of them.
func (c crew) Tables() []string {
	return slices.Concat(c.duties.Tables(), c.qualifications.Tables(), c.appointments.Tables(), c.inspections.Tables(), c.appraisals.Tables())
}

// forget is what ends with an account or a team that is gone for good.
func (c crew) forget() []mirror.Forget {
	return []mirror.Forget{c.duties.Forget, c.qualifications.Forget, c.appointments.Forget, c.appraisals.Forget}
}

func (c crew) serve(cfg api.Config) staffing.Config {
	return staffing.Config{
		Config: cfg, Duties: c.duties, Qualifications: c.qualifications, Appointments: c.appointments, Inspections: c.inspections, Appraisals: c.appraisals,
	}
}

// sweep returns what does what falls due. The service's journal is open.
func (s *Service) sweep(c crew, kit *serve.Kit) *sweep.Sweeper {
	return &sweep.Sweeper{
		Store: s.journal.Store, Journal: s.journal.Changes, Logger: kit.Logger, Clock: kit.Clock,
		Jobs: []sweep.Job{c.qualifications.Job(), c.appointments.Job()},
	}
}
