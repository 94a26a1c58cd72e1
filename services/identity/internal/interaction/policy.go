package interaction

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/revise"
)

// PolicyPattern is the form of the name of an organisation's policy.
const PolicyPattern = resource.Pattern("organizations/{organization}/interactionPolicy")

// DefaultLockAfter is when interactions are locked where an organisation has not said:
// a week, in which what was noted in a hurry is put right.
const DefaultLockAfter = 7 * 24 * time.Hour

// policies are (organisation) -> InteractionPolicy.
func policies() *revise.Setting[*identityv1.InteractionPolicy] {
	return revise.NewSetting(revise.SettingConfig[*identityv1.InteractionPolicy]{
		Table: "interaction_policies", ID: "interactionPolicy",
		Rules: revise.Rules[*identityv1.InteractionPolicy]{
			Event: "guildhall.identity.interaction_policy", Fields: []string{"lock_after"},
		},
		Complete: func(p *identityv1.InteractionPolicy) {
			if p.GetLockAfter() == nil {
				p.LockAfter = durationpb.New(DefaultLockAfter)
			}
		},
	})
}

// checkUnlocked refuses to change an interaction that is evidence by now: Precondition
// (INTERACTION_LOCKED).
func (b *Book) checkUnlocked(tx *change.Tx, i *identityv1.Interaction) error {
	p, err := b.Policies.Of(tx, organizationOf(i))
	if err != nil {
		return err
	}
	if tx.Time.Before(i.GetCreateTime().AsTime().Add(p.GetLockAfter().AsDuration())) {
		return nil
	}
	return errs.New(errs.Precondition, "INTERACTION_LOCKED",
		"the interaction was written down too long ago to be changed; write down another that puts it right")
}
