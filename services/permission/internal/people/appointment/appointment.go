// Package appointment holds appointments of administrators: before one acts,
// the customers whom it concerns are told who it is, why, with which duties and
// what should become better, and may object.
//
//	            notifyCustomers               activate
//	DRAFT ------------------------> NOTICE_SENT -------> ACTIVE --end, time--> ENDED
//	  |                                  |
//	  +-------------- cancel ------------+----> CANCELLED
//
// It becomes active when the window for objections is over and none is open or
// sustained. An objection, in the notice of a customer:
//
//	none --object--> OPEN --decide--> OVERRULED | SUSTAINED
//	                  |
//	                  +----withdraw--> WITHDRAWN --object--> OPEN
//
// Active means that the appointee holds the role. One that people give is
// granted with the activation, in one transaction. One that a service gives, as
// groupchat gives that of a group's administrator, is the service's to give: it
// asks Require before, and when the appointment ends it hears of it by the event
// and takes the role away. Until it has, nothing counts that rests on the role:
// the grant ends in the very second.
//
// Who is told is read off the grants on the resource, which are what this
// service knows of members; customers who join later are not asked.
package appointment

import (
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/people/duty"
	"guildhall.dev/services/permission/internal/people/shelf"
	"guildhall.dev/services/permission/internal/role"
)

// Forms of names.
const (
	Name   = resource.Pattern("organizations/{organization}/adminAppointments/{admin_appointment}")
	Notice = resource.Pattern("organizations/{organization}/customers/{customer}/appointmentNotices/{appointment_notice}")
	Policy = resource.Pattern("organizations/{organization}/appointmentPolicy")
)

// GroupAdmin is the role of a group's administrator, which groupchat gives.
const GroupAdmin = "roles/group.admin"

const (
	draft      = permissionv1.AdminAppointment_STATE_DRAFT
	noticeSent = permissionv1.AdminAppointment_STATE_NOTICE_SENT
	active     = permissionv1.AdminAppointment_STATE_ACTIVE
	cancelled  = permissionv1.AdminAppointment_STATE_CANCELLED
	ended      = permissionv1.AdminAppointment_STATE_ENDED
)

// Indexes.
const (
	byAppointee    = "appointee"   // organisation, appointee
	byResource     = "resource"    // organisation, resource
	byDue          = "due"         // when an active one ends
	byTime         = "time"        // customer, create time
	byAppointment  = "appointment" // appointment, customer
	mostRecipients = 2000
)

// Appointments are the appointments of all organisations. It is safe for
// concurrent use.
//
//	admin_appointments    organisation, id -> AdminAppointment
//	appointment_notices   customer, id of the appointment -> AppointmentNotice
//	appointment_policies  name -> AppointmentPolicy
type Appointments struct {
	appointments *shelf.Shelf[*permissionv1.AdminAppointment]
	notices      *shelf.Shelf[*permissionv1.AppointmentNotice]
	policies     *kv.Table[*permissionv1.AppointmentPolicy]
	roles        *role.Roles
	grants       *grant.Grants
	duties       *duty.Duties
}

// New returns the appointments that the store holds.
func New(roles *role.Roles, grants *grant.Grants, duties *duty.Duties) *Appointments {
	return &Appointments{
		roles: roles, grants: grants, duties: duties, appointments: newAppointments(), notices: newNotices(),
		policies: kv.NewTable(kv.TableConfig[*permissionv1.AppointmentPolicy]{
			Name: "appointment_policies", Key: func(p *permissionv1.AppointmentPolicy) kv.Key { return kv.Key{kv.String(p.GetName())} },
		}),
	}
}

func newAppointments() *shelf.Shelf[*permissionv1.AdminAppointment] {
	type record = *permissionv1.AdminAppointment
	return shelf.New(shelf.Config[record]{
		Noun: "admin_appointment", Table: "admin_appointments", Names: []resource.Pattern{Name},
		Mutable: []string{
			"appointee", "appointee_title", "role", "resource", "resource_title", "reason", "expected_improvement",
			"duty_profiles", "objection_window", "expire_time",
		},
		Indexes: []kv.Index[record]{{
			Name: byAppointee, Keys: func(a record) []kv.Key {
				return []kv.Key{{kv.String(resource.Parent(a.GetName())), kv.String(a.GetAppointee())}}
			},
		}, {
			Name: byResource, Keys: func(a record) []kv.Key {
				return []kv.Key{{kv.String(resource.Parent(a.GetName())), kv.String(a.GetResource())}}
			},
		}, {
			Name: byDue, Keys: func(a record) []kv.Key {
				if a.GetState() != active || a.GetExpireTime() == nil {
					return nil
				}
				return []kv.Key{{kv.Time(a.GetExpireTime().AsTime())}}
			},
		}},
		Data: func(a record) proto.Message {
			return &permissionv1.AdminAppointmentChanged{
				Appointee: a.GetAppointee(), Role: a.GetRole(), Resource: a.GetResource(), State: word(a.GetState()),
			}
		},
	})
}

