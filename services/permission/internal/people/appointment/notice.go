package appointment

import (
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/move"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/people/shelf"
)

const (
	objected   = permissionv1.Objection_STATE_OPEN
	withdrawn  = permissionv1.Objection_STATE_WITHDRAWN
	overruled  = permissionv1.Objection_STATE_OVERRULED
	sustained  = permissionv1.Objection_STATE_SUSTAINED
	timeLayout = "2006-01-02 15:04 UTC"
)

// Notify tells the customers who are members of the resource, and those named,
// and opens the window. Reasons: ADMIN_APPOINTMENT_NOT_FOUND, ETAG_MISMATCH,
// ILLEGAL_STATE, CUSTOMER_INVALID, APPOINTMENT_CUSTOMERS_LIMIT,
// OBJECTION_WINDOW_SHORT.
func (s *Appointments) Notify(tx *change.Tx, name, etag string, also []string) (*permissionv1.AdminAppointment, error) {
	return s.appointments.Move(tx, name, etag, "notified", func(a *permissionv1.AdminAppointment) error {
		if a.GetState() != draft {
			return illegal(a.GetState())
		}
		customers, err := s.recipients(tx, a, also)
		if err != nil {
			return err
		}
		window, err := s.window(tx, a)
		if err != nil {
			return err
		}
		a.State, a.NoticeTime = noticeSent, timestamppb.New(tx.Time)
		a.WindowEndTime = timestamppb.New(tx.Time.Add(window))
		if a.Notice, err = s.text(tx, a); err != nil {
			return err
		}
		for _, customer := range customers {
			_, err := s.notices.Create(tx, customer, name[strings.LastIndexByte(name, '/')+1:], &permissionv1.AppointmentNotice{}, func(n *permissionv1.AppointmentNotice) error {
				n.AdminAppointment, n.Text, n.WindowEndTime = name, a.GetNotice(), a.GetWindowEndTime()
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// recipients returns the customers to tell, by name.
func (s *Appointments) recipients(r kv.Reader, a *permissionv1.AdminAppointment, also []string) ([]string, error) {
	organization := resource.Parent(a.GetName())
	var customers []string
	for _, name := range also {
		if !isCustomer(name, organization) {
			return nil, errs.InvalidField("customers", "CUSTOMER_INVALID", "name customers of this organisation")
		}
		customers = append(customers, name)
	}
	for rec, err := range s.grants.ScanResource(r, organization, a.GetResource()) {
		if err != nil {
			return nil, err
		}
		if name := rec.Value.GetSubject(); isCustomer(name, organization) && name != a.GetAppointee() {
			customers = append(customers, name)
		}
	}
	slices.Sort(customers)
	if customers = slices.Compact(customers); len(customers) > mostRecipients {
		return nil, errs.New(errs.Exhausted, "APPOINTMENT_CUSTOMERS_LIMIT", "one appointment tells at most 2,000 customers; appoint for smaller groups")
	}
	return customers, nil
}

func isCustomer(name, organization string) bool {
	kind, home, ok := authn.ParseName(name)
	return ok && kind == authn.Customer && home == organization
}

// text fills in the template of the policy.
func (s *Appointments) text(r kv.Reader, a *permissionv1.AdminAppointment) (*permissionv1.LocalizedText, error) {
	policy, err := s.GetPolicy(r, resource.Parent(a.GetName())+"/appointmentPolicy")
	if err != nil {
		return nil, err
	}
	var duties []string
	for _, name := range a.GetDutyProfiles() {
		p, err := s.duties.GetProfile(r, name)
		if err != nil {
			return nil, err
		}
		duties = append(duties, strings.TrimSpace(p.GetDisplayName()+": "+p.GetDescription()))
	}
	in := func(reason, improvement, separator string) map[string]string {
		return map[string]string{
			slotAppointee: a.GetAppointeeTitle(), slotResource: a.GetResourceTitle(), slotReason: reason, slotImprovement: improvement,
			slotDuties: strings.Join(duties, separator), slotWindowEnd: a.GetWindowEndTime().AsTime().Format(timeLayout),
		}
	}
	why, better := a.GetReason(), a.GetExpectedImprovement()
	return fill(policy.GetNoticeTemplate(), in(why.GetZh(), better.GetZh(), "；"), in(why.GetEn(), better.GetEn(), "; ")), nil
}

// GetNotice returns a notice. Reasons: APPOINTMENT_NOTICE_NOT_FOUND.
func (s *Appointments) GetNotice(r kv.Reader, name string) (*permissionv1.AppointmentNotice, error) {
	return s.notices.Get(r, name)
}

// ListNotices returns a page of the notices of a customer, newest first, or of
// an appointment, by customer.
func (s *Appointments) ListNotices(r kv.Reader, customer, of string, after []byte, limit int) ([]*permissionv1.AppointmentNotice, []byte, error) {
	q := kv.Query{Index: byTime, Prefix: kv.Key{kv.String(customer)}, Reverse: true}
	if of != "" {
		q = kv.Query{Index: byAppointment, Prefix: kv.Key{kv.String(of)}}
	}
	return s.notices.List(r, shelf.Page(q, after, limit))
}

// Summarize counts the notices of an appointment. Reasons:
// ADMIN_APPOINTMENT_NOT_FOUND.
func (s *Appointments) Summarize(r kv.Reader, name string) (*permissionv1.SummarizeAdminAppointmentResponse, error) {
	a, err := s.appointments.Get(r, name)
	if err != nil {
		return nil, err
	}
	sum, err := s.count(r, name)
	if err == nil && a.GetActivateTime() != nil {
		sum.NoticeLeadTime = durationpb.New(a.GetActivateTime().AsTime().Sub(a.GetNoticeTime().AsTime()))
	}
	return sum, err
}

func (s *Appointments) count(r kv.Reader, name string) (*permissionv1.SummarizeAdminAppointmentResponse, error) {
	sum := &permissionv1.SummarizeAdminAppointmentResponse{}
	for rec, err := range s.notices.Scan(r, kv.Query{Index: byAppointment, Prefix: kv.Key{kv.String(name)}}) {
		if err != nil {
			return nil, err
		}
		sum.Notices++
		if rec.Value.GetDeliverTime() != nil {
			sum.Delivered++
		}
		if rec.Value.GetReadTime() != nil {
			sum.Read++
		}
		switch rec.Value.GetObjection().GetState() {
		case objected:
			sum.ObjectionsOpen++
		case withdrawn:
			sum.ObjectionsWithdrawn++
		case overruled:
			sum.ObjectionsOverruled++
		case sustained:
			sum.ObjectionsSustained++
		}
	}
	return sum, nil
}

// Forget deletes the notices of a customer that is gone for good: what they
// said was personal, and whoever has the name later said nothing.
func (s *Appointments) Forget(tx *change.Tx, gone string) error {
	for rec, err := range s.notices.Scan(tx, shelf.Below(gone)) {
		if err != nil {
			return err
		}
		if _, err := s.notices.Delete(tx, rec.Value.GetName(), "", nil); err != nil {
			return err
		}
	}
	return nil
}

// Moved is what becomes of the notices of a customer who is merged into another one,
// with what the customer said to them: they are that one's. Who was told twice, under
// both names, has both notices.
func (s *Appointments) Moved() move.Kind {
	return s.notices.Moved(shelf.Moving[*permissionv1.AppointmentNotice]{})
}

// over reports whether the window of the notice has ended.
func over(n *permissionv1.AppointmentNotice, now time.Time) bool {
	return !now.Before(n.GetWindowEndTime().AsTime())
}
