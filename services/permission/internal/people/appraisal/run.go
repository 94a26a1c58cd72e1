package appraisal

import (
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/people/shelf"
)

const (
	final     = permissionv1.Appraisal_STATE_FINAL
	appealed  = permissionv1.Appraisal_STATE_APPEALED
	confirmed = permissionv1.Appraisal_STATE_CONFIRMED
	setAside  = permissionv1.Appraisal_STATE_SET_ASIDE
)

// Order is what appraisal to run.
type Order struct {
	// Account is the member of staff, By who runs it.
	Account, ID, By, Scorecard string
	Start, End                 *timestamppb.Timestamp
}

// Run appraises a member of staff. Reasons: SCORECARD_NOT_FOUND,
// APPRAISAL_EXISTS, APPRAISAL_PERIOD_INVALID, APPRAISER_INVOLVED.
func (s *Appraisals) Run(tx *change.Tx, o Order) (*permissionv1.Appraisal, error) {
	if o.By == o.Account {
		return nil, errs.New(errs.Denied, "APPRAISER_INVOLVED", "nobody appraises themselves; ask somebody else to")
	}
	if !o.Start.AsTime().Before(o.End.AsTime()) {
		return nil, errs.InvalidField("period_end_time", "APPRAISAL_PERIOD_INVALID", "send an end behind the start")
	}
	if resource.Parent(o.Scorecard) != resource.Parent(o.Account) {
		return nil, errs.NotFoundName("SCORECARD_NOT_FOUND", o.Scorecard)
	}
	c, err := s.scorecards.Get(tx, o.Scorecard)
	if err != nil {
		return nil, err
	}
	measured, err := s.measured(tx, o)
	if err != nil {
		return nil, err
	}
	return s.appraisals.Create(tx, o.Account, o.ID, &permissionv1.Appraisal{}, func(a *permissionv1.Appraisal) error {
		a.Scorecard, a.Formula, a.Creator, a.State = o.Scorecard, c.GetFormula(), o.By, final
		a.PeriodStartTime, a.PeriodEndTime = o.Start, o.End
		a.Results, a.Score = Score(c.GetMeasures(), measured)
		return nil
	})
}

// measured returns what was measured of the account in the period.
func (s *Appraisals) measured(r kv.Reader, o Order) (out []*permissionv1.Measurement, err error) {
	prefix := kv.Key{kv.String(o.Scorecard), kv.String(o.Account)}
	for rec, err := range s.measurements.Scan(r, kv.Query{Prefix: prefix}) {
		if err != nil {
			return nil, err
		}
		if at := rec.Value.GetMeasurement().GetStartTime().AsTime(); within(at, o.Start.AsTime(), o.End.AsTime()) {
			out = append(out, rec.Value.GetMeasurement())
		}
	}
	return out, nil
}

func within(at, from, until time.Time) bool { return !at.Before(from) && at.Before(until) }

// Get returns an appraisal. Reasons: APPRAISAL_NOT_FOUND.
func (s *Appraisals) Get(r kv.Reader, name string) (*permissionv1.Appraisal, error) {
	return s.appraisals.Get(r, name)
}

// List returns a page of the appraisals of a member of staff, or with "-" for
// its last segment of all, newest first.
func (s *Appraisals) List(r kv.Reader, parent string, after []byte, limit int) ([]*permissionv1.Appraisal, []byte, error) {
	owner := parent
	if home, all := strings.CutSuffix(parent, "/staff/-"); all {
		owner = home
	}
	return s.appraisals.List(r, shelf.Page(kv.Query{Index: byTime, Prefix: kv.Key{kv.String(owner)}, Reverse: true}, after, limit))
}

// Appeal appeals against an appraisal. Reasons: APPRAISAL_NOT_FOUND,
// ETAG_MISMATCH, ILLEGAL_STATE, APPRAISED_ONLY.
func (s *Appraisals) Appeal(tx *change.Tx, name, etag, by, text string) (*permissionv1.Appraisal, error) {
	return s.appraisals.Move(tx, name, etag, "appealed", func(a *permissionv1.Appraisal) error {
		if by != resource.Parent(name) {
			return errs.New(errs.Denied, "APPRAISED_ONLY", "only the appraised can appeal")
		}
		if a.GetState() != final {
			return illegal(a.GetState())
		}
		a.State, a.Appeal = appealed, text
		return nil
	})
}

