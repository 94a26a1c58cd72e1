package qualification

import (
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/people/shelf"
)

// CreateCourse stores a new course. Reasons: COURSE_EXISTS,
// COURSE_PERIOD_INVALID.
func (q *Qualifications) CreateCourse(tx *change.Tx, parent, id string, in *permissionv1.Course) (*permissionv1.Course, error) {
	return q.courses.Create(tx, parent, id, in, checkPeriods)
}

// GetCourse returns a course. Reasons: COURSE_NOT_FOUND.
func (q *Qualifications) GetCourse(r kv.Reader, name string) (*permissionv1.Course, error) {
	return q.courses.Get(r, name)
}

// ListCourses returns a page of an organisation's courses, by name.
func (q *Qualifications) ListCourses(r kv.Reader, parent string, after []byte, limit int) ([]*permissionv1.Course, []byte, error) {
	return q.courses.List(r, shelf.Page(shelf.Below(parent), after, limit))
}

// UpdateCourse changes a course; certificates keep their ends. Reasons:
// COURSE_NOT_FOUND, ETAG_MISMATCH, COURSE_PERIOD_INVALID.
func (q *Qualifications) UpdateCourse(tx *change.Tx, in *permissionv1.Course, mask *fieldmaskpb.FieldMask) (*permissionv1.Course, error) {
	return q.courses.Update(tx, in, mask, func(_, now *permissionv1.Course) error {
		if now.GetTitle() == nil || now.GetValidityPeriod() == nil {
			return errs.InvalidField("course", "REQUIRED", "a course has a title and a validity period")
		}
		return checkPeriods(now)
	})
}

// DeleteCourse deletes a course that nothing names. Reasons: COURSE_NOT_FOUND,
// COURSE_IN_USE, ETAG_MISMATCH.
func (q *Qualifications) DeleteCourse(tx *change.Tx, name, etag string) (*permissionv1.Course, error) {
	return q.courses.Delete(tx, name, etag, func(*permissionv1.Course) error {
		use := kv.Query{Index: byCourseUse, Prefix: kv.Key{kv.String(name)}}
		required, err := q.requirements.Any(tx, use)
		if err != nil {
			return err
		}
		taken, err := q.records.Any(tx, use)
		if required || taken {
			return errs.New(errs.Precondition, "COURSE_IN_USE", "a requirement or a training record names this course", errs.Meta("resource", name))
		}
		return err
	})
}

// checkPeriods refuses a certificate that would have to be renewed before it
// is given.
func checkPeriods(c *permissionv1.Course) error {
	if c.GetRenewalLead().AsDuration() >= c.GetValidityPeriod().AsDuration() {
		return errs.InvalidField("course.renewal_lead", "COURSE_PERIOD_INVALID", "send a lead shorter than the validity period")
	}
	return nil
}

// checkCourse refuses a course that is not one of the organisation.
func (q *Qualifications) checkCourse(r kv.Reader, organization, name string) (*permissionv1.Course, error) {
	if CourseName.Matches(name) && resource.Parent(name) == organization {
		c, found, err := q.courses.Find(r, name)
		if err != nil || found {
			return c, err
		}
	}
	return nil, errs.NotFoundName("COURSE_NOT_FOUND", name)
}