func newNotices() *shelf.Shelf[*permissionv1.AppointmentNotice] {
	type record = *permissionv1.AppointmentNotice
	return shelf.New(shelf.Config[record]{
		Noun: "appointment_notice", Table: "appointment_notices", Names: []resource.Pattern{Notice},
		// The entry of the appointment's notification speaks for them.
		Covered: []string{"created"},
		Indexes: []kv.Index[record]{{
			Name: byTime, Keys: func(n record) []kv.Key {
				return []kv.Key{{kv.String(resource.Parent(n.GetName())), kv.Time(n.GetCreateTime().AsTime())}}
			},
		}, {
			Name: byAppointment, Keys: func(n record) []kv.Key {
				return []kv.Key{{kv.String(n.GetAdminAppointment()), kv.String(resource.Parent(n.GetName()))}}
			},
		}},
		Data: func(n record) proto.Message {
			said := &permissionv1.AppointmentNoticeChanged{AdminAppointment: n.GetAdminAppointment()}
			if n.GetObjection() != nil {
				said.Objection = strings.TrimPrefix(n.GetObjection().GetState().String(), "STATE_")
			}
			return said
		},
	})
}

// Tables returns the raw tables of this package, for kv.Options.
func (s *Appointments) Tables() []string {
	return append(append(s.appointments.Tables(), s.notices.Tables()...), s.policies.Tables()...)
}

// Get returns an appointment as it stands at a time. Reasons:
// ADMIN_APPOINTMENT_NOT_FOUND.
func (s *Appointments) Get(r kv.Reader, now time.Time, name string) (*permissionv1.AdminAppointment, error) {
	a, err := s.appointments.Get(r, name)
	if err != nil {
		return nil, err
	}
	return standing(a, now), nil
}

// Filter selects appointments; at most one field is set.
type Filter struct{ Appointee, Resource string }

// List returns a page of an organisation's appointments by name, or of those
// that the filter selects.
func (s *Appointments) List(r kv.Reader, now time.Time, parent string, f Filter, after []byte, limit int) ([]*permissionv1.AdminAppointment, []byte, error) {
	q := shelf.Below(parent)
	switch {
	case f.Appointee != "":
		q.Index, q.Prefix = byAppointee, q.Prefix.With(kv.String(f.Appointee))
	case f.Resource != "":
		q.Index, q.Prefix = byResource, q.Prefix.With(kv.String(f.Resource))
	}
	found, next, err := s.appointments.List(r, shelf.Page(q, after, limit))
	for i, a := range found {
		found[i] = standing(a, now)
	}
	return found, next, err
}

// Require returns the active appointment by which an account may be made an
// administrator of a group; "" when the policy requires none. Reasons:
// APPOINTMENT_NEEDED.
func (s *Appointments) Require(r kv.Reader, now time.Time, account, group string) (string, error) {
	policy, err := s.GetPolicy(r, resource.Parent(group)+"/appointmentPolicy")
	if err != nil || !policy.GetRequireForGroups() {
		return "", err
	}
	a, err := s.Appointed(r, now, account, group, GroupAdmin)
	if err != nil || a != nil {
		return a.GetName(), err
	}
	return "", errs.New(errs.Precondition, "APPOINTMENT_NEEDED",
		"customers have to be told before the account administers the group; appoint it first, see AdminAppointmentService", errs.Meta("resource", group))
}

// Appointed returns an active appointment of the account to the role on the
// resource, the one that lasts longest; nil when there is none.
func (s *Appointments) Appointed(r kv.Reader, now time.Time, account, on, role string) (best *permissionv1.AdminAppointment, err error) {
	prefix := kv.Key{kv.String(resource.Parent(on)), kv.String(account)}
	for rec, err := range s.appointments.Scan(r, kv.Query{Index: byAppointee, Prefix: prefix}) {
		if err != nil {
			return nil, err
		}
		a := standing(rec.Value, now)
		if a.GetState() == active && a.GetResource() == on && a.GetRole() == role && (best == nil || longer(a, best)) {
			best = a
		}
	}
	return best, nil
}

func longer(a, b *permissionv1.AdminAppointment) bool {
	switch {
	case b.GetExpireTime() == nil:
		return false
	case a.GetExpireTime() == nil:
		return true
	}
	return a.GetExpireTime().GetSeconds() > b.GetExpireTime().GetSeconds()
}

// standing returns the appointment as it stands at a time: one whose time is
// over has ended, whether or not that was written down.
func standing(a *permissionv1.AdminAppointment, now time.Time) *permissionv1.AdminAppointment {
	if a.GetState() == active && a.GetExpireTime() != nil && now.Unix() >= a.GetExpireTime().GetSeconds() {
		a.State = ended
	}
	return a
}

func word(state permissionv1.AdminAppointment_State) string {
	return strings.TrimPrefix(state.String(), "STATE_")
}
