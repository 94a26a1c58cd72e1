package desk

import (
	"context"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/absence"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/api"
	"guildhall.dev/services/identity/internal/revise"
	"guildhall.dev/services/identity/internal/workday"
)

// workdays implements WorkdayService.
type workdays struct{ *api.Centres }

// GetWorkingCalendar returns an organisation's.
func (s workdays) GetWorkingCalendar(ctx context.Context, req *identityv1.GetWorkingCalendarRequest) (*identityv1.WorkingCalendar, error) {
	return api.GetSetting(ctx, s.Centres, s.Calendars.Settings, workday.Pattern, req.GetName())
}

// UpdateWorkingCalendar changes the masked fields.
func (s workdays) UpdateWorkingCalendar(ctx context.Context, req *identityv1.UpdateWorkingCalendarRequest) (*identityv1.WorkingCalendar, error) {
	return api.UpdateSetting(ctx, s.Centres, s.Calendars.Settings, workday.Pattern, "working_calendar", req.GetWorkingCalendar(), req)
}

// CreateAbsence says when somebody is not there.
func (s workdays) CreateAbsence(ctx context.Context, req *identityv1.CreateAbsenceRequest) (*identityv1.Absence, error) {
	ids, err := account.StaffPattern.Parse("parent", req.GetParent())
	if err != nil {
		return nil, err
	}
	if err := checkSubstitute(req.GetAbsence()); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.Absence, error) {
		if err := s.Accounts.CheckThere(tx, req.GetParent()); err != nil {
			return nil, err
		}
		id, err := tx.IDOr("absence_id", req.GetAbsenceId())
		if err != nil {
			return nil, err
		}
		a := revise.Named(req.GetAbsence(), absence.Pattern.Format(ids[0], ids[1], id))
		if err := s.Desk.CheckSubstitute(tx, a); err != nil {
			return nil, err
		}
		return s.Absences.Create(tx, a)
	})
}

// checkSubstitute refuses what is no name of a member of staff, "" aside.
func checkSubstitute(a *identityv1.Absence) error {
	if a.GetSubstitute() == "" {
		return nil
	}
	return account.StaffPattern.Check("absence.substitute", a.GetSubstitute())
}

// GetAbsence returns an absence.
func (s workdays) GetAbsence(ctx context.Context, req *identityv1.GetAbsenceRequest) (*identityv1.Absence, error) {
	if err := absence.Pattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	return api.Read(ctx, s.Centres, func(r kv.Reader) (*identityv1.Absence, error) { return s.Absences.Get(r, req.GetName()) })
}

// ListAbsences returns a page of somebody's absences.
func (s workdays) ListAbsences(ctx context.Context, req *identityv1.ListAbsencesRequest) (*identityv1.ListAbsencesResponse, error) {
	if err := account.StaffPattern.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	found, next, err := api.PageOf(ctx, s.Centres, req, "ListAbsences", func(r kv.Reader, after []byte, limit int) ([]*identityv1.Absence, []byte, error) {
		return s.Absences.List(r, req.GetParent(), after, limit)
	})
	return &identityv1.ListAbsencesResponse{Absences: found, NextPageToken: next}, err
}

// UpdateAbsence changes the masked fields.
func (s workdays) UpdateAbsence(ctx context.Context, req *identityv1.UpdateAbsenceRequest) (*identityv1.Absence, error) {
	a := req.GetAbsence()
	if err := absence.Pattern.Check("absence.name", a.GetName()); err != nil {
		return nil, err
	}
	if err := checkSubstitute(a); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.Absence, error) {
		if err := s.Desk.CheckSubstitute(tx, a); err != nil {
			return nil, err
		}
		return s.Absences.Update(tx, a, req.GetUpdateMask())
	})
}

// DeleteAbsence removes an absence.
func (s workdays) DeleteAbsence(ctx context.Context, req *identityv1.DeleteAbsenceRequest) (*identityv1.Absence, error) {
	if err := absence.Pattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.Absence, error) {
		return s.Absences.Delete(tx, req.GetName(), req.GetEtag())
	})
}
