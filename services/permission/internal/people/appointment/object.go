package appointment

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// Said is what somebody says to a notice.
type Said struct {
	Name, Etag string
	// By is who says it, and Text their words.
	By, Text string
}

// Acknowledge notes that a notice arrived, or was read; what was read has
// arrived. Reasons: APPOINTMENT_NOTICE_NOT_FOUND, ETAG_MISMATCH, CUSTOMER_ONLY.
func (s *Appointments) Acknowledge(tx *change.Tx, in Said, read bool) (*permissionv1.AppointmentNotice, error) {
	return s.say(tx, in, "acknowledged", func(n *permissionv1.AppointmentNotice) error {
		now := timestamppb.New(tx.Time)
		if n.GetDeliverTime() == nil {
			n.DeliverTime = now
		}
		if read && n.GetReadTime() == nil {
			n.ReadTime = now
		}
		return nil
	})
}

// Object objects to the appointment. Reasons: APPOINTMENT_NOTICE_NOT_FOUND,
// ETAG_MISMATCH, CUSTOMER_ONLY, OBJECTION_WINDOW_CLOSED, OBJECTION_EXISTS.
func (s *Appointments) Object(tx *change.Tx, in Said) (*permissionv1.AppointmentNotice, error) {
	return s.say(tx, in, "objected", func(n *permissionv1.AppointmentNotice) error {
		a, err := s.appointments.Get(tx, n.GetAdminAppointment())
		if err != nil {
			return err
		}
		if over(n, tx.Time) || a.GetState() != noticeSent {
			return errs.New(errs.Precondition, "OBJECTION_WINDOW_CLOSED", "the time for objections is over; you can file a complaint instead")
		}
		if n.GetObjection() != nil && n.GetObjection().GetState() != withdrawn {
			return errs.New(errs.Exists, "OBJECTION_EXISTS", "you have objected already; withdraw that first to say it anew")
		}
		n.Objection = &permissionv1.Objection{State: objected, Text: in.Text, CreateTime: timestamppb.New(tx.Time)}
		return nil
	})
}

// Withdraw takes an open objection back. Reasons: APPOINTMENT_NOTICE_NOT_FOUND,
// ETAG_MISMATCH, CUSTOMER_ONLY, OBJECTION_NOT_OPEN.
func (s *Appointments) Withdraw(tx *change.Tx, in Said) (*permissionv1.AppointmentNotice, error) {
	return s.say(tx, in, "withdrawn", func(n *permissionv1.AppointmentNotice) error {
		if err := checkOpen(n); err != nil {
			return err
		}
		n.Objection.State = withdrawn
		return nil
	})
}

// Decide decides an open objection. Reasons: APPOINTMENT_NOTICE_NOT_FOUND,
// ETAG_MISMATCH, OBJECTION_NOT_OPEN, DECIDER_INVOLVED.
func (s *Appointments) Decide(tx *change.Tx, in Said, sustain bool) (*permissionv1.AppointmentNotice, error) {
	return s.notices.Move(tx, in.Name, in.Etag, "decided", func(n *permissionv1.AppointmentNotice) error {
		if err := checkOpen(n); err != nil {
			return err
		}
		a, err := s.appointments.Get(tx, n.GetAdminAppointment())
		if err != nil {
			return err
		}
		if in.By == a.GetAppointee() || in.By == a.GetCreator() || in.By == resource.Parent(n.GetName()) {
			return errs.New(errs.Denied, "DECIDER_INVOLVED", "neither who is appointed, nor who appoints, nor who objects decides on the objection")
		}
		n.Objection.State = overruled
		if sustain {
			n.Objection.State = sustained
		}
		n.Objection.Decider, n.Objection.Decision, n.Objection.DecideTime = in.By, in.Text, timestamppb.New(tx.Time)
		return nil
	})
}

// say moves a notice by the word of its customer, which nobody else may speak.
func (s *Appointments) say(tx *change.Tx, in Said, past string, fn func(*permissionv1.AppointmentNotice) error) (*permissionv1.AppointmentNotice, error) {
	return s.notices.Move(tx, in.Name, in.Etag, past, func(n *permissionv1.AppointmentNotice) error {
		if in.By != resource.Parent(n.GetName()) {
			return errs.New(errs.Denied, "CUSTOMER_ONLY", "only the customer who was told can say this")
		}
		return fn(n)
	})
}

func checkOpen(n *permissionv1.AppointmentNotice) error {
	if n.GetObjection().GetState() != objected {
		return errs.New(errs.Precondition, "OBJECTION_NOT_OPEN", "there is no open objection")
	}
	return nil
}
