package stage

import (
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/change"
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

// Policy returns an organisation's policy; of one that has set none, the one under
// which nothing moves by itself.
func (b *Book) Policy(r kv.Reader, organization string) (*identityv1.StagePolicy, error) {
	rec, _, err := b.policies.Find(r, kv.Key{kv.String(organization)})
	if err != nil {
		return nil, err
	}
	return shown(organization, rec), nil
}

// UpdatePolicy changes the masked fields to those of p, and records it if that
// changed anything. Errors are Conflict (ETAG_MISMATCH) and Invalid:
// STAGE_PERIODS_INVALID, and UPDATE_MASK_INVALID for a mask of other fields.
func (b *Book) UpdatePolicy(tx *change.Tx, p *identityv1.StagePolicy, mask *fieldmaskpb.FieldMask) (*identityv1.StagePolicy, error) {
	rec, err := revise.Set(tx, b.policies, p, mask, revise.Rules[*identityv1.StagePolicy]{
		Event:  "guildhall.identity.stage_policy",
		Fields: []string{"follow_purchases", "at_risk_after", "lapsed_after"},
		Follow: func(_, now *identityv1.StagePolicy) error { return checkPeriods(now) },
	})
	if err != nil {
		return nil, err
	}
	return shown(OrganizationOf(p.GetName()), rec), nil
}

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

// shown returns the policy of a record, the zero one for none.
func shown(organization string, rec kv.Record[*identityv1.StagePolicy]) *identityv1.StagePolicy {
	p := &identityv1.StagePolicy{}
	if rec.Found() {
		p = proto.CloneOf(rec.Value)
	}
	p.Name, p.Etag = organization+"/stagePolicy", rec.Etag
	return p
}
