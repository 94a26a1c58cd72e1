package permission_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/errs"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

const lena = acme + "/customers/lena"

// appoint drafts an appointment of sue by tom, who may do all but decide.
func (c *crewClient) appoint(t testing.TB, role, resource string, expires time.Time) *permissionv1.AdminAppointment {
	t.Helper()
	a := &permissionv1.AdminAppointment{
		Appointee: sue, AppointeeTitle: "Sue", Role: role, Resource: resource, ResourceTitle: "Lobby",
		Reason:              &permissionv1.LocalizedText{Zh: "咨询量增加。", En: "More questions come in."},
		ExpectedImprovement: &permissionv1.LocalizedText{Zh: "当天回复。", En: "Answers on the same day."},
		DutyProfiles:        []string{acme + "/dutyProfiles/care"}, ObjectionWindow: durationpb.New(5 * day),
	}
	if !expires.IsZero() {
		a.ExpireTime = timestamppb.New(expires)
	}
	return must[*permissionv1.AdminAppointment](t)(c.CreateAdminAppointment(t.Context(), &permissionv1.CreateAdminAppointmentRequest{
		Parent: acme, AdminAppointment: a,
	}))
}

func (c *crewClient) notify(t testing.TB, a *permissionv1.AdminAppointment, also ...string) *permissionv1.AdminAppointment {
	t.Helper()
	return must[*permissionv1.AdminAppointment](t)(c.NotifyCustomers(t.Context(), &permissionv1.NotifyCustomersRequest{Name: a.GetName(), Customers: also}))
}

func (c *crewClient) activate(t testing.TB, a *permissionv1.AdminAppointment) (*permissionv1.AdminAppointment, error) {
	t.Helper()
	return c.ActivateAdminAppointment(t.Context(), &permissionv1.ActivateAdminAppointmentRequest{Name: a.GetName()})
}

// join makes an account a member of the group g1.
func (r *replica) join(t testing.TB, account, role string, version int64) {
	t.Helper()
	must[*permissionv1.SetManagedGrantResponse](t)(r.asService("groupchat").SetManagedGrant(t.Context(), &permissionv1.SetManagedGrantRequest{
		Subject: account, Resource: group1, Role: role, Version: version,
	}))
}

func TestAppointments_customersAreToldAndAgree(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c, customer := r.staffing(admin), r.staffing(carl)
		start := time.Now().Truncate(time.Second)
		r.in.setClock(start)
		c.care(t)
		r.join(t, carl, "roles/group.member", 1)
		a := c.appoint(t, "roles/customer.service", group1, start.Add(100*day))
		_, err := c.activate(t, a)
		wantError(t, err, errs.Precondition, "ILLEGAL_STATE")
		a = c.notify(t, a, lena)
		for _, want := range []string{"Sue", "Lobby", "More questions come in.", "Customer care: Answers customers within a day.", "Answers on the same day.", a.GetWindowEndTime().AsTime().Format("2006-01-02 15:04 UTC")} {
			if !strings.Contains(a.GetNotice().GetEn(), want) {
				t.Errorf("%q does not say %q", a.GetNotice().GetEn(), want)
			}
		}
		if !strings.Contains(a.GetNotice().GetZh(), "咨询量增加。") || strings.ContainsAny(a.GetNotice().GetZh(), "{}") {
			t.Errorf("notice %q", a.GetNotice().GetZh())
		}
		got := must[*permissionv1.ListAppointmentNoticesResponse](t)(customer.ListAppointmentNotices(t.Context(), &permissionv1.ListAppointmentNoticesRequest{Parent: carl})).GetAppointmentNotices()
		if len(got) != 1 || !proto.Equal(got[0].GetText(), a.GetNotice()) {
			t.Fatalf("carl was told %v", got)
		}
		read := must[*permissionv1.AppointmentNotice](t)(customer.AcknowledgeAppointmentNotice(t.Context(), &permissionv1.AcknowledgeAppointmentNoticeRequest{Name: got[0].GetName(), Read: true}))
		if read.GetDeliverTime() == nil || read.GetReadTime() == nil {
			t.Errorf("read %v", read)
		}
		_, err = c.activate(t, a)
		wantError(t, err, errs.Precondition, "APPOINTMENT_WINDOW_OPEN")
		r.in.setClock(start.Add(5 * day))
		r.asService("gateway").wantMay(t, false, sue, "groupchat.members.create", group1)
		a, err = c.activate(t, a)
		if err != nil || a.GetState() != permissionv1.AdminAppointment_STATE_ACTIVE || a.GetGrant() == "" {
			t.Fatalf("activated %v, %v", a, err)
		}
		r.asService("gateway").wantMay(t, true, sue, "groupchat.members.create", group1)
		sum := must[*permissionv1.SummarizeAdminAppointmentResponse](t)(c.SummarizeAdminAppointment(t.Context(), &permissionv1.SummarizeAdminAppointmentRequest{Name: a.GetName()}))
		if want := (&permissionv1.SummarizeAdminAppointmentResponse{Notices: 2, Delivered: 1, Read: 1, NoticeLeadTime: durationpb.New(5 * day)}); !proto.Equal(sum, want) {
			t.Errorf("summary %v, want %v", sum, want)
		}
		// It ends in the second that it says, and a sweep writes that down.
		r.in.setClock(start.Add(100 * day))
		r.asService("gateway").wantMay(t, false, sue, "groupchat.members.create", group1)
		if err := r.service.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		events := r.eventsOf(t, a.GetName())
		if want := "guildhall.permission.admin_appointment.ended.v1"; !slices.Contains(events, want) {
			t.Errorf("events %v, want %s", events, want)
		}
	})
}

