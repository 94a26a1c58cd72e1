package stage

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"pgregory.net/rapid"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

const days = 24 * time.Hour

func anyStage(t *rapid.T, label string) identityv1.LifecycleStage {
	return rapid.SampledFrom(All()).Draw(t, label)
}

// TestMoves_areThoseOfTheDrawing spells the table of the package's doc anew.
func TestMoves_areThoseOfTheDrawing(t *testing.T) {
	drawn := map[identityv1.LifecycleStage][]identityv1.LifecycleStage{
		Lead: {Prospect, Customer}, Prospect: {Lead, Customer}, Customer: {Prospect, AtRisk, Lapsed},
		AtRisk: {Customer, Lapsed, WonBack}, Lapsed: {WonBack}, WonBack: {Customer, AtRisk, Lapsed},
	}
	for _, from := range All() {
		for _, to := range All() {
			err := Check(from, to, 0)
			if allowed := slices.Contains(drawn[from], to); allowed != (err == nil) {
				t.Errorf("%s to %s: %v", Name(from), Name(to), err)
			}
			if err != nil && errs.ReasonOf(err) != "STAGE_MOVE_FORBIDDEN" {
				t.Errorf("%s to %s: %v", Name(from), Name(to), err)
			}
		}
	}
	if err := Check(Customer, Prospect, 1); errs.ReasonOf(err) != "STAGE_HAS_PURCHASES" {
		t.Errorf("a customer that has bought: %v", err)
	}
}

// TestMovesByThemselves_areAllowedOnes and lead to where nothing more happens.
func TestMovesByThemselves_areAllowedOnes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from := anyStage(t, "from")
		since := time.Unix(rapid.Int64Range(0, 1000).Draw(t, "since"), 0)
		bought := time.Unix(rapid.Int64Range(0, 1000).Draw(t, "bought"), 0)
		excused := rapid.Bool().Draw(t, "excused")
		if to := Follows(from, since, bought, excused); to != from {
			if err := Check(from, to, 1); err != nil {
				t.Fatalf("a purchase: %v", err)
			}
			// It comes to its new stage now, which is no earlier than before.
			if again := Follows(to, later(since, bought), bought, excused); again != to {
				t.Fatalf("the same purchase again moves %s to %s", Name(to), Name(again))
			}
		} else if (from == AtRisk || from == Lapsed) && bought.After(since) {
			t.Fatalf("a purchase of later leaves %s", Name(from))
		}
		p := &identityv1.StagePolicy{
			AtRiskAfter: durationpb.New(time.Duration(rapid.IntRange(0, 5).Draw(t, "risk")) * days),
			LapsedAfter: durationpb.New(time.Duration(rapid.IntRange(0, 9).Draw(t, "lapse")) * days),
		}
		if checkPeriods(p) != nil {
			return
		}
		idle := time.Duration(rapid.IntRange(0, 10).Draw(t, "idle")) * days
		to := aged(p, from, idle)
		if to != from {
			if err := Check(from, to, 1); err != nil {
				t.Fatalf("time: %v", err)
			}
		}
		if again := aged(p, to, idle); again != to {
			t.Fatalf("time moves %s to %s, and that at once to %s", Name(from), Name(to), Name(again))
		}
		// What the sweep finds moves, or it would find it for ever.
		if period := periodOf(p, from); (period > 0 && idle >= period) != (to != from) {
			t.Fatalf("%s after %s is found by %s, and goes to %s", Name(from), idle, period, Name(to))
		}
	})
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func TestDays(t *testing.T) {
	now := time.Date(2026, 3, 1, 23, 0, 0, 0, time.FixedZone("", -3600))
	first, second, err := Days("", "", now)
	if err != nil || first.Format(time.DateOnly) != "2026-02-01" || second.Format(time.DateOnly) != "2026-03-03" {
		t.Errorf("by default %s to %s, %v", first, second, err)
	}
	for _, c := range [][2]string{{"2026-02-30", ""}, {"yesterday", ""}, {"", "2026"}, {"2026-02-02", "2026-02-02"}, {"2025-01-01", "2026-01-03"}} {
		if _, _, err := Days(c[0], c[1], now); errs.ReasonOf(err) != "STAGE_REPORT_DATES_INVALID" {
			t.Errorf("%v: %v", c, err)
		}
	}
	if _, _, err := Days("2024-01-01", "2025-01-01", now); err != nil {
		t.Errorf("a leap year: %v", err)
	}
}
