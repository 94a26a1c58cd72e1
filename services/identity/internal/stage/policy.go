package stage

import (
	"time"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/revise"
)

// PolicyPattern is the form of the name of an organisation's policy.
const PolicyPattern = resource.Pattern("organizations/{organization}/stagePolicy")

// shortest is the shortest period that moves customers: with less, somebody who
// buys each day would be lost each night.
const shortest = 24 * time.Hour

// policies are (organisation) -> StagePolicy. Under one that has set none nothing moves
// by itself.
func policies() *revise.Setting[*identityv1.StagePolicy] {
	return revise.NewSetting(revise.SettingConfig[*identityv1.StagePolicy]{
		Table: "stage_policies", ID: "stagePolicy",
		Rules: revise.Rules[*identityv1.StagePolicy]{
			Event:  "guildhall.identity.stage_policy",
			Fields: []string{"follow_purchases", "at_risk_after", "lapsed_after"},
			Follow: func(_, now *identityv1.StagePolicy) error { return checkPeriods(now) },
		},
		Indexes: []kv.Index[*identityv1.StagePolicy]{{Name: byPeriods, Keys: func(p *identityv1.StagePolicy) []kv.Key {
			if p.GetAtRiskAfter().AsDuration() == 0 && p.GetLapsedAfter().AsDuration() == 0 {
				return nil
			}
			return []kv.Key{{kv.String(revise.ParentOf(p.GetName()))}}
		}}},
	})
}

// checkPeriods refuses periods that make no sense: Invalid (STAGE_PERIODS_INVALID).
func checkPeriods(p *identityv1.StagePolicy) error {
	risk, lapse := p.GetAtRiskAfter().AsDuration(), p.GetLapsedAfter().AsDuration()
	for _, period := range []struct {
		field string
		time.Duration
	}{{"stage_policy.at_risk_after", risk}, {"stage_policy.lapsed_after", lapse}} {
		if period.Duration > 0 && period.Duration < shortest {
			return errs.InvalidField(period.field, "STAGE_PERIODS_INVALID", "send a day at least, or 0s for never")
		}
	}
	if risk > 0 && lapse > 0 && lapse <= risk {
		return errs.InvalidField("stage_policy.lapsed_after", "STAGE_PERIODS_INVALID", "send more than at_risk_after")
	}
	return nil
}
