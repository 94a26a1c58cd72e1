package staffing

import (
	"context"
	"strings"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/journal"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/people/appointment"
)

// appointments implements permissionv1.AdminAppointmentServiceServer.
type appointments struct{ Config }

func (s appointments) CreateAdminAppointment(ctx context.Context, req *permissionv1.CreateAdminAppointmentRequest) (*permissionv1.AdminAppointment, error) {
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.AdminAppointment, error) {
		return s.Appointments.Create(tx, req.GetParent(), req.GetAdminAppointmentId(), authn.CallerOf(ctx).Name, req.GetAdminAppointment())
	})
}

func (s appointments) GetAdminAppointment(ctx context.Context, req *permissionv1.GetAdminAppointmentRequest) (*permissionv1.AdminAppointment, error) {
	now := s.Clock()
	return journal.Read(ctx, s.Journal, func(r kv.Reader) (*permissionv1.AdminAppointment, error) {
		return s.Appointments.Get(r, now, req.GetName())
	})
}

func (s appointments) ListAdminAppointments(ctx context.Context, req *permissionv1.ListAdminAppointmentsRequest) (*permissionv1.ListAdminAppointmentsResponse, error) {
	field, value, err := only(req.GetFilter(), "appointee", "resource")
	if err != nil {
		return nil, err
	}
	var f appointment.Filter
	switch field {
	case "appointee":
		f.Appointee = value
	case "resource":
		f.Resource = value
	}
	now := s.Clock()
	found, next, err := journal.List(ctx, s.Journal, req, []string{"ListAdminAppointments", req.GetParent(), req.GetFilter()}, func(r kv.Reader, after []byte, limit int) ([]*permissionv1.AdminAppointment, []byte, error) {
		return s.Appointments.List(r, now, req.GetParent(), f, after, limit)
	})
	if err != nil {
		return nil, err
	}
	return &permissionv1.ListAdminAppointmentsResponse{AdminAppointments: found, NextPageToken: next}, nil
}

func (s appointments) UpdateAdminAppointment(ctx context.Context, req *permissionv1.UpdateAdminAppointmentRequest) (*permissionv1.AdminAppointment, error) {
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.AdminAppointment, error) {
		return s.Appointments.Update(tx, req.GetAdminAppointment(), req.GetUpdateMask())
	})
}

func (s appointments) NotifyCustomers(ctx context.Context, req *permissionv1.NotifyCustomersRequest) (*permissionv1.AdminAppointment, error) {
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.AdminAppointment, error) {
		return s.Appointments.Notify(tx, req.GetName(), req.GetEtag(), req.GetCustomers())
	})
}

// ActivateAdminAppointment grants by the rule of CreateGrant.
func (s appointments) ActivateAdminAppointment(ctx context.Context, req *permissionv1.ActivateAdminAppointmentRequest) (*permissionv1.AdminAppointment, error) {
	by := authn.CallerOf(ctx)
	activated, err := change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.AdminAppointment, error) {
		return s.Appointments.Activate(tx, req.GetName(), req.GetEtag(), func(g *permissionv1.Grant) (*permissionv1.Grant, error) {
			g.Creator = by.Name
			return s.Edits.Give(tx, by, g)
		})
	})
	s.Journal.KeepRefusal(ctx, req.GetName(), err)
	return activated, err
}

func (s appointments) CancelAdminAppointment(ctx context.Context, req *permissionv1.CancelAdminAppointmentRequest) (*permissionv1.AdminAppointment, error) {
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.AdminAppointment, error) {
		return s.Appointments.Cancel(tx, req.GetName(), req.GetEtag())
	})
}

func (s appointments) EndAdminAppointment(ctx context.Context, req *permissionv1.EndAdminAppointmentRequest) (*permissionv1.AdminAppointment, error) {
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.AdminAppointment, error) {
		return s.Appointments.End(tx, req.GetName(), req.GetEtag())
	})
}

func (s appointments) SummarizeAdminAppointment(ctx context.Context, req *permissionv1.SummarizeAdminAppointmentRequest) (*permissionv1.SummarizeAdminAppointmentResponse, error) {
	return journal.Read(ctx, s.Journal, func(r kv.Reader) (*permissionv1.SummarizeAdminAppointmentResponse, error) {
		return s.Appointments.Summarize(r, req.GetName())
	})
}