func TestAppointments_objectionsAreHeard(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c, customer := r.staffing(admin), r.staffing(carl)
		start := time.Now().Truncate(time.Second)
		r.in.setClock(start)
		c.care(t)
		r.join(t, carl, "roles/group.member", 1)
		a := c.notify(t, c.appoint(t, "roles/customer.service", group1, time.Time{}))
		notice := carl + "/appointmentNotices/" + a.GetName()[strings.LastIndexByte(a.GetName(), '/')+1:]
		object := &permissionv1.ObjectToAppointmentRequest{Name: notice, Text: "She was rude."}
		_, err := c.ObjectToAppointment(t.Context(), object)
		wantError(t, err, errs.Denied, "CUSTOMER_ONLY")
		_, err = r.staffing(lena).ObjectToAppointment(t.Context(), object)
		wantError(t, err, errs.Denied, "PERMISSION_DENIED")
		must[*permissionv1.AppointmentNotice](t)(customer.ObjectToAppointment(t.Context(), object))
		_, err = customer.ObjectToAppointment(t.Context(), object)
		wantError(t, err, errs.Exists, "OBJECTION_EXISTS")
		must[*permissionv1.AppointmentNotice](t)(customer.WithdrawObjection(t.Context(), &permissionv1.WithdrawObjectionRequest{Name: notice}))
		must[*permissionv1.AppointmentNotice](t)(customer.ObjectToAppointment(t.Context(), object))
		r.in.setClock(start.Add(5 * day))
		_, err = c.activate(t, a)
		wantError(t, err, errs.Precondition, "APPOINTMENT_OBJECTED")

		decide := &permissionv1.DecideObjectionRequest{Name: notice, Decision: "We have spoken with her."}
		_, err = c.DecideObjection(t.Context(), decide) // who appoints
		wantError(t, err, errs.Denied, "DECIDER_INVOLVED")
		judge := c.role(t, "judge", "permission.appointmentNotices.decide", "permission.appointmentNotices.list")
		for _, account := range []string{sue, teacher} {
			c.grant(t, account, judge.GetName(), acme)
		}
		_, err = r.staffing(sue).DecideObjection(t.Context(), decide) // whom it is about
		wantError(t, err, errs.Denied, "DECIDER_INVOLVED")
		decided := must[*permissionv1.AppointmentNotice](t)(r.staffing(teacher).DecideObjection(t.Context(), decide))
		if decided.GetObjection().GetState() != permissionv1.Objection_STATE_OVERRULED || decided.GetObjection().GetDecider() != teacher {
			t.Errorf("decided %v", decided)
		}
		all := must[*permissionv1.ListAppointmentNoticesResponse](t)(r.staffing(teacher).ListAppointmentNotices(t.Context(), &permissionv1.ListAppointmentNoticesRequest{
			Parent: acme + "/customers/-", Filter: `admin_appointment = "` + a.GetName() + `"`,
		}))
		if len(all.GetAppointmentNotices()) != 1 {
			t.Errorf("notices %v", all)
		}
		if _, err = c.activate(t, a); err != nil {
			t.Error(err)
		}
		_, err = customer.ObjectToAppointment(t.Context(), object)
		wantError(t, err, errs.Precondition, "OBJECTION_WINDOW_CLOSED")
	})
}

