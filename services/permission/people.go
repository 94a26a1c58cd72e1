package permission

import (
	"errors"
	"slices"

	"guildhall.dev/pkg/serve"
	"guildhall.dev/services/permission/internal/mirror"
	"guildhall.dev/services/permission/internal/people/appointment"
	"guildhall.dev/services/permission/internal/people/appraisal"
	"guildhall.dev/services/permission/internal/people/duty"
	"guildhall.dev/services/permission/internal/people/inspection"
	"guildhall.dev/services/permission/internal/people/notice"
	"guildhall.dev/services/permission/internal/people/policy"
	"guildhall.dev/services/permission/internal/people/qualification"
	"guildhall.dev/services/permission/internal/people/reading"
	"guildhall.dev/services/permission/internal/people/request"
	"guildhall.dev/services/permission/internal/people/review"
	"guildhall.dev/services/permission/internal/people/separation"
	"guildhall.dev/services/permission/internal/sweep"
)

// people are the centres of the people's side: who asks, approves and reviews,
// who does what, who may, and how well.
type people struct {
	policies    *policy.Policies
	notices     *notice.Notices
	requests    *request.Requests
	reviews     *review.Reviews
	separations *separation.Separations
	readings    *reading.Counter

	duties         *duty.Duties
	qualifications *qualification.Qualifications
	appointments   *appointment.Appointments
	inspections    *inspection.Inspections
	appraisals     *appraisal.Appraisals
}

// newPeople makes the centres, and gives grants and checks their rules. Open
// gives them the store, which needs their tables first.
func newPeople(c *centres) people {
	duties, separations := duty.New(c.roles, c.grants), separation.New(separation.Config{Rules: c.rules, Loader: c.loader})
	p := people{
		policies: policy.New(c.roles), notices: notice.New(), separations: separations,
		reviews:  review.New(review.Config{Roles: c.roles, Grants: c.grants, Subjects: c.subjects}),
		readings: reading.New(c.roles.Catalogue().Permissions(), separations.Counting),
		duties:   duties, qualifications: qualification.New(c.roles, c.grants, c.subjects),
		appointments: appointment.New(c.roles, c.grants, duties), inspections: inspection.New(), appraisals: appraisal.New(),
	}
	p.requests = request.New(request.Config{
		Roles: c.roles, Grants: c.grants, Subjects: c.subjects, Policies: p.policies, Notices: p.notices, MayGive: c.edits.MayGive,
	})
	c.loader.Qualifications, c.loader.Separation, c.loader.Approvals = p.qualifications, separations.Deciding, p.requests.ApprovalsOf
	c.grants.Separate(separations.Refuse)
	return p
}

// Tables returns the raw tables of all of them.
func (p people) Tables() []string {
	return slices.Concat(
		p.policies.Tables(), p.notices.Tables(), p.requests.Tables(), p.reviews.Tables(), p.separations.Tables(), p.readings.Tables(),
		p.duties.Tables(), p.qualifications.Tables(), p.appointments.Tables(), p.inspections.Tables(), p.appraisals.Tables(),
	)
}

// forget is what ends with an account or a team that is gone for good.
func (p people) forget() []mirror.Forget {
	return []mirror.Forget{p.duties.Forget, p.qualifications.Forget, p.appointments.Forget, p.appraisals.Forget}
}

// open gives them what the service has once its store is open.
func (p people) open(s *Service, kit *serve.Kit) error {
	return errors.Join(p.reviews.Measure(kit.Meter), p.readings.Open(reading.Config{
		Store: s.journal.Store, Journal: s.journal.Changes, Key: kit.Ring.Derive(reading.Purpose),
		Clock: kit.Clock, Logger: kit.Logger, Meter: kit.Meter,
	}))
}

// newSweeper returns what does what falls due.
func (s *Service) newSweeper(c *centres, kit *serve.Kit) *sweep.Sweeper {
	p := c.people
	return &sweep.Sweeper{
		Store: s.journal.Store, Journal: s.journal.Changes, Logger: kit.Logger, Clock: kit.Clock,
		Jobs: []sweep.Job{c.subjects.Job(), p.requests.Job(), p.reviews.Job(), p.qualifications.Job(), p.appointments.Job()},
	}
}
