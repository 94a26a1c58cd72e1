package appraisal_test

import (
	"math"
	"strings"
	"testing"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/people/appraisal"
)

func mixed() *permissionv1.Measure {
	return &permissionv1.Measure{
		Id: "satisfaction", Weight: 3, Worst: 1, Best: 5, MinSampleSize: 20,
		CaseMix: []*permissionv1.CaseMixClass{{Id: "simple", Weight: 80}, {Id: "complaint", Weight: 20}},
	}
}

func of(class string, value float64, cases int32) *permissionv1.Measurement {
	return &permissionv1.Measurement{Measure: "satisfaction", CaseMixClass: class, Value: value, SampleSize: cases}
}

// TestScore_harderCasesDoNotCount has two people who do equally well in each
// class, one of them with mostly complaints.
func TestScore_harderCasesDoNotCount(t *testing.T) {
	easy := []*permissionv1.Measurement{of("simple", 4.5, 90), of("complaint", 2.5, 10)}
	hard := []*permissionv1.Measurement{of("simple", 4.5, 5), of("simple", 4.5, 5), of("complaint", 2.5, 90)}
	measures := []*permissionv1.Measure{mixed()}
	a, scoreA := appraisal.Score(measures, easy)
	b, scoreB := appraisal.Score(measures, hard)
	// 0.8 × 4.5 + 0.2 × 2.5 = 4.1, of 1 to 5.
	for _, score := range []*float64{scoreA, scoreB} {
		if score == nil || math.Abs(*score-77.5) > 1e-9 {
			t.Errorf("scores %v", score)
		}
	}
	if math.Abs(a[0].GetRawValue()-4.3) > 1e-9 || math.Abs(b[0].GetRawValue()-2.7) > 1e-9 {
		t.Errorf("raw values %v and %v", a[0].GetRawValue(), b[0].GetRawValue())
	}
}

func TestScore_noNumberWithoutEnoughCases(t *testing.T) {
	plain := &permissionv1.Measure{Id: "accuracy", Weight: 1, Worst: 0.9, Best: 1, MinSampleSize: 30}
	accuracy := &permissionv1.Measurement{Measure: "accuracy", Value: 0.95, SampleSize: 30}
	for name, measured := range map[string][]*permissionv1.Measurement{
		"nothing measured":    {accuracy},
		"too few":             {accuracy, of("simple", 4, 10), of("complaint", 4, 9)},
		"a class of the mix":  {accuracy, of("simple", 4, 100)},
		"nothing of anything": nil,
	} {
		results, score := appraisal.Score([]*permissionv1.Measure{mixed(), plain}, measured)
		if score != nil {
			t.Errorf("%s: score %v", name, *score)
		}
		if r := results[0]; !r.GetInsufficientData() || r.Score != nil || r.Value != nil || r.RawValue != nil || r.Contribution != nil {
			t.Errorf("%s: %v", name, r)
		}
		if r := results[1]; len(measured) > 0 && math.Abs(r.GetContribution()-0.25*50) > 1e-9 {
			t.Errorf("%s: the other measure adds %v", name, r)
		}
	}
}

func TestScore_staysWithinItsScale(t *testing.T) {
	// Answering in 60 minutes is worst, in 5 best: less is better.
	speed := &permissionv1.Measure{Id: "speed", Weight: 2, Worst: 60, Best: 5, MinSampleSize: 1}
	for value, want := range map[float64]float64{90: 0, 60: 0, 5: 100, 1: 100, 32.5: 50} {
		_, score := appraisal.Score([]*permissionv1.Measure{speed}, []*permissionv1.Measurement{{Measure: "speed", Value: value, SampleSize: 1}})
		if score == nil || *score != want {
			t.Errorf("%v minutes score %v, want %v", value, score, want)
		}
	}
}

func TestFormula_isWrittenOut(t *testing.T) {
	formula := appraisal.Formula([]*permissionv1.Measure{mixed(), {Id: "accuracy", Weight: 1, Worst: 0.9, Best: 1, MinSampleSize: 30}})
	for _, part := range []string{"score = 0.75 × S(satisfaction) + 0.25 × S(accuracy)", "0.8 × mean(simple) + 0.2 × mean(complaint)", "no number below 30 cases"} {
		if !strings.Contains(formula, part) {
			t.Errorf("%q does not say %q", formula, part)
		}
	}
}
