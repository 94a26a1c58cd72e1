package stage

import (
	"maps"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// ReportPattern is the form of the name of an organisation's report.
const ReportPattern = resource.Pattern("organizations/{organization}/stageReport")

// Bounds of the days of a report: a day has as many tallies as there are moves.
const (
	maxDays     = 366
	defaultDays = 30
)

// Count counts a customer of an organisation into a stage, or with -1 out of it.
func (b *Book) Count(tx kv.Tx, organization string, s identityv1.LifecycleStage, by int64) error {
	return b.counted(tx, organization, func(counts map[int32]int64) { counts[int32(s)] += by })
}

// recount counts a customer out of one stage and into another.
func (b *Book) recount(tx kv.Tx, organization string, from, to identityv1.LifecycleStage) error {
	return b.counted(tx, organization, func(counts map[int32]int64) { counts[int32(from)]--; counts[int32(to)]++ })
}

func (b *Book) counted(tx kv.Tx, organization string, change func(map[int32]int64)) error {
	rec, found, err := b.census.Find(tx, kv.Key{kv.String(organization)})
	if err != nil {
		return err
	}
	c := &storev1.StageCensus{Organization: organization, Counts: make(map[int32]int64)}
	if found {
		maps.Copy(c.Counts, rec.Value.GetCounts())
	}
	change(c.Counts)
	_, err = b.census.Put(tx, c, "")
	return err
}

// tally counts a move on its day.
func (b *Book) tally(tx kv.Tx, organization string, t *identityv1.StageTransition) error {
	day := &storev1.StageTally{
		Organization: organization, Date: t.GetTransitionTime().AsTime().Format(time.DateOnly), FromStage: t.GetFromStage(), ToStage: t.GetToStage(),
	}
	rec, _, err := b.tallies.Find(tx, tallyKey(day))
	if err != nil {
		return err
	}
	day.Moves, day.Seconds = rec.Value.GetMoves()+1, rec.Value.GetSeconds()
	if since := t.GetFromTime(); since != nil {
		day.Seconds += int64(t.GetTransitionTime().AsTime().Sub(since.AsTime()) / time.Second)
	}
	_, err = b.tallies.Put(tx, day, "")
	return err
}

// Report returns how many customers of an organisation are in each stage, and the
// moves from the first day on and before the second; see Days.
func (b *Book) Report(r kv.Reader, organization string, first, second time.Time) (*identityv1.StageReport, error) {
	rep := &identityv1.StageReport{Name: organization + "/stageReport", StartDate: first.Format(time.DateOnly), EndDate: second.Format(time.DateOnly)}
	census, _, err := b.census.Find(r, kv.Key{kv.String(organization)})
	if err != nil {
		return nil, err
	}
	for _, s := range All() {
		rep.Counts = append(rep.Counts, &identityv1.StageCount{Stage: s, CustomerCount: census.Value.GetCounts()[int32(s)]})
	}
	moves := make(map[[2]identityv1.LifecycleStage]*storev1.StageTally)
	left := make(map[identityv1.LifecycleStage]int64)
	for rec, err := range b.tallies.Scan(r, kv.Query{
		Prefix: kv.Key{kv.String(organization)}, From: kv.Key{kv.String(first.Format(time.DateOnly))}, Until: kv.Key{kv.String(second.Format(time.DateOnly))},
	}) {
		if err != nil {
			return nil, err
		}
		t := rec.Value
		of := [2]identityv1.LifecycleStage{t.GetFromStage(), t.GetToStage()}
		if moves[of] == nil {
			moves[of] = &storev1.StageTally{}
		}
		moves[of].Moves += t.GetMoves()
		moves[of].Seconds += t.GetSeconds()
		left[t.GetFromStage()] += t.GetMoves()
	}
	rep.Flows = flows(moves, left)
	return rep, nil
}

func flows(moves map[[2]identityv1.LifecycleStage]*storev1.StageTally, left map[identityv1.LifecycleStage]int64) (out []*identityv1.StageFlow) {
	for _, from := range All() {
		for _, to := range All() {
			sum := moves[[2]identityv1.LifecycleStage{from, to}]
			if sum.GetMoves() == 0 {
				continue
			}
			out = append(out, &identityv1.StageFlow{
				FromStage: from, ToStage: to, TransitionCount: sum.GetMoves(), Share: float64(sum.GetMoves()) / float64(left[from]),
				MeanTimeInStage: durationpb.New(time.Duration(sum.GetSeconds()/sum.GetMoves()) * time.Second),
			})
		}
	}
	return out
}

// Days returns the days of a report that is asked for from one date on and before
// another, either of which may be empty. The error is Invalid
// (STAGE_REPORT_DATES_INVALID).
func Days(start, end string, now time.Time) (first, second time.Time, err error) {
	second = now.UTC().Truncate(24*time.Hour).AddDate(0, 0, 1)
	if end != "" {
		if second, err = day("end_date", end); err != nil {
			return first, second, err
		}
	}
	first = second.AddDate(0, 0, -defaultDays)
	if start != "" {
		if first, err = day("start_date", start); err != nil {
			return first, second, err
		}
	}
	if !first.Before(second) || second.After(first.AddDate(0, 0, maxDays)) {
		err = errs.InvalidField("end_date", "STAGE_REPORT_DATES_INVALID", "send a date behind start_date, by 366 days at most")
	}
	return first, second, err
}

func day(field, text string) (time.Time, error) {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return t, errs.InvalidField(field, "STAGE_REPORT_DATES_INVALID", "send a date, as in 2026-02-28")
	}
	return t, nil
}
