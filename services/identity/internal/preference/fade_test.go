package preference

import (
	"math"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"pgregory.net/rapid"

	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// TestFade_halvesInItsTime: half is left after the half-life, a quarter after two, and
// nothing is gained by what lies ahead.
func TestFade_halvesInItsTime(t *testing.T) {
	for passed, want := range map[time.Duration]float64{0: 0.8, time.Hour: 0.4, 2 * time.Hour: 0.2, -time.Hour: 0.8} {
		if got := fade(0.8, passed, time.Hour); math.Abs(got-want) > 1e-12 {
			t.Errorf("after %v: %v, want %v", passed, got, want)
		}
	}
}

// TestStrengthen_staysInBoundsAndNeverTurnsBack: no evidence takes a strength out of its
// bounds, and evidence of a sign never moves it the other way.
func TestStrengthen_staysInBoundsAndNeverTurnsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, w := rapid.Float64Range(-1, 1).Draw(t, "strength"), rapid.Float64Range(-1, 1).Draw(t, "weight")
		got := strengthen(s, w)
		if got < -1 || got > 1 || (got-s)*w < 0 {
			t.Errorf("%v with %v is %v", s, w, got)
		}
	})
}

// TestUntil_isWhenTooLittleIsLeft: what is forgotten at a time has faded to the policy's
// bound by then, and not before.
func TestUntil_isWhenTooLittleIsLeft(t *testing.T) {
	at := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		p := &identityv1.PreferencePolicy{
			HalfLife:    durationpb.New(time.Duration(rapid.Int64Range(1, 3650).Draw(t, "days")) * 24 * time.Hour),
			ForgetBelow: rapid.Float64Range(0.001, 0.5).Draw(t, "below"),
		}
		s := rapid.Float64Range(-1, 1).Draw(t, "strength")
		end := until(s, at, p)
		left := math.Abs(fade(s, end.Sub(at), p.GetHalfLife().AsDuration()))
		if math.Abs(s) < p.GetForgetBelow() {
			if !end.Equal(at) {
				t.Errorf("%v below %v is kept until %v", s, p.GetForgetBelow(), end)
			}
		} else if math.Abs(left-p.GetForgetBelow()) > 1e-6 {
			t.Errorf("of %v, %v is left at its end, want %v", s, left, p.GetForgetBelow())
		}
	})
}