func TestAppointments_sustainedObjectionEndsIt(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c, customer := r.staffing(admin), r.staffing(carl)
		start := time.Now().Truncate(time.Second)
		r.in.setClock(start)
		c.care(t)
		a := c.notify(t, c.appoint(t, "roles/customer.service", group1, time.Time{}), carl)
		notice := must[*permissionv1.ListAppointmentNoticesResponse](t)(customer.ListAppointmentNotices(t.Context(), &permissionv1.ListAppointmentNoticesRequest{Parent: carl})).GetAppointmentNotices()[0].GetName()
		must[*permissionv1.AppointmentNotice](t)(customer.ObjectToAppointment(t.Context(), &permissionv1.ObjectToAppointmentRequest{Name: notice, Text: "No."}))
		judge := c.role(t, "judge", "permission.appointmentNotices.decide")
		c.grant(t, teacher, judge.GetName(), acme)
		must[*permissionv1.AppointmentNotice](t)(r.staffing(teacher).DecideObjection(t.Context(), &permissionv1.DecideObjectionRequest{Name: notice, Decision: "Agreed.", Sustain: true}))
		r.in.setClock(start.Add(5 * day))
		_, err := c.activate(t, a)
		wantError(t, err, errs.Precondition, "APPOINTMENT_OBJECTED")
		must[*permissionv1.AdminAppointment](t)(c.CancelAdminAppointment(t.Context(), &permissionv1.CancelAdminAppointmentRequest{Name: a.GetName()}))
		_, err = c.activate(t, a)
		wantError(t, err, errs.Precondition, "ILLEGAL_STATE")
	})
}

// TestAppointments_groupAdministrators has a policy that requires appointments
// for groups, and groupchat ask before it makes somebody an administrator.
func TestAppointments_groupAdministrators(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c, gateway := r.staffing(admin), r.asService("gateway")
		groupchat := permissionv1.NewAdminAppointmentServiceClient(r.asService("groupchat").conn)
		start := time.Now().Truncate(time.Second)
		r.in.setClock(start)
		c.care(t)
		require := func() (string, error) {
			resp, err := groupchat.RequireAppointment(t.Context(), &permissionv1.RequireAppointmentRequest{Account: sue, Group: group1})
			return resp.GetAdminAppointment(), err
		}
		if name, err := require(); name != "" || err != nil {
			t.Errorf("without a policy: %q, %v", name, err)
		}
		policy := must[*permissionv1.AppointmentPolicy](t)(c.GetAppointmentPolicy(t.Context(), &permissionv1.GetAppointmentPolicyRequest{Name: acme + "/appointmentPolicy"}))
		policy.RequireForGroups = true
		must[*permissionv1.AppointmentPolicy](t)(c.UpdateAppointmentPolicy(t.Context(), &permissionv1.UpdateAppointmentPolicyRequest{AppointmentPolicy: policy}))
		_, err := require()
		wantError(t, err, errs.Precondition, "APPOINTMENT_NEEDED")

		a := c.notify(t, c.appoint(t, "roles/group.admin", group1, start.Add(50*day)))
		r.in.setClock(start.Add(5 * day))
		if a, err = c.activate(t, a); err != nil || a.GetGrant() != "" {
			t.Fatalf("activated %v, %v", a, err)
		}
		if name, err := require(); name != a.GetName() || err != nil {
			t.Errorf("appointed: %q, %v", name, err)
		}
		r.join(t, sue, "roles/group.admin", 1)
		gateway.wantMay(t, true, sue, "groupchat.members.create", group1)
		r.in.setClock(start.Add(50 * day))
		gateway.wantMay(t, false, sue, "groupchat.members.create", group1)
		_, err = require()
		wantError(t, err, errs.Precondition, "APPOINTMENT_NEEDED")
		// groupchat has heard of it: she is a member like others.
		r.join(t, sue, "roles/group.member", 2)
		gateway.wantMay(t, true, sue, "groupchat.messages.create", group1)
	})
}

