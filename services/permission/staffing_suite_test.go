package permission_test

import (
	"testing"

	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// crewClient has the clients of the people's side of one caller.
type crewClient struct {
	*client
	permissionv1.DutyProfileServiceClient
	permissionv1.CourseServiceClient
	permissionv1.TrainingRecordServiceClient
	permissionv1.CertificationRequirementServiceClient
	permissionv1.AdminAppointmentServiceClient
	permissionv1.AppointmentNoticeServiceClient
	permissionv1.InspectionServiceClient
	permissionv1.ScorecardServiceClient
	permissionv1.AppraisalServiceClient
	permissionv1.AwardServiceClient
}

// staffing returns the clients of an account.
func (r *replica) staffing(account string) *crewClient {
	c := r.as(account)
	return &crewClient{
		client: c, DutyProfileServiceClient: permissionv1.NewDutyProfileServiceClient(c.conn),
		CourseServiceClient:                   permissionv1.NewCourseServiceClient(c.conn),
		TrainingRecordServiceClient:           permissionv1.NewTrainingRecordServiceClient(c.conn),
		CertificationRequirementServiceClient: permissionv1.NewCertificationRequirementServiceClient(c.conn),
		AdminAppointmentServiceClient:         permissionv1.NewAdminAppointmentServiceClient(c.conn),
		AppointmentNoticeServiceClient:        permissionv1.NewAppointmentNoticeServiceClient(c.conn),
		InspectionServiceClient:               permissionv1.NewInspectionServiceClient(c.conn),
		ScorecardServiceClient:                permissionv1.NewScorecardServiceClient(c.conn),
		AppraisalServiceClient:                permissionv1.NewAppraisalServiceClient(c.conn),
		AwardServiceClient:                    permissionv1.NewAwardServiceClient(c.conn),
	}
}

// must returns a function that takes the result of a call and fails the test
// on its error.
func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

const (
	tom      = acme + "/staff/tom"
	teacher  = acme + "/staff/teacher"
	stranger = "organizations/zeta/staff/admin"
	group1   = acme + "/groups/g1"
)

// events returns the types of all events about a resource, in their order.
func (r *replica) eventsOf(t testing.TB, subject string) (types []string) {
	t.Helper()
	stream, err := r.asService("feedback").events.StreamEvents(t.Context(), &eventv1.StreamEventsRequest{Parent: acme, StopAtEnd: true})
	if err != nil {
		t.Fatal(err)
	}
	for {
		resp, err := stream.Recv()
		if err != nil {
			return types
		}
		for _, e := range resp.GetEvents() {
			if e.GetSubject() == subject {
				types = append(types, e.GetType())
			}
		}
	}
}
