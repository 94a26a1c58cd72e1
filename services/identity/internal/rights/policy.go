package rights

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/revise"
)

// PolicyPattern is the form of the name of an organisation's policy.
const PolicyPattern = resource.Pattern("organizations/{organization}/dataSubjectPolicy")

// What holds where an organisation has set nothing.
const (
	DefaultRegime      = identityv1.DataSubjectPolicy_REGIME_GDPR
	DefaultWorkingDays = 15
	DefaultGracePeriod = 7 * 24 * time.Hour
)

// policies are (organisation) -> DataSubjectPolicy.
func policies() *revise.Setting[*identityv1.DataSubjectPolicy] {
	return revise.NewSetting(revise.SettingConfig[*identityv1.DataSubjectPolicy]{
		Table: "data_subject_policies", ID: "dataSubjectPolicy",
		Rules: revise.Rules[*identityv1.DataSubjectPolicy]{
			Event: "guildhall.identity.data_subject_policy", Fields: []string{"regime", "working_days", "grace_period"},
		},
		Complete: complete,
	})
}

func complete(p *identityv1.DataSubjectPolicy) {
	if p.GetRegime() == 0 {
		p.Regime = DefaultRegime
	}
	if p.GetWorkingDays() == 0 {
		p.WorkingDays = DefaultWorkingDays
	}
	if p.GetGracePeriod() == nil {
		p.GracePeriod = durationpb.New(DefaultGracePeriod)
	}
}

// due returns when the answer to a request of a time is due: after a month under
// the GDPR (article 12(3)), after some working days under PIPL (article 50 says
// without delay). Public holidays are not known here, so that it is rather too
// early than too late.
func due(p *identityv1.DataSubjectPolicy, from time.Time) time.Time {
	if p.GetRegime() == identityv1.DataSubjectPolicy_REGIME_PIPL {
		return workingDays(from, int(p.GetWorkingDays()))
	}
	return months(from, 1)
}

// later returns when an extended request is due.
func later(q *identityv1.DataSubjectRequest, p *identityv1.DataSubjectPolicy) time.Time {
	if q.GetRegime() == identityv1.DataSubjectPolicy_REGIME_PIPL {
		return workingDays(q.GetDueTime().AsTime(), int(p.GetWorkingDays()))
	}
	return months(q.GetCreateTime().AsTime(), 3) // one, and two more
}

// months adds calendar months: to the same day, or to the last of a month that has
// none such (Regulation 1182/71, article 3).
func months(from time.Time, n int) time.Time {
	to := from.AddDate(0, n, 0)
	if to.Day() != from.Day() { // AddDate has gone over into the next month
		to = to.AddDate(0, 0, -to.Day())
	}
	return to
}

// workingDays adds days from Monday to Friday.
func workingDays(from time.Time, n int) time.Time {
	for n > 0 {
		from = from.AddDate(0, 0, 1)
		if day := from.Weekday(); day != time.Saturday && day != time.Sunday {
			n--
		}
	}
	return from
}