// Decide decides an appeal. Reasons: APPRAISAL_NOT_FOUND, ETAG_MISMATCH,
// ILLEGAL_STATE, APPRAISER_INVOLVED.
func (s *Appraisals) Decide(tx *change.Tx, name, etag, by, text string, uphold bool) (*permissionv1.Appraisal, error) {
	return s.appraisals.Move(tx, name, etag, "decided", func(a *permissionv1.Appraisal) error {
		if by == resource.Parent(name) || by == a.GetCreator() {
			return errs.New(errs.Denied, "APPRAISER_INVOLVED", "neither the appraised nor who ran the appraisal decides the appeal")
		}
		if a.GetState() != appealed {
			return illegal(a.GetState())
		}
		a.State, a.Decider, a.Decision = confirmed, by, text
		if uphold {
			a.State = setAside
		}
		return nil
	})
}

// CreateAward gives an award. Reasons: AWARD_EXISTS, AWARD_BASIS_MISSING,
// APPRAISAL_NOT_FOUND.
func (s *Appraisals) CreateAward(tx *change.Tx, parent, id, creator string, in *permissionv1.Award) (*permissionv1.Award, error) {
	return s.awards.Create(tx, parent, id, in, func(w *permissionv1.Award) error {
		if !Name.Matches(w.GetAppraisal()) || resource.Parent(resource.Parent(w.GetAppraisal())) != parent {
			return errs.NotFoundName("APPRAISAL_NOT_FOUND", w.GetAppraisal())
		}
		a, err := s.appraisals.Get(tx, w.GetAppraisal())
		if err != nil {
			return err
		}
		if a.Score == nil || a.GetState() != final && a.GetState() != confirmed {
			return errs.New(errs.Precondition, "AWARD_BASIS_MISSING", "the appraisal has no score, is appealed, or was set aside")
		}
		w.Account, w.Creator = resource.Parent(w.GetAppraisal()), creator
		return nil
	})
}

// GetAward returns an award. Reasons: AWARD_NOT_FOUND.
func (s *Appraisals) GetAward(r kv.Reader, name string) (*permissionv1.Award, error) {
	return s.awards.Get(r, name)
}

// ListAwards returns a page of an organisation's awards, by name.
func (s *Appraisals) ListAwards(r kv.Reader, parent string, after []byte, limit int) ([]*permissionv1.Award, []byte, error) {
	return s.awards.List(r, shelf.Page(shelf.Below(parent), after, limit))
}

// UpdateAward changes an award. Reasons: AWARD_NOT_FOUND, ETAG_MISMATCH.
func (s *Appraisals) UpdateAward(tx *change.Tx, in *permissionv1.Award, mask *fieldmaskpb.FieldMask) (*permissionv1.Award, error) {
	return s.awards.Update(tx, in, mask, func(_, now *permissionv1.Award) error {
		if now.GetTitle() == nil {
			return errs.InvalidField("award.title", "REQUIRED", "an award has a title")
		}
		return nil
	})
}

// DeleteAward takes an award back. Reasons: AWARD_NOT_FOUND, ETAG_MISMATCH.
func (s *Appraisals) DeleteAward(tx *change.Tx, name, etag string) (*permissionv1.Award, error) {
	return s.awards.Delete(tx, name, etag, nil)
}

// Forget deletes the appraisals and measurements of an account that is gone for
// good: whoever has the name later would see them as their own.
func (s *Appraisals) Forget(tx *change.Tx, gone string) error {
	for rec, err := range s.appraisals.Scan(tx, shelf.Below(gone)) {
		if err != nil {
			return err
		}
		if _, err := s.appraisals.Delete(tx, rec.Value.GetName(), "", nil); err != nil {
			return err
		}
	}
	for rec, err := range s.measurements.Scan(tx, kv.Query{Index: byAccount, Prefix: kv.Key{kv.String(gone)}}) {
		if err != nil {
			return err
		}
		if _, err := s.measurements.Delete(tx, measurementKey(rec.Value), ""); err != nil {
			return err
		}
	}
	return nil
}

func illegal(state permissionv1.Appraisal_State) error {
	return errs.New(errs.Precondition, "ILLEGAL_STATE", "an appraisal in state "+word(state)+" cannot be moved so", errs.Meta("state", word(state)))
}
