package ownership

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/revise"
)

// PolicyPattern is the form of the name of an organisation's policy.
const PolicyPattern = resource.Pattern("organizations/{organization}/ownershipPolicy")

// What an organisation that has set nothing is held to. WeCom lets a customer be
// handed over once in 90 days, and tells it 24 hours ahead.
const (
	DefaultDailyLimit    = 50
	DefaultCoolDown      = 90 * 24 * time.Hour
	DefaultAcceptWithin  = 7 * 24 * time.Hour
	DefaultDeclineWithin = 24 * time.Hour
)

// policies are (organisation) -> OwnershipPolicy.
func policies() *revise.Setting[*identityv1.OwnershipPolicy] {
	return revise.NewSetting(revise.SettingConfig[*identityv1.OwnershipPolicy]{
		Table: "ownership_policies", ID: "ownershipPolicy",
		Rules: revise.Rules[*identityv1.OwnershipPolicy]{
			Event:  "guildhall.identity.ownership_policy",
			Fields: []string{"daily_limit", "cool_down", "accept_within", "decline_within"},
		},
		Complete: complete,
	})
}

func complete(p *identityv1.OwnershipPolicy) {
	if p.GetDailyLimit() == 0 {
		p.DailyLimit = DefaultDailyLimit
	}
	for _, d := range []struct {
		field **durationpb.Duration
		value time.Duration
	}{{&p.CoolDown, DefaultCoolDown}, {&p.AcceptWithin, DefaultAcceptWithin}, {&p.DeclineWithin, DefaultDeclineWithin}} {
		if *d.field == nil {
			*d.field = durationpb.New(d.value)
		}
	}
}
