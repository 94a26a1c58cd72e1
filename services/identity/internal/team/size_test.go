package team

import (
	"testing"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/testkit"
)

func TestResize_aFullTeamTakesNobodyUntilOneLeaves(t *testing.T) {
	const sales, field = "organizations/acme/teams/sales", "organizations/acme/teams/field"
	b := New(2, 1)
	testkit.EachStore(t, "identity", b.Tables(), func(t *testing.T, s kv.Store) {
		for i, step := range []struct {
			team string
			by   int32 // 0 deletes the team
			full bool
		}{
			{sales, +1, false},
			{sales, +1, false},
			{sales, +1, true},
			{field, +1, false},
			{sales, -1, false},
			{sales, +1, false},
			{sales, +1, true},
			{sales, 0, false},
			{sales, 0, false},
			{sales, +1, false},
		} {
			err := s.Update(t.Context(), func(tx kv.Tx) error {
				if step.by == 0 {
					return b.forgetSize(tx, step.team)
				}
				return b.resize(tx, step.team, step.by)
			})
			if step.full != errs.Is(err, errs.Exhausted) || step.full && errs.ReasonOf(err) != "TEAM_FULL" || !step.full && err != nil {
				t.Fatalf("step %d: %v, want full %t", i, err, step.full)
			}
		}
	})
}

func TestBranch_aFullTeamTakesNoTeamUntilOneLeaves(t *testing.T) {
	const sales = "organizations/acme/teams/sales"
	b := New(1, 2)
	testkit.EachStore(t, "identity", b.Tables(), func(t *testing.T, s kv.Store) {
		for i, step := range []struct {
			by   int32
			full bool
		}{{+1, false}, {+1, false}, {+1, true}, {-1, false}, {+1, false}} {
			err := s.Update(t.Context(), func(tx kv.Tx) error { return b.branch(tx, sales, step.by) })
			if step.full != (errs.ReasonOf(err) == "TEAM_FULL") || !step.full && err != nil {
				t.Fatalf("step %d: %v, want full %t", i, err, step.full)
			}
		}
		// Members have places of their own.
		if err := s.Update(t.Context(), func(tx kv.Tx) error { return b.resize(tx, sales, +1) }); err != nil {
			t.Error(err)
		}
	})
}
