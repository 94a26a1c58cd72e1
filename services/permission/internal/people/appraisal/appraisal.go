// Package appraisal holds how the work of those who administer is measured,
// what it came to, appeals against that, and awards for it.
//
// An appraisal:
//
//	run --> FINAL --appeal--> APPEALED --decide--> CONFIRMED | SET_ASIDE
//
// The appraised appeals, once; neither they nor who ran the appraisal decide.
// An appraisal keeps the formula and the numbers that it was made of, and is
// never computed anew: what was measured later is for the next one.
//
// The method is that of Score. It is written out in the scorecard, so that
// everybody can follow it by hand.
package appraisal

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/permission/store/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/people/shelf"
)

// Forms of names.
const (
	ScorecardName = resource.Pattern("organizations/{organization}/scorecards/{scorecard}")
	Name          = resource.Pattern("organizations/{organization}/staff/{staff_member}/appraisals/{appraisal}")
	AwardName     = resource.Pattern("organizations/{organization}/awards/{award}")

	staff = resource.Pattern("organizations/{organization}/staff/{staff_member}")
)

// Indexes.
const (
	byTime    = "time"    // staff member, or organisation; create time
	byAccount = "account" // account, of measurements
)

// Appraisals are the scorecards, appraisals and awards of all organisations. It
// is safe for concurrent use.
//
//	scorecards    organisation, id -> Scorecard
//	measurements  scorecard, account, measure, class, start -> StoredMeasurement
//	appraisals    staff member, id -> Appraisal
//	awards        organisation, id -> Award
type Appraisals struct {
	scorecards   *shelf.Shelf[*permissionv1.Scorecard]
	measurements *kv.Table[*storev1.StoredMeasurement]
	appraisals   *shelf.Shelf[*permissionv1.Appraisal]
	awards       *shelf.Shelf[*permissionv1.Award]
}

// New returns the appraisals that the store holds.
func New() *Appraisals {
	return &Appraisals{
		scorecards: shelf.New(shelf.Config[*permissionv1.Scorecard]{
			Noun: "scorecard", Table: "scorecards", Names: []resource.Pattern{ScorecardName}, Mutable: []string{"title", "measures"},
		}),
		measurements: kv.NewTable(kv.TableConfig[*storev1.StoredMeasurement]{
			Name: "measurements", Key: measurementKey,
			Indexes: []kv.Index[*storev1.StoredMeasurement]{{
				Name: byAccount,
				Keys: func(m *storev1.StoredMeasurement) []kv.Key {
					return []kv.Key{{kv.String(m.GetMeasurement().GetAccount())}}
				},
			}},
		}),
		appraisals: shelf.New(shelf.Config[*permissionv1.Appraisal]{
			Noun: "appraisal", Table: "appraisals", Names: []resource.Pattern{Name},
			Indexes: []kv.Index[*permissionv1.Appraisal]{{
				Name: byTime,
				Keys: func(a *permissionv1.Appraisal) []kv.Key {
					who, made := resource.Parent(a.GetName()), kv.Time(a.GetCreateTime().AsTime())
					return []kv.Key{{kv.String(who), made}, {kv.String(resource.Parent(who)), made}}
				},
			}},
			Data: func(a *permissionv1.Appraisal) proto.Message {
				return &permissionv1.AppraisalChanged{State: word(a.GetState())}
			},
		}),
		awards: shelf.New(shelf.Config[*permissionv1.Award]{
			Noun: "award", Table: "awards", Names: []resource.Pattern{AwardName}, Mutable: []string{"title", "benefit"},
		}),
	}
}

func measurementKey(m *storev1.StoredMeasurement) kv.Key {
	v := m.GetMeasurement()
	return kv.Key{
		kv.String(m.GetScorecard()), kv.String(v.GetAccount()), kv.String(v.GetMeasure()), kv.String(v.GetCaseMixClass()),
		kv.Time(v.GetStartTime().AsTime()),
	}
}