func (s appointments) GetAppointmentPolicy(ctx context.Context, req *permissionv1.GetAppointmentPolicyRequest) (*permissionv1.AppointmentPolicy, error) {
	return journal.Read(ctx, s.Journal, func(r kv.Reader) (*permissionv1.AppointmentPolicy, error) {
		return s.Appointments.GetPolicy(r, req.GetName())
	})
}

func (s appointments) UpdateAppointmentPolicy(ctx context.Context, req *permissionv1.UpdateAppointmentPolicyRequest) (*permissionv1.AppointmentPolicy, error) {
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.AppointmentPolicy, error) {
		return s.Appointments.UpdatePolicy(tx, req.GetAppointmentPolicy(), req.GetUpdateMask())
	})
}

func (s appointments) RequireAppointment(ctx context.Context, req *permissionv1.RequireAppointmentRequest) (*permissionv1.RequireAppointmentResponse, error) {
	now := s.Clock()
	name, err := journal.Read(ctx, s.Journal, func(r kv.Reader) (string, error) {
		return s.Appointments.Require(r, now, req.GetAccount(), req.GetGroup())
	})
	if err != nil {
		return nil, err
	}
	return &permissionv1.RequireAppointmentResponse{AdminAppointment: name}, nil
}

// notices implements permissionv1.AppointmentNoticeServiceServer.
type notices struct{ Config }

func (s notices) GetAppointmentNotice(ctx context.Context, req *permissionv1.GetAppointmentNoticeRequest) (*permissionv1.AppointmentNotice, error) {
	return journal.Read(ctx, s.Journal, func(r kv.Reader) (*permissionv1.AppointmentNotice, error) {
		return s.Appointments.GetNotice(r, req.GetName())
	})
}

// ListAppointmentNotices checks that the appointment is of the organisation on
// which the caller may list.
func (s notices) ListAppointmentNotices(ctx context.Context, req *permissionv1.ListAppointmentNoticesRequest) (*permissionv1.ListAppointmentNoticesResponse, error) {
	_, of, err := only(req.GetFilter(), "admin_appointment")
	if err != nil {
		return nil, err
	}
	home, all := strings.CutSuffix(req.GetParent(), "/customers/-")
	if all != (of != "") || all && !strings.HasPrefix(of, home+"/") {
		return nil, errs.InvalidField("filter", "FILTER_INVALID", "name an appointment of the organisation with the customer -, and none with a customer")
	}
	found, next, err := journal.List(ctx, s.Journal, req, []string{"ListAppointmentNotices", req.GetParent(), req.GetFilter()}, func(r kv.Reader, after []byte, limit int) ([]*permissionv1.AppointmentNotice, []byte, error) {
		return s.Appointments.ListNotices(r, req.GetParent(), of, after, limit)
	})
	if err != nil {
		return nil, err
	}
	return &permissionv1.ListAppointmentNoticesResponse{AppointmentNotices: found, NextPageToken: next}, nil
}

func (s notices) AcknowledgeAppointmentNotice(ctx context.Context, req *permissionv1.AcknowledgeAppointmentNoticeRequest) (*permissionv1.AppointmentNotice, error) {
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.AppointmentNotice, error) {
		return s.Appointments.Acknowledge(tx, said(ctx, req, ""), req.GetRead())
	})
}

func (s notices) ObjectToAppointment(ctx context.Context, req *permissionv1.ObjectToAppointmentRequest) (*permissionv1.AppointmentNotice, error) {
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.AppointmentNotice, error) {
		return s.Appointments.Object(tx, said(ctx, req, req.GetText()))
	})
}

func (s notices) WithdrawObjection(ctx context.Context, req *permissionv1.WithdrawObjectionRequest) (*permissionv1.AppointmentNotice, error) {
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.AppointmentNotice, error) {
		return s.Appointments.Withdraw(tx, said(ctx, req, ""))
	})
}

func (s notices) DecideObjection(ctx context.Context, req *permissionv1.DecideObjectionRequest) (*permissionv1.AppointmentNotice, error) {
	return change.Do(ctx, s.Journal.Changes, req, func(tx *change.Tx) (*permissionv1.AppointmentNotice, error) {
		return s.Appointments.Decide(tx, said(ctx, req, req.GetDecision()), req.GetSustain())
	})
}

// said returns the caller's word on a notice.
func said(ctx context.Context, req named, text string) appointment.Said {
	return appointment.Said{Name: req.GetName(), Etag: req.GetEtag(), By: authn.CallerOf(ctx).Name, Text: text}
}
