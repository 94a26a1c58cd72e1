package permission_test

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

const day = 24 * time.Hour

// course is one whose certificates are valid for 180 days, and said to end 30
// days before.
func (c *crewClient) course(t testing.TB, id string) *permissionv1.Course {
	t.Helper()
	return must[*permissionv1.Course](t)(c.CreateCourse(t.Context(), &permissionv1.CreateCourseRequest{
		Parent: acme, CourseId: id, Course: &permissionv1.Course{
			Title:          &permissionv1.LocalizedText{Zh: "消息处理", En: "Handling messages"},
			ValidityPeriod: durationpb.New(180 * day), RenewalLead: durationpb.New(30 * day),
		},
	}))
}

func (c *crewClient) enrol(t testing.TB, account string, course *permissionv1.Course) *permissionv1.TrainingRecord {
	t.Helper()
	return must[*permissionv1.TrainingRecord](t)(c.CreateTrainingRecord(t.Context(), &permissionv1.CreateTrainingRecordRequest{
		Parent: account, TrainingRecord: &permissionv1.TrainingRecord{Course: course.GetName()},
	}))
}

func (c *crewClient) pass(t testing.TB, r *permissionv1.TrainingRecord) *permissionv1.TrainingRecord {
	t.Helper()
	return must[*permissionv1.TrainingRecord](t)(c.PassTrainingRecord(t.Context(), &permissionv1.PassTrainingRecordRequest{
		Name: r.GetName(), Evidence: "92 of 100",
	}))
}

func TestTrainingRecords_fromAssignmentToRenewal(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.staffing(admin)
		start := time.Now().Truncate(time.Second)
		r.in.setClock(start)
		rec := c.enrol(t, sue, c.course(t, "messages"))
		if rec.GetState() != permissionv1.TrainingRecord_STATE_ASSIGNED || rec.GetCreator() != admin {
			t.Errorf("assigned %v", rec)
		}
		failed := must[*permissionv1.TrainingRecord](t)(c.FailTrainingRecord(t.Context(), &permissionv1.FailTrainingRecordRequest{Name: rec.GetName(), Evidence: "40 of 100"}))
		_, err := c.PassTrainingRecord(t.Context(), &permissionv1.PassTrainingRecordRequest{Name: rec.GetName(), Evidence: "x"})
		wantError(t, err, errs.Precondition, "ILLEGAL_STATE")
		_, err = c.RetakeTrainingRecord(t.Context(), &permissionv1.RetakeTrainingRecordRequest{Name: rec.GetName(), Etag: rec.GetEtag()})
		wantError(t, err, errs.Conflict, "ETAG_MISMATCH")
		must[*permissionv1.TrainingRecord](t)(c.RetakeTrainingRecord(t.Context(), &permissionv1.RetakeTrainingRecordRequest{Name: rec.GetName(), Etag: failed.GetEtag()}))
		passed := c.pass(t, rec)
		if passed.GetAttempts() != 2 || passed.GetAssessor() != admin || passed.GetEvidence() != "92 of 100" || !passed.GetExpireTime().AsTime().Equal(start.Add(180*day)) {
			t.Errorf("passed %v", passed)
		}
		state := func(now time.Time) permissionv1.TrainingRecord_State {
			r.in.setClock(now)
			return must[*permissionv1.TrainingRecord](t)(c.GetTrainingRecord(t.Context(), &permissionv1.GetTrainingRecordRequest{Name: rec.GetName()})).GetState()
		}
		if got := state(start.Add(180*day - 1)); got != permissionv1.TrainingRecord_STATE_PASSED {
			t.Errorf("just before its end it is %v", got)
		}
		if got := state(start.Add(180 * day)); got != permissionv1.TrainingRecord_STATE_EXPIRED {
			t.Errorf("at its end it is %v", got)
		}
		must[*permissionv1.TrainingRecord](t)(c.RetakeTrainingRecord(t.Context(), &permissionv1.RetakeTrainingRecordRequest{Name: rec.GetName()}))
		c.pass(t, rec)
		if got := state(start.Add(300 * day)); got != permissionv1.TrainingRecord_STATE_PASSED {
			t.Errorf("renewed it is %v", got)
		}
		must[*permissionv1.TrainingRecord](t)(c.RevokeTrainingRecord(t.Context(), &permissionv1.RevokeTrainingRecordRequest{Name: rec.GetName(), Reason: "somebody else took it"}))
		if got := state(start.Add(300 * day)); got != permissionv1.TrainingRecord_STATE_REVOKED {
			t.Errorf("revoked it is %v", got)
		}
	})
}