// Tables returns the raw tables of this package, for kv.Options.
func (s *Appraisals) Tables() []string {
	return slices.Concat(s.scorecards.Tables(), s.measurements.Tables(), s.appraisals.Tables(), s.awards.Tables())
}

// CreateScorecard stores a new scorecard. Reasons: SCORECARD_EXISTS,
// MEASURE_INVALID.
func (s *Appraisals) CreateScorecard(tx *change.Tx, parent, id string, in *permissionv1.Scorecard) (*permissionv1.Scorecard, error) {
	return s.scorecards.Create(tx, parent, id, in, complete)
}

// GetScorecard returns a scorecard. Reasons: SCORECARD_NOT_FOUND.
func (s *Appraisals) GetScorecard(r kv.Reader, name string) (*permissionv1.Scorecard, error) {
	return s.scorecards.Get(r, name)
}

// ListScorecards returns a page of an organisation's scorecards, by name.
func (s *Appraisals) ListScorecards(r kv.Reader, parent string, after []byte, limit int) ([]*permissionv1.Scorecard, []byte, error) {
	return s.scorecards.List(r, shelf.Page(shelf.Below(parent), after, limit))
}

// UpdateScorecard changes a scorecard. Reasons: SCORECARD_NOT_FOUND,
// ETAG_MISMATCH, MEASURE_INVALID.
func (s *Appraisals) UpdateScorecard(tx *change.Tx, in *permissionv1.Scorecard, mask *fieldmaskpb.FieldMask) (*permissionv1.Scorecard, error) {
	return s.scorecards.Update(tx, in, mask, func(_, now *permissionv1.Scorecard) error { return complete(now) })
}

// DeleteScorecard deletes a scorecard. Reasons: SCORECARD_NOT_FOUND,
// ETAG_MISMATCH.
func (s *Appraisals) DeleteScorecard(tx *change.Tx, name, etag string) (*permissionv1.Scorecard, error) {
	return s.scorecards.Delete(tx, name, etag, nil)
}

// complete refuses measures that make no score, and writes the formula out.
func complete(c *permissionv1.Scorecard) error {
	invalid := func(description string) error {
		return errs.InvalidField("scorecard.measures", "MEASURE_INVALID", description)
	}
	if c.GetTitle() == nil || len(c.GetMeasures()) == 0 {
		return invalid("a scorecard has a title and measures")
	}
	var seen []string
	for _, m := range c.GetMeasures() {
		if m.GetWorst() == m.GetBest() {
			return invalid("the best value of a measure is another one than the worst")
		}
		if slices.Contains(seen, m.GetId()) {
			return invalid("two measures have the same id")
		}
		seen = append(seen, m.GetId())
		var classes []string
		for _, k := range m.GetCaseMix() {
			if slices.Contains(classes, k.GetId()) {
				return invalid("two classes of a case mix have the same id")
			}
			classes = append(classes, k.GetId())
		}
	}
	c.Formula = Formula(c.GetMeasures())
	return nil
}

// Record records what was measured. Reasons: SCORECARD_NOT_FOUND,
// MEASURE_UNKNOWN, SUBJECT_INVALID, MEASUREMENT_INVALID.
func (s *Appraisals) Record(tx *change.Tx, scorecard, recorder string, measured []*permissionv1.Measurement) error {
	c, err := s.scorecards.Get(tx, scorecard)
	if err != nil {
		return err
	}
	for i, in := range measured {
		if err := checkMeasurement(c, i, in); err != nil {
			return err
		}
		m := proto.CloneOf(in)
		m.Recorder = recorder
		if _, err := s.measurements.Put(tx, &storev1.StoredMeasurement{Scorecard: scorecard, Measurement: m}, ""); err != nil {
			return err
		}
	}
	// One entry for the batch: a measurement is no resource.
	s.scorecards.Record(tx, "measured", c)
	return nil
}

func word(state permissionv1.Appraisal_State) string {
	return strings.TrimPrefix(state.String(), "STATE_")
}
