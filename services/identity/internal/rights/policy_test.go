package rights

import (
	"testing"
	"time"

	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

func TestDue_isByTheLawOfTheOrganisation(t *testing.T) {
	gdpr := &identityv1.DataSubjectPolicy{Regime: identityv1.DataSubjectPolicy_REGIME_GDPR, WorkingDays: 15}
	pipl := &identityv1.DataSubjectPolicy{Regime: identityv1.DataSubjectPolicy_REGIME_PIPL, WorkingDays: 15}
	for _, c := range []struct {
		policy     *identityv1.DataSubjectPolicy
		from, want string
	}{
		{gdpr, "2026-03-10", "2026-04-10"},
		{gdpr, "2026-01-31", "2026-02-28"}, // the last day of a month that has no 31st
		{gdpr, "2028-01-30", "2028-02-29"},
		{gdpr, "2026-12-31", "2027-01-31"},
		{pipl, "2026-03-02", "2026-03-23"}, // a Monday: three weeks
		{pipl, "2026-03-07", "2026-03-27"}, // a Saturday
	} {
		from, err := time.Parse(time.DateOnly, c.from)
		if err != nil {
			t.Fatal(err)
		}
		if got := due(c.policy, from).Format(time.DateOnly); got != c.want {
			t.Errorf("from %s, %v: due on %s, want %s", c.from, c.policy.GetRegime(), got, c.want)
		}
	}
}