func TestTrainingRecords_nobodyConfirmsTheirOwn(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.staffing(admin)
		rec := c.enrol(t, admin, c.course(t, "messages"))
		_, err := c.PassTrainingRecord(t.Context(), &permissionv1.PassTrainingRecordRequest{Name: rec.GetName(), Evidence: "x"})
		wantError(t, err, errs.Denied, "ASSESSOR_IS_TRAINEE")
		examiner := c.role(t, "examiner", "permission.trainingRecords.pass", "permission.trainingRecords.get")
		c.grant(t, teacher, examiner.GetName(), acme)
		r.staffing(teacher).pass(t, rec)
	})
}

func TestTrainingRecords_everybodySeesTheirOwn(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.staffing(admin)
		course := c.course(t, "messages")
		rec := c.enrol(t, sue, course)
		c.enrol(t, carl, course)
		own := r.staffing(sue)
		must[*permissionv1.TrainingRecord](t)(own.GetTrainingRecord(t.Context(), &permissionv1.GetTrainingRecordRequest{Name: rec.GetName()}))
		_, err := r.staffing(tom).GetTrainingRecord(t.Context(), &permissionv1.GetTrainingRecordRequest{Name: rec.GetName()})
		wantError(t, err, errs.Denied, "PERMISSION_DENIED")
		_, err = r.staffing(stranger).GetTrainingRecord(t.Context(), &permissionv1.GetTrainingRecordRequest{Name: rec.GetName()})
		wantError(t, err, errs.NotFound, "RESOURCE_NOT_FOUND")
		_, err = own.PassTrainingRecord(t.Context(), &permissionv1.PassTrainingRecordRequest{Name: rec.GetName(), Evidence: "x"})
		wantError(t, err, errs.Denied, "PERMISSION_DENIED")
		for parent, want := range map[string]int{sue: 1, acme + "/staff/-": 1, acme + "/customers/-": 1, tom: 0} {
			resp := must[*permissionv1.ListTrainingRecordsResponse](t)(c.ListTrainingRecords(t.Context(), &permissionv1.ListTrainingRecordsRequest{Parent: parent}))
			if len(resp.GetTrainingRecords()) != want {
				t.Errorf("%s has %d records, want %d", parent, len(resp.GetTrainingRecords()), want)
			}
		}
		_, err = own.ListTrainingRecords(t.Context(), &permissionv1.ListTrainingRecordsRequest{Parent: acme + "/staff/-"})
		wantError(t, err, errs.Denied, "PERMISSION_DENIED")
	})
}

func TestCertificates_endsAreToldOnce(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.staffing(admin)
		start := time.Now().Truncate(time.Second)
		r.in.setClock(start)
		rec := c.pass(t, c.enrol(t, sue, c.course(t, "messages")))
		want := []string{"guildhall.permission.training_record.created.v1", "guildhall.permission.training_record.passed.v1"}
		for _, step := range []struct {
			after time.Duration
			past  string
		}{{149 * day, ""}, {150 * day, "expiring"}, {179 * day, ""}, {180 * day, "expired"}, {200 * day, ""}} {
			r.in.setClock(start.Add(step.after))
			for range 2 { // replicas sweep beside each other
				if err := r.service.Sweep(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if step.past != "" {
				want = append(want, "guildhall.permission.training_record."+step.past+".v1")
			}
			if got := r.eventsOf(t, rec.GetName()); !slices.Equal(got, want) {
				t.Errorf("after %v: events %v, want %v", step.after, got, want)
			}
		}
	})
}

func TestCourses_standardMethods(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.staffing(admin)
		course := c.course(t, "messages")
		bad := proto.CloneOf(course)
		bad.RenewalLead = bad.ValidityPeriod
		_, err := c.CreateCourse(t.Context(), &permissionv1.CreateCourseRequest{Parent: acme, Course: bad})
		wantError(t, err, errs.Invalid, "COURSE_PERIOD_INVALID")
		bad.ValidityPeriod = nil
		_, err = c.CreateCourse(t.Context(), &permissionv1.CreateCourseRequest{Parent: acme, Course: bad})
		wantError(t, err, errs.Invalid, "VALIDATION_FAILED")
		course.Description = "Two hours."
		updated := must[*permissionv1.Course](t)(c.UpdateCourse(t.Context(), &permissionv1.UpdateCourseRequest{
			Course: course, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"description"}},
		}))
		// Staff look up what they can be trained in; the record keeps it.
		must[*permissionv1.Course](t)(r.staffing(sue).GetCourse(t.Context(), &permissionv1.GetCourseRequest{Name: updated.GetName()}))
		c.enrol(t, sue, updated)
		_, err = c.DeleteCourse(t.Context(), &permissionv1.DeleteCourseRequest{Name: updated.GetName()})
		wantError(t, err, errs.Precondition, "COURSE_IN_USE")
		other := c.course(t, "other")
		must[*permissionv1.Course](t)(c.DeleteCourse(t.Context(), &permissionv1.DeleteCourseRequest{Name: other.GetName(), Etag: other.GetEtag()}))
		_, err = c.CreateTrainingRecord(t.Context(), &permissionv1.CreateTrainingRecordRequest{Parent: sue, TrainingRecord: &permissionv1.TrainingRecord{Course: other.GetName()}})
		wantError(t, err, errs.NotFound, "COURSE_NOT_FOUND")
	})
}

