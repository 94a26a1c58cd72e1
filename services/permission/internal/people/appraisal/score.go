package appraisal

import (
	"fmt"
	"slices"
	"strings"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// Score computes what the measurements of one account come to: measure by
// measure, and the score of all, nil when any measure has insufficient data.
//
// The value of a measure is the mean of its measurements by their sample sizes.
// With a case mix it is standardised directly (Fleiss, Levin and Paik 2003,
// Statistical Methods for Rates and Proportions, chapter 19): the mean of each
// class, weighted by the class's share in the standard mix. A class without a
// single case cannot be standardised, and a measure with fewer cases than its
// least has no value: there is no number then, because one would be read as if
// it meant something.
func Score(measures []*permissionv1.Measure, measured []*permissionv1.Measurement) (results []*permissionv1.MeasureResult, score *float64) {
	var weights, total float64
	for _, m := range measures {
		weights += m.GetWeight()
	}
	enough := true
	for _, m := range measures {
		r := result(m, measured)
		r.Weight = m.GetWeight() / weights
		if r.GetInsufficientData() {
			enough = false
		} else {
			added := r.Weight * r.GetScore()
			r.Contribution = &added
			total += added
		}
		results = append(results, r)
	}
	if !enough {
		return results, nil
	}
	return results, &total
}

// pool is the cases of one class.
type pool struct {
	sum   float64
	cases int64
}

func (p pool) mean() float64 { return p.sum / float64(p.cases) }

func result(m *permissionv1.Measure, measured []*permissionv1.Measurement) *permissionv1.MeasureResult {
	var all pool
	classes := make(map[string]pool)
	for _, v := range measured {
		if v.GetMeasure() != m.GetId() {
			continue
		}
		k, cases := classes[v.GetCaseMixClass()], int64(v.GetSampleSize())
		k.sum, k.cases = k.sum+v.GetValue()*float64(cases), k.cases+cases
		classes[v.GetCaseMixClass()] = k
		all.sum, all.cases = all.sum+v.GetValue()*float64(cases), all.cases+cases
	}
	r := &permissionv1.MeasureResult{Measure: m.GetId(), SampleSize: all.cases}
	value, ok := standardised(m, classes, all)
	if !ok || all.cases < int64(m.GetMinSampleSize()) {
		r.InsufficientData = true
		return r
	}
	raw := all.mean()
	points := min(100, max(0, 100*(value-m.GetWorst())/(m.GetBest()-m.GetWorst())))
	r.RawValue, r.Value, r.Score = &raw, &value, &points
	return r
}

// standardised returns the value for the standard mix, and false when a class
// of it has no case. Without a case mix it is the mean of all.
func standardised(m *permissionv1.Measure, classes map[string]pool, all pool) (value float64, ok bool) {
	if len(m.GetCaseMix()) == 0 {
		return all.mean(), all.cases > 0
	}
	var weights float64
	for _, k := range m.GetCaseMix() {
		p := classes[k.GetId()]
		if p.cases == 0 {
			return 0, false
		}
		value += k.GetWeight() * p.mean()
		weights += k.GetWeight()
	}
	return value / weights, true
}

// Formula writes the formula of a scorecard out.
func Formula(measures []*permissionv1.Measure) string {
	var weights float64
	for _, m := range measures {
		weights += m.GetWeight()
	}
	var terms, notes []string
	for _, m := range measures {
		terms = append(terms, fmt.Sprintf("%.4g × S(%s)", m.GetWeight()/weights, m.GetId()))
		note := fmt.Sprintf("S(%s) = 100 × (V − %g) / (%g − %g), 0 to 100; V = ", m.GetId(), m.GetWorst(), m.GetBest(), m.GetWorst())
		if len(m.GetCaseMix()) == 0 {
			note += "mean of all cases"
		} else {
			var shares float64
			for _, k := range m.GetCaseMix() {
				shares += k.GetWeight()
			}
			var parts []string
			for _, k := range m.GetCaseMix() {
				parts = append(parts, fmt.Sprintf("%.4g × mean(%s)", k.GetWeight()/shares, k.GetId()))
			}
			note += strings.Join(parts, " + ")
		}
		notes = append(notes, fmt.Sprintf("%s; no number below %d cases", note, m.GetMinSampleSize()))
	}
	return "score = " + strings.Join(terms, " + ") + ". " + strings.Join(notes, ". ") + "."
}

// checkMeasurement refuses what the scorecard does not measure.
func checkMeasurement(c *permissionv1.Scorecard, i int, v *permissionv1.Measurement) error {
	at := func(field string) string { return fmt.Sprintf("measurements[%d].%s", i, field) }
	if !staff.Matches(v.GetAccount()) || resource.Parent(v.GetAccount()) != resource.Parent(c.GetName()) {
		return errs.InvalidField(at("account"), "SUBJECT_INVALID", "name a member of staff of this organisation")
	}
	if !v.GetStartTime().IsValid() {
		return errs.InvalidField(at("start_time"), "MEASUREMENT_INVALID", "send the time at which the measuring began")
	}
	j := slices.IndexFunc(c.GetMeasures(), func(m *permissionv1.Measure) bool { return m.GetId() == v.GetMeasure() })
	if j < 0 {
		return errs.InvalidField(at("measure"), "MEASURE_UNKNOWN", "name a measure of the scorecard")
	}
	mix := c.GetMeasures()[j].GetCaseMix()
	known := len(mix) == 0 && v.GetCaseMixClass() == "" ||
		slices.ContainsFunc(mix, func(k *permissionv1.CaseMixClass) bool { return k.GetId() == v.GetCaseMixClass() })
	if !known {
		return errs.InvalidField(at("case_mix_class"), "MEASUREMENT_INVALID", "name a class of the measure's case mix; none when it has no case mix")
	}
	return nil
}
