package follow

import (
	"context"
	"fmt"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// AppointmentEnded is the type of service permission's event that somebody is
// no longer appointed to administer something.
const AppointmentEnded = "guildhall.permission.admin_appointment.ended.v1"

// endAction names the act in the audit log.
const endAction = "groupchat.members.endAppointment"

// ApplyEnd makes an administrator of a group, whose appointment has ended, a
// plain member; other events have no effect. Service permission has let the
// role count no more already, but for who got it by a merge.
func (f *Follower) ApplyEnd(tx kv.Tx, e *eventv1.Event) error {
	if e.GetType() != AppointmentEnded {
		return nil
	}
	var data permissionv1.AdminAppointmentChanged
	if err := e.GetData().UnmarshalTo(&data); err != nil {
		return errs.New(errs.Invalid, "EVENT_INVALID", "an event holds what its type does not", errs.Cause(fmt.Errorf("event %s: %w", e.GetId(), err)))
	}
	return change.Within(context.Background(), f.Journal, tx, endAction, e.GetTime().AsTime(), func(tx *change.Tx) error {
		tx.Unchanged() // holds unless something is recorded
		if err := f.Groups.Demote(tx, data.GetResource(), data.GetAppointee(), data.GetRole()); err != nil {
			return err
		}
		return f.Groups.DemoteMoved(tx, f.Moves, data.GetResource(), data.GetAppointee(), data.GetRole())
	})
}
