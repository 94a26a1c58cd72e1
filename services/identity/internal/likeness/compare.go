package likeness

import (
	"math"
	"slices"
	"strings"

	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/naming"
)

// The verdicts, for short.
const (
	agrees      = identityv1.DuplicateEvidence_VERDICT_AGREES
	resembles   = identityv1.DuplicateEvidence_VERDICT_RESEMBLES
	contradicts = identityv1.DuplicateEvidence_VERDICT_CONTRADICTS
)

// The weights, in powers of two. That two of one person have another mail address
// and another phone number says little: one number could not be of both anyway.
const (
	prior = -10.0 // of two who share a key and of whom nothing else is known

	nameAgrees, nameSpoken, nameResembles, nameContradicts = 11.0, 7.0, 4.0, -4.0
	localAgrees, shortLocalAgrees, localContradicts        = 12.0, 9.0, -1.5
	phoneAgrees, phoneContradicts                          = 13.0, -1.5
	idContradicts                                          = -4.0
	countryAgrees, countryContradicts                      = 0.5, -2.0
)

// shortLocal is how many bytes of a local part many people may have chosen.
const shortLocal = 6

// Compare returns what the fields of two customers say, those that both have. common
// says how many customers share the key of a field by which the two were found; 2 of
// one that it does not have.
func Compare(a, b *storev1.Account, common map[identityv1.DuplicateEvidence_Field]int) []*identityv1.DuplicateEvidence {
	var out []*identityv1.DuplicateEvidence
	add := func(field identityv1.DuplicateEvidence_Field, verdict identityv1.DuplicateEvidence_Verdict, weight float64) {
		if n := common[field]; n > 2 && verdict != contradicts {
			weight = max(0, weight-math.Log2(float64(n)/2))
		}
		out = append(out, &identityv1.DuplicateEvidence{Field: field, Verdict: verdict, Weight: round(weight)})
	}
	if a.GetDisplayName() != "" && b.GetDisplayName() != "" {
		verdict, weight := compareNames(a.GetDisplayName(), b.GetDisplayName())
		add(byName, verdict, weight)
	}
	if x, y := local(a.GetEmail()), local(b.GetEmail()); x != "" && y != "" {
		switch {
		case x != y:
			add(byEmail, contradicts, localContradicts)
		case len(x) < shortLocal:
			add(byEmail, agrees, shortLocalAgrees)
		default:
			add(byEmail, agrees, localAgrees)
		}
	}
	if x, y := ending(a.GetPhone()), ending(b.GetPhone()); x != "" && y != "" {
		add(either(byPhone, x == y, phoneAgrees, phoneContradicts))
	}
	if x, y := a.GetExternalId(), b.GetExternalId(); x != "" && y != "" && x != y {
		add(byID, contradicts, idContradicts)
	}
	if x, y := a.GetCountry(), b.GetCountry(); x != "" && y != "" {
		add(either(byCountry, strings.EqualFold(x, y), countryAgrees, countryContradicts))
	}
	return out
}

func either(field identityv1.DuplicateEvidence_Field, same bool, yes, no float64) (identityv1.DuplicateEvidence_Field, identityv1.DuplicateEvidence_Verdict, float64) {
	if same {
		return field, agrees, yes
	}
	return field, contradicts, no
}

// compareNames says how alike two names are. Two in Chinese characters that only
// sound alike resemble each other, for an input method offers both; one of them in
// Latin letters can be no more alike than that.
func compareNames(x, y string) (identityv1.DuplicateEvidence_Verdict, float64) {
	a, b := naming.WholeOf(x), naming.WholeOf(y)
	switch {
	case meet(a.Written, b.Written):
		return agrees, nameAgrees
	case meet(a.Written, b.Spelt) || meet(a.Spelt, b.Written):
		return resembles, nameSpoken
	case meet(a.Spelt, b.Spelt) || near(a.Written, b.Written):
		return resembles, nameResembles
	}
	return contradicts, nameContradicts
}

func meet(a, b []string) bool {
	return slices.ContainsFunc(a, func(form string) bool { return slices.Contains(b, form) })
}

// near reports whether two names are a slip of the pen apart: one letter of five or
// more, two of ten or more.
func near(a, b []string) bool {
	if len(a) == 0 || len(b) == 0 {
		return false
	}
	x, y := []rune(a[0]), []rune(b[0])
	allowed := min(len(x), len(y), 14) / 5
	return max(len(x), len(y))-min(len(x), len(y)) <= allowed && allowed > 0 && distance(x, y) <= allowed
}

// distance is Levenshtein's: how many letters have to be put in, taken out or
// replaced. Names are at most 200 characters long.
func distance(x, y []rune) int {
	row := make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i, c := range x {
		corner := row[0]
		row[0] = i + 1
		for j, d := range y {
			cost := corner
			if c != d {
				cost = 1 + min(corner, row[j], row[j+1])
			}
			corner, row[j+1] = row[j+1], cost
		}
	}
	return row[len(y)]
}

// Score returns how likely two are one person of whom the evidence is all that is
// known, from 0 to 1. It is 0 when nothing of what customers are found by speaks for
// it.
func Score(evidence []*identityv1.DuplicateEvidence) float64 {
	sum, some := prior, false
	for _, e := range evidence {
		sum += e.GetWeight()
		some = some || e.GetVerdict() != contradicts && e.GetField() != byCountry
	}
	if !some {
		return 0
	}
	return round(1 / (1 + math.Exp2(-sum)))
}

func round(x float64) float64 { return math.Round(x*1000) / 1000 }
