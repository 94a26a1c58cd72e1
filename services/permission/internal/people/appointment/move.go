package appointment

import (
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/subject"
	"guildhall.dev/services/permission/internal/sweep"
)

// Create drafts an appointment. Reasons: ADMIN_APPOINTMENT_EXISTS and those of
// check.
func (s *Appointments) Create(tx *change.Tx, parent, id, creator string, in *permissionv1.AdminAppointment) (*permissionv1.AdminAppointment, error) {
	return s.appointments.Create(tx, parent, id, in, func(a *permissionv1.AdminAppointment) error {
		a.State, a.Creator = draft, creator
		return s.check(tx, a)
	})
}

// Update changes a draft. Reasons: ADMIN_APPOINTMENT_NOT_FOUND, ETAG_MISMATCH,
// ILLEGAL_STATE and those of check.
func (s *Appointments) Update(tx *change.Tx, in *permissionv1.AdminAppointment, mask *fieldmaskpb.FieldMask) (*permissionv1.AdminAppointment, error) {
	return s.appointments.Update(tx, in, mask, func(old, now *permissionv1.AdminAppointment) error {
		if old.GetState() != draft {
			return illegal(old.GetState())
		}
		return s.check(tx, now)
	})
}

// check refuses an appointment that could not become active: SUBJECT_INVALID,
// RESOURCE_FOREIGN, ROLE_NOT_FOUND, DUTY_PROFILE_NOT_FOUND,
// OBJECTION_WINDOW_SHORT, EXPIRE_TIME_PAST.
func (s *Appointments) check(tx *change.Tx, a *permissionv1.AdminAppointment) error {
	organization := resource.Parent(a.GetName())
	if !subject.IsAccount(a.GetAppointee()) || subject.OrganizationOf(a.GetAppointee()) != organization {
		return errs.InvalidField("admin_appointment.appointee", "SUBJECT_INVALID", "name an account of this organisation")
	}
	if !grant.IsResourceOf(organization, a.GetResource()) {
		return errs.InvalidField("admin_appointment.resource", "RESOURCE_FOREIGN", "name this organisation, or a resource of it")
	}
	if err := s.roles.CheckNamed(tx, organization, "admin_appointment.role", a.GetRole()); err != nil {
		return err
	}
	if a.GetReason() == nil || a.GetExpectedImprovement() == nil || len(a.GetDutyProfiles()) == 0 {
		return errs.InvalidField("admin_appointment", "REQUIRED", "an appointment has a reason, an expected improvement and duties")
	}
	for _, name := range a.GetDutyProfiles() {
		if resource.Parent(name) != organization {
			return errs.NotFoundName("DUTY_PROFILE_NOT_FOUND", name)
		}
		if _, err := s.duties.GetProfile(tx, name); err != nil {
			return err
		}
	}
	if _, err := s.window(tx, a); err != nil {
		return err
	}
	return checkExpiry(a, tx.Time)
}

func checkExpiry(a *permissionv1.AdminAppointment, now time.Time) error {
	if a.GetExpireTime() == nil {
		return nil
	}
	if !a.GetExpireTime().IsValid() || a.GetExpireTime().GetSeconds() <= now.Unix() {
		return errs.InvalidField("admin_appointment.expire_time", "EXPIRE_TIME_PAST", "send a time in the future, or none")
	}
	a.ExpireTime = &timestamppb.Timestamp{Seconds: a.GetExpireTime().GetSeconds()}
	return nil
}

// window returns how long customers have to object.
func (s *Appointments) window(r kv.Reader, a *permissionv1.AdminAppointment) (time.Duration, error) {
	policy, err := s.GetPolicy(r, resource.Parent(a.GetName())+"/appointmentPolicy")
	if err != nil {
		return 0, err
	}
	least := policy.GetMinObjectionWindow().AsDuration()
	if a.GetObjectionWindow() == nil {
		return least, nil
	}
	wanted := a.GetObjectionWindow().AsDuration()
	if wanted < least {
		return 0, errs.InvalidField("admin_appointment.objection_window", "OBJECTION_WINDOW_SHORT",
			fmt.Sprintf("the organisation's policy gives customers at least %s", least))
	}
	return wanted, nil
}