func TestEndAdminAppointment_endsTheRoleAtOnce(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c, gateway := r.staffing(admin), r.asService("gateway")
		start := time.Now().Truncate(time.Second)
		c.care(t)
		var made []*permissionv1.AdminAppointment
		for _, role := range []string{"roles/group.admin", "roles/auditor"} {
			r.in.setClock(start)
			a := c.notify(t, c.appoint(t, role, group1, time.Time{}))
			r.in.setClock(start.Add(5 * day))
			made = append(made, must[*permissionv1.AdminAppointment](t)(c.activate(t, a)))
		}
		r.join(t, sue, "roles/group.admin", 1)
		gateway.wantMay(t, true, sue, "groupchat.members.create", group1)
		gateway.wantMay(t, true, sue, "permission.grants.list", group1)
		for _, a := range made {
			must[*permissionv1.AdminAppointment](t)(c.EndAdminAppointment(t.Context(), &permissionv1.EndAdminAppointmentRequest{Name: a.GetName(), Etag: a.GetEtag()}))
		}
		gateway.wantMay(t, false, sue, "groupchat.members.create", group1)
		gateway.wantMay(t, false, sue, "permission.grants.list", group1)
	})
}

func TestAppointments_refuse(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c := r.staffing(admin)
		c.care(t)
		a := c.appoint(t, "roles/viewer", group1, time.Time{})
		for _, test := range []struct {
			change func(a *permissionv1.AdminAppointment)
			kind   errs.Kind
			reason string
		}{
			{func(a *permissionv1.AdminAppointment) { a.Appointee = "organizations/zeta/staff/z" }, errs.Invalid, "SUBJECT_INVALID"},
			{func(a *permissionv1.AdminAppointment) { a.Resource = "organizations/zeta/groups/g1" }, errs.Invalid, "RESOURCE_FOREIGN"},
			{func(a *permissionv1.AdminAppointment) { a.Role = "roles/self" }, errs.NotFound, "ROLE_NOT_FOUND"},
			{func(a *permissionv1.AdminAppointment) { a.DutyProfiles = []string{acme + "/dutyProfiles/none"} }, errs.NotFound, "DUTY_PROFILE_NOT_FOUND"},
			{func(a *permissionv1.AdminAppointment) { a.ObjectionWindow = durationpb.New(71 * time.Hour) }, errs.Invalid, "OBJECTION_WINDOW_SHORT"},
			{func(a *permissionv1.AdminAppointment) { a.ExpireTime = timestamppb.New(time.Unix(1, 0)) }, errs.Invalid, "EXPIRE_TIME_PAST"},
			{func(a *permissionv1.AdminAppointment) { a.Reason = nil }, errs.Invalid, "VALIDATION_FAILED"},
		} {
			wrong := proto.CloneOf(a)
			test.change(wrong)
			_, err := c.CreateAdminAppointment(t.Context(), &permissionv1.CreateAdminAppointmentRequest{Parent: acme, AdminAppointment: wrong})
			wantError(t, err, test.kind, test.reason)
		}
		_, err := c.NotifyCustomers(t.Context(), &permissionv1.NotifyCustomersRequest{Name: a.GetName(), Customers: []string{sue}})
		wantError(t, err, errs.Invalid, "CUSTOMER_INVALID")
		_, err = r.staffing(stranger).GetAdminAppointment(t.Context(), &permissionv1.GetAdminAppointmentRequest{Name: a.GetName()})
		wantError(t, err, errs.NotFound, "RESOURCE_NOT_FOUND")
		c.notify(t, a)
		a.AppointeeTitle, a.Etag = "S.", ""
		_, err = c.UpdateAdminAppointment(t.Context(), &permissionv1.UpdateAdminAppointmentRequest{
			AdminAppointment: a, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"appointee_title"}},
		})
		wantError(t, err, errs.Precondition, "ILLEGAL_STATE")
		_, err = c.UpdateAppointmentPolicy(t.Context(), &permissionv1.UpdateAppointmentPolicyRequest{AppointmentPolicy: &permissionv1.AppointmentPolicy{
			Name: acme + "/appointmentPolicy", NoticeTemplate: &permissionv1.LocalizedText{Zh: "你好", En: "Hello"},
		}})
		wantError(t, err, errs.Invalid, "NOTICE_TEMPLATE_INVALID")
	})
}
