package rights

import (
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/revise"
)

// PolicyPattern is the form of the name of an organisation's policy.
const PolicyPattern = resource.Pattern("organizations/{organization}/dataSubjectPolicy")

// OrganizationOf returns the organisation in the name of its policy.
func OrganizationOf(policy string) string { return strings.TrimSuffix(policy, "/dataSubjectPolicy") }

// What holds where an organisation has set nothing.
const (
	DefaultRegime      = identityv1.DataSubjectPolicy_REGIME_GDPR
	DefaultWorkingDays = 15
	DefaultGracePeriod = 7 * 24 * time.Hour
)

// Policy returns an organisation's policy, with the defaults for what it has not
// set.
func (b *Book) Policy(r kv.Reader, organization string) (*identityv1.DataSubjectPolicy, error) {
	rec, _, err := b.policies.Find(r, policyKey(organization))
	if err != nil {
		return nil, err
	}
	return complete(organization, rec), nil
}

// UpdatePolicy changes the masked fields to those of p, and records it if that
// changed anything. Errors are Conflict (ETAG_MISMATCH), and Invalid for a mask of
// other fields.
func (b *Book) UpdatePolicy(tx *change.Tx, p *identityv1.DataSubjectPolicy, mask *fieldmaskpb.FieldMask) (*identityv1.DataSubjectPolicy, error) {
	rec, err := revise.Set(tx, b.policies, p, mask, revise.Rules[*identityv1.DataSubjectPolicy]{
		Event: "guildhall.identity.data_subject_policy", Fields: []string{"regime", "working_days", "grace_period"},
	})
	if err != nil {
		return nil, err
	}
	return complete(OrganizationOf(p.GetName()), rec), nil
}

func complete(organization string, rec kv.Record[*identityv1.DataSubjectPolicy]) *identityv1.DataSubjectPolicy {
	p := &identityv1.DataSubjectPolicy{}
	if rec.Found() {
		p = proto.CloneOf(rec.Value)
	}
	p.Name, p.Etag = organization+"/dataSubjectPolicy", rec.Etag
	if p.GetRegime() == 0 {
		p.Regime = DefaultRegime
	}
	if p.GetWorkingDays() == 0 {
		p.WorkingDays = DefaultWorkingDays
	}
	if p.GetGracePeriod() == nil {
		p.GracePeriod = durationpb.New(DefaultGracePeriod)
	}
	return p
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