// Activate makes the appointee an administrator: it calls give with the grant
// to make, unless a service gives the role. Reasons:
// ADMIN_APPOINTMENT_NOT_FOUND, ETAG_MISMATCH, ILLEGAL_STATE,
// APPOINTMENT_WINDOW_OPEN, APPOINTMENT_OBJECTED, EXPIRE_TIME_PAST, and those of
// give.
func (s *Appointments) Activate(tx *change.Tx, name, etag string, give func(*permissionv1.Grant) (*permissionv1.Grant, error)) (*permissionv1.AdminAppointment, error) {
	return s.appointments.Move(tx, name, etag, "activated", func(a *permissionv1.AdminAppointment) error {
		if a.GetState() != noticeSent {
			return illegal(a.GetState())
		}
		if open := a.GetWindowEndTime().AsTime().Sub(tx.Time); open > 0 {
			return errs.New(errs.Precondition, "APPOINTMENT_WINDOW_OPEN", "customers may still object; wait until window_end_time", errs.RetryAfter(open))
		}
		sum, err := s.count(tx, name)
		if err != nil {
			return err
		}
		if sum.GetObjectionsOpen()+sum.GetObjectionsSustained() > 0 {
			return errs.New(errs.Precondition, "APPOINTMENT_OBJECTED", "objections are open or sustained; decide the first, and give up the appointment for the second")
		}
		if err := checkExpiry(a, tx.Time); err != nil {
			return err
		}
		a.State, a.ActivateTime = active, timestamppb.New(tx.Time)
		if err := s.supersede(tx, a); err != nil {
			return err
		}
		if s.roles.Manager(a.GetRole()) != "" {
			return s.limit(tx, a, a.GetExpireTime())
		}
		given, err := give(&permissionv1.Grant{
			Name: resource.Parent(name) + "/grants/" + tx.NewID(), Subject: a.GetAppointee(), Role: a.GetRole(),
			Resource: a.GetResource(), ExpireTime: a.GetExpireTime(), Reason: a.GetReason().GetEn(),
		})
		a.Grant = given.GetName()
		return err
	})
}

// supersede ends another active appointment to the same: from now on the role
// rests on the new one.
func (s *Appointments) supersede(tx *change.Tx, by *permissionv1.AdminAppointment) error {
	other, err := s.Appointed(tx, tx.Time, by.GetAppointee(), by.GetResource(), by.GetRole())
	if err != nil || other == nil {
		return err
	}
	_, err = s.appointments.Move(tx, other.GetName(), "", "superseded", func(a *permissionv1.AdminAppointment) error {
		a.State, a.EndTime = ended, timestamppb.New(tx.Time)
		if a.GetGrant() == "" {
			return nil
		}
		return s.revoke(tx, a.GetGrant())
	})
	return err
}

// Cancel gives up an appointment that is not active. Reasons:
// ADMIN_APPOINTMENT_NOT_FOUND, ETAG_MISMATCH, ILLEGAL_STATE.
func (s *Appointments) Cancel(tx *change.Tx, name, etag string) (*permissionv1.AdminAppointment, error) {
	return s.appointments.Move(tx, name, etag, "cancelled", func(a *permissionv1.AdminAppointment) error {
		if !slices.Contains([]permissionv1.AdminAppointment_State{draft, noticeSent}, a.GetState()) {
			return illegal(a.GetState())
		}
		a.State, a.EndTime = cancelled, timestamppb.New(tx.Time)
		return nil
	})
}

// End ends an active appointment and the role with it. Reasons:
// ADMIN_APPOINTMENT_NOT_FOUND, ETAG_MISMATCH, ILLEGAL_STATE,
// LAST_ADMINISTRATOR, LAST_OPERATOR.
func (s *Appointments) End(tx *change.Tx, name, etag string) (*permissionv1.AdminAppointment, error) {
	return s.appointments.Move(tx, name, etag, "ended", func(a *permissionv1.AdminAppointment) error {
		if a.GetState() != active {
			return illegal(a.GetState())
		}
		a.State, a.EndTime = ended, timestamppb.New(tx.Time)
		if a.GetGrant() != "" {
			return s.revoke(tx, a.GetGrant())
		}
		return s.limit(tx, a, &timestamppb.Timestamp{Seconds: tx.Time.Unix()})
	})
}

// revoke deletes the grant of an appointment; one that is gone already is.
func (s *Appointments) revoke(tx *change.Tx, name string) error {
	gone, v, err := s.grants.Delete(tx, tx.Time, name, "")
	if errs.Is(err, errs.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	grant.Effect{Before: gone, Revision: v}.Record(tx)
	return nil
}

// limit lets the role that a service gave end at a time; nil is never.
func (s *Appointments) limit(tx *change.Tx, a *permissionv1.AdminAppointment, ends *timestamppb.Timestamp) error {
	e, err := s.grants.LimitManaged(tx, tx.Time, a.GetAppointee(), a.GetResource(), a.GetRole(), ends)
	if err == nil {
		e.Record(tx)
	}
	return err
}

// Job ends appointments whose time is over.
func (s *Appointments) Job() sweep.Job {
	return sweep.Job{
		Action: "permission.adminAppointments.end", Due: s.appointments.Due(byDue),
		Do: func(tx *change.Tx, name string) (bool, error) {
			a, found, err := s.appointments.Find(tx, name)
			if err != nil || !found || a.GetState() != active || standing(a, tx.Time).GetState() != ended {
				return false, err
			}
			_, err = s.End(tx, name, "")
			return false, err
		},
	}
}

func illegal(state permissionv1.AdminAppointment_State) error {
	return errs.New(errs.Precondition, "ILLEGAL_STATE",
		"an appointment in state "+word(state)+" cannot be moved so", errs.Meta("state", word(state)))
}
