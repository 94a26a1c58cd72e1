// Package staffing serves the RPCs that say who does what, who may, and how
// well: duties, qualifications, appointments, appraisals and inspections. Each
// handler turns a request into a call of its centre below internal/people. What
// gives somebody a grant goes through package edit.
package staffing

import (
	"time"

	"google.golang.org/grpc"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/filter"
	"guildhall.dev/pkg/journal"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/decision"
	"guildhall.dev/services/permission/internal/edit"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/people/appointment"
	"guildhall.dev/services/permission/internal/people/appraisal"
	"guildhall.dev/services/permission/internal/people/duty"
	"guildhall.dev/services/permission/internal/people/inspection"
	"guildhall.dev/services/permission/internal/people/qualification"
)

// Config is what the handlers call. All fields are required.
type Config struct {
	Journal *journal.Journal
	Grants  *grant.Grants
	Edits   *edit.Editor
	Clock   func() time.Time
	// Merged refuses an account that was merged into another one.
	Merged func(r kv.Reader, accounts ...string) error

	Duties         *duty.Duties
	Qualifications *qualification.Qualifications
	Appointments   *appointment.Appointments
	Inspections    *inspection.Inspections
	Appraisals     *appraisal.Appraisals
	// Decisions are what inspections may be drawn from.
	Decisions *decision.Log
}

// Register registers all services of the package.
func Register(r grpc.ServiceRegistrar, cfg Config) {
	permissionv1.RegisterDutyProfileServiceServer(r, duties{cfg})
	permissionv1.RegisterCourseServiceServer(r, courses{cfg})
	permissionv1.RegisterTrainingRecordServiceServer(r, training{cfg})
	permissionv1.RegisterCertificationRequirementServiceServer(r, requirements{cfg})
	permissionv1.RegisterAdminAppointmentServiceServer(r, appointments{cfg})
	permissionv1.RegisterAppointmentNoticeServiceServer(r, notices{cfg})
	permissionv1.RegisterInspectionServiceServer(r, inspections{cfg})
	permissionv1.RegisterScorecardServiceServer(r, scorecards{cfg})
	permissionv1.RegisterAppraisalServiceServer(r, appraisals{cfg})
	permissionv1.RegisterAwardServiceServer(r, awards{cfg})
}

// named is a request about one resource in one state.
type named interface {
	GetName() string
	GetEtag() string
}

// only reads a filter of one term, field = "…", of those named; both are empty
// for the empty filter.
func only(text string, fields ...string) (field, value string, err error) {
	declared := make([]filter.Field, len(fields))
	for i, name := range fields {
		declared[i] = filter.Field{Name: name, Type: filter.String}
	}
	terms, err := filter.Parse(text, declared...)
	if err != nil || len(terms) == 0 {
		return "", "", err
	}
	if len(terms) > 1 || terms[0].Text == "" {
		return "", "", errs.InvalidField("filter", "FILTER_INVALID", "send one condition")
	}
	return terms[0].Field, terms[0].Text, nil
}