func (c *crewClient) require(t testing.TB, role, resource string, course *permissionv1.Course, grace time.Duration) *permissionv1.CertificationRequirement {
	t.Helper()
	return must[*permissionv1.CertificationRequirement](t)(c.CreateCertificationRequirement(t.Context(), &permissionv1.CreateCertificationRequirementRequest{
		Parent: acme, CertificationRequirement: &permissionv1.CertificationRequirement{
			Role: role, Resource: resource, Course: course.GetName(), GracePeriod: durationpb.New(grace),
		},
	}))
}

func TestReportCoverage_listsWhoHoldsTheRole(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.staffing(admin)
		start := time.Now().Truncate(time.Second)
		r.in.setClock(start)
		course := c.course(t, "messages")
		q := c.require(t, "roles/customer.service", "", course, 0)
		team := acme + "/teams/sales"
		for _, member := range []string{tom, teacher} {
			r.in.identity.tell("guildhall.identity.team_member.created.v1", team, &identityv1.TeamMemberChanged{Team: team, Account: member})
		}
		c.grant(t, sue, "roles/customer.service", acme)
		c.grant(t, team, "roles/customer.service", acme)
		c.grant(t, acme+"/allStaff", "roles/customer.service", acme+"/groups/lobby")
		c.pass(t, c.enrol(t, sue, course))
		r.in.setClock(start.Add(100 * day))
		c.pass(t, c.enrol(t, tom, course))
		report := func(req *permissionv1.ReportCoverageRequest) (lines []string) {
			req.Name, req.PageSize = q.GetName(), 1
			for {
				resp := must[*permissionv1.ReportCoverageResponse](t)(c.ReportCoverage(t.Context(), req))
				for _, l := range resp.GetCoverageLines() {
					lines = append(lines, l.GetAccount()+" "+l.GetState().String()[len("STATE_"):]+" "+l.GetTeam())
				}
				if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
					slices.Sort(lines)
					return lines
				}
			}
		}
		everyone := acme + "/allStaff NOT_LISTED "
		want := []string{everyone, sue + " EXPIRING ", teacher + " MISSING " + team, tom + " VALID " + team}
		r.in.await(func() bool { return len(report(&permissionv1.ReportCoverageRequest{})) == 4 })
		if got := report(&permissionv1.ReportCoverageRequest{ExpiringWithinDays: 90}); !slices.Equal(got, want) {
			t.Errorf("report %v, want %v", got, want)
		}
		r.in.setClock(start.Add(200 * day))
		want = []string{everyone, sue + " EXPIRED ", teacher + " MISSING " + team}
		if got := report(&permissionv1.ReportCoverageRequest{GapsOnly: true}); !slices.Equal(got, want) {
			t.Errorf("gaps %v, want %v", got, want)
		}
	})
}

func TestCertificationRequirements_refuse(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.staffing(admin)
		course := c.course(t, "messages")
		for _, test := range []struct {
			role, resource, course string
			kind                   errs.Kind
			reason                 string
		}{
			{"roles/organization.admin", "", course.GetName(), errs.Invalid, "ROLE_NOT_QUALIFIABLE"},
			{"roles/operator", "", course.GetName(), errs.Invalid, "ROLE_NOT_QUALIFIABLE"},
			{"roles/nobody", "", course.GetName(), errs.NotFound, "ROLE_NOT_FOUND"},
			{"roles/viewer", "organizations/zeta", course.GetName(), errs.Invalid, "DUTY_RESOURCE_INVALID"},
			{"roles/viewer", acme + "/groups", course.GetName(), errs.Invalid, "DUTY_RESOURCE_INVALID"},
			{"roles/viewer", "", acme + "/courses/none", errs.NotFound, "COURSE_NOT_FOUND"},
			{"roles/viewer", "", "organizations/zeta/courses/messages", errs.NotFound, "COURSE_NOT_FOUND"},
		} {
			_, err := c.CreateCertificationRequirement(t.Context(), &permissionv1.CreateCertificationRequirementRequest{
				Parent: acme, CertificationRequirement: &permissionv1.CertificationRequirement{Role: test.role, Resource: test.resource, Course: test.course},
			})
			wantError(t, err, test.kind, test.reason)
		}
	})
}
