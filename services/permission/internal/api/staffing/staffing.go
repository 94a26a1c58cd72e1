// Package staffing serves the RPCs that say who does what, who may, and how
// well: duties, qualifications, appointments, appraisals and inspections. Each
// handler turns a request into a call of its centre below internal/people.
//
// It is a package beside api because those are the people's side: nothing of it
// is on the way of a check. What gives somebody a grant goes through api, so
// that there is one rule for it.
package staffing

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/filter"
	"guildhall.dev/pkg/journal"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/api"
	"guildhall.dev/services/permission/internal/people/appointment"
	"guildhall.dev/services/permission/internal/people/appraisal"
	"guildhall.dev/services/permission/internal/people/duty"
	"guildhall.dev/services/permission/internal/people/inspection"
	"guildhall.dev/services/permission/internal/people/qualification"
)

const organization = resource.Pattern("organizations/{organization}")

// Config is what the handlers call. All fields are required.
type Config struct {
	api.Config
	Duties         *duty.Duties
	Qualifications *qualification.Qualifications
	Appointments   *appointment.Appointments
	Inspections    *inspection.Inspections
	Appraisals     *appraisal.Appraisals
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

// caller returns the name of who is calling.
func caller(ctx context.Context) string {
	c, _ := authn.FromContext(ctx)
	return c.Name
}

// named is a request about one resource in one state.
type named interface {
	GetName() string
	GetEtag() string
}

// do makes a change.
func do[Q, R proto.Message](ctx context.Context, cfg Config, req Q, fn func(tx *change.Tx) (R, error)) (R, error) {
	return change.Do(ctx, cfg.Journal.Changes, req, fn)
}

// read reads something.
func read[T any](ctx context.Context, cfg Config, fn func(r kv.Reader) (T, error)) (T, error) {
	return journal.Read(ctx, cfg.Journal, fn)
}

// list reads a page of something; query is all that decides what is in it.
func list[T any](ctx context.Context, cfg Config, req journal.Paged, query []string, fn func(r kv.Reader, after []byte, limit int) ([]T, []byte, error)) ([]T, string, error) {
	return journal.List(ctx, cfg.Journal, req, query, fn)
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
