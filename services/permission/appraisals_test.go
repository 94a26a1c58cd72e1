package permission_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/errs"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

func (c *crewClient) scorecard(t testing.TB) *permissionv1.Scorecard {
	t.Helper()
	title := &permissionv1.LocalizedText{Zh: "满意度", En: "Satisfaction"}
	return must[*permissionv1.Scorecard](t)(c.CreateScorecard(t.Context(), &permissionv1.CreateScorecardRequest{Parent: acme, Scorecard: &permissionv1.Scorecard{
		Title: title, Measures: []*permissionv1.Measure{{Id: "satisfaction", Title: title, Source: "surveys", Weight: 1, Worst: 1, Best: 5, MinSampleSize: 10}},
	}}))
}

func measured(account string, at time.Time, value float64, cases int32) *permissionv1.Measurement {
	return &permissionv1.Measurement{Account: account, Measure: "satisfaction", Value: value, SampleSize: cases, StartTime: timestamppb.New(at)}
}

func (c *crewClient) appraise(t testing.TB, account string, card *permissionv1.Scorecard, from time.Time) (*permissionv1.Appraisal, error) {
	t.Helper()
	return c.RunAppraisal(t.Context(), &permissionv1.RunAppraisalRequest{
		Parent: account, Scorecard: card.GetName(), PeriodStartTime: timestamppb.New(from), PeriodEndTime: timestamppb.New(from.Add(90 * day)),
	})
}

func TestAppraisals_fromMeasurementsToAnAward(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c, start := r.staffing(admin), time.Unix(1_800_000_000, 0)
		card := c.scorecard(t)
		record := &permissionv1.RecordMeasurementsRequest{Name: card.GetName(), Measurements: []*permissionv1.Measurement{
			measured(sue, start, 1, 8), measured(sue, start.Add(30*day), 5, 12), measured(sue, start.Add(90*day), 1, 100), measured(tom, start, 5, 9),
		}}
		must[*permissionv1.RecordMeasurementsResponse](t)(c.RecordMeasurements(t.Context(), record))
		record.Measurements = []*permissionv1.Measurement{measured(sue, start, 4, 8)} // corrected
		must[*permissionv1.RecordMeasurementsResponse](t)(c.RecordMeasurements(t.Context(), record))
		a := must[*permissionv1.Appraisal](t)(c.appraise(t, sue, card, start))
		// (8 × 4 + 12 × 5) / 20 = 4.6, of 1 to 5.
		if a.GetScore() < 89.999 || a.GetScore() > 90.001 || a.GetResults()[0].GetSampleSize() != 20 || a.GetFormula() != card.GetFormula() {
			t.Errorf("appraisal %v", a)
		}
		few := must[*permissionv1.Appraisal](t)(c.appraise(t, tom, card, start))
		if few.Score != nil || !few.GetResults()[0].GetInsufficientData() {
			t.Errorf("appraisal of nine cases %v", few)
		}
		award := func(of *permissionv1.Appraisal) error {
			_, err := c.CreateAward(t.Context(), &permissionv1.CreateAwardRequest{Parent: acme, Award: &permissionv1.Award{
				Title: &permissionv1.LocalizedText{Zh: "优秀管理员", En: "Administrator of the quarter"}, Appraisal: of.GetName(),
			}})
			return err
		}
		wantError(t, award(few), errs.Precondition, "AWARD_BASIS_MISSING")
		if err := award(a); err != nil {
			t.Error(err)
		}
	})
}

func TestAppraisals_theAppraisedMayAppeal(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c, own, start := r.staffing(admin), r.staffing(sue), time.Unix(1_800_000_000, 0)
		card := c.scorecard(t)
		_, err := c.appraise(t, admin, card, start)
		wantError(t, err, errs.Denied, "APPRAISER_INVOLVED")
		a := must[*permissionv1.Appraisal](t)(c.appraise(t, sue, card, start))
		listed := must[*permissionv1.ListAppraisalsResponse](t)(own.ListAppraisals(t.Context(), &permissionv1.ListAppraisalsRequest{Parent: sue}))
		if len(listed.GetAppraisals()) != 1 {
			t.Errorf("sue sees %v", listed)
		}
		_, err = r.staffing(tom).GetAppraisal(t.Context(), &permissionv1.GetAppraisalRequest{Name: a.GetName()})
		wantError(t, err, errs.Denied, "PERMISSION_DENIED")
		_, err = r.staffing(stranger).GetAppraisal(t.Context(), &permissionv1.GetAppraisalRequest{Name: a.GetName()})
		wantError(t, err, errs.NotFound, "RESOURCE_NOT_FOUND")
		appeal := &permissionv1.AppealAppraisalRequest{Name: a.GetName(), Appeal: "Half of it was not mine."}
		_, err = c.AppealAppraisal(t.Context(), appeal)
		wantError(t, err, errs.Denied, "APPRAISED_ONLY")
		must[*permissionv1.Appraisal](t)(own.AppealAppraisal(t.Context(), appeal))
		_, err = own.AppealAppraisal(t.Context(), appeal)
		wantError(t, err, errs.Precondition, "ILLEGAL_STATE")
		decide := &permissionv1.DecideAppealRequest{Name: a.GetName(), Decision: "Right.", Uphold: true}
		_, err = c.DecideAppeal(t.Context(), decide) // who ran it
		wantError(t, err, errs.Denied, "APPRAISER_INVOLVED")
		judge := c.role(t, "judge", "permission.appraisals.decide")
		c.grant(t, teacher, judge.GetName(), acme)
		decided := must[*permissionv1.Appraisal](t)(r.staffing(teacher).DecideAppeal(t.Context(), decide))
		if decided.GetState() != permissionv1.Appraisal_STATE_SET_ASIDE {
			t.Errorf("decided %v", decided)
		}
	})
}

func TestScorecards_refuse(t *testing.T) {
	eachReplica(t, func(t *testing.T, r *replica) {
		c, start := r.staffing(admin), time.Unix(1_800_000_000, 0)
		card := c.scorecard(t)
		for _, test := range []struct {
			in     *permissionv1.Measurement
			reason string
		}{
			{measured("organizations/zeta/staff/z", start, 1, 1), "SUBJECT_INVALID"},
			{&permissionv1.Measurement{Account: sue, Measure: "speed", SampleSize: 1, StartTime: timestamppb.New(start)}, "MEASURE_UNKNOWN"},
			{&permissionv1.Measurement{Account: sue, Measure: "satisfaction", CaseMixClass: "hard", SampleSize: 1, StartTime: timestamppb.New(start)}, "MEASUREMENT_INVALID"},
		} {
			_, err := c.RecordMeasurements(t.Context(), &permissionv1.RecordMeasurementsRequest{Name: card.GetName(), Measurements: []*permissionv1.Measurement{test.in}})
			wantError(t, err, errs.Invalid, test.reason)
		}
		card.Measures[0].Best = card.Measures[0].Worst
		_, err := c.UpdateScorecard(t.Context(), &permissionv1.UpdateScorecardRequest{Scorecard: card})
		wantError(t, err, errs.Invalid, "MEASURE_INVALID")
	})
}
