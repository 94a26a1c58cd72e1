package interaction

import (
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/revise"
)

// PolicyPattern is the form of the name of an organisation's policy.
const PolicyPattern = resource.Pattern("organizations/{organization}/interactionPolicy")

// OrganizationOf returns the organisation in the name of its policy.
func OrganizationOf(policy string) string { return strings.TrimSuffix(policy, "/interactionPolicy") }

// DefaultLockAfter is when interactions are locked where an organisation has not said:
// a week, in which what was noted in a hurry is put right.
const DefaultLockAfter = 7 * 24 * time.Hour

// Policy returns an organisation's policy, with the default for what it has not set.
func (b *Book) Policy(r kv.Reader, organization string) (*identityv1.InteractionPolicy, error) {
	rec, _, err := b.policies.Find(r, kv.Key{kv.String(organization)})
	if err != nil {
		return nil, err
	}
	return shown(organization, rec), nil
}

// UpdatePolicy changes the masked fields to those of p, and records it if that changed
// anything. Errors are Conflict (ETAG_MISMATCH), and Invalid for a mask of other
// fields.
func (b *Book) UpdatePolicy(tx *change.Tx, p *identityv1.InteractionPolicy, mask *fieldmaskpb.FieldMask) (*identityv1.InteractionPolicy, error) {
	rec, err := revise.Set(tx, b.policies, p, mask, revise.Rules[*identityv1.InteractionPolicy]{
		Event: "guildhall.identity.interaction_policy", Fields: []string{"lock_after"},
	})
	if err != nil {
		return nil, err
	}
	return shown(OrganizationOf(p.GetName()), rec), nil
}

func shown(organization string, rec kv.Record[*identityv1.InteractionPolicy]) *identityv1.InteractionPolicy {
	p := &identityv1.InteractionPolicy{}
	if rec.Found() {
		p = proto.CloneOf(rec.Value)
	}
	p.Name, p.Etag = organization+"/interactionPolicy", rec.Etag
	if p.GetLockAfter() == nil {
		p.LockAfter = durationpb.New(DefaultLockAfter)
	}
	return p
}

// checkUnlocked refuses to change an interaction that is evidence by now: Precondition
// (INTERACTION_LOCKED).
func (b *Book) checkUnlocked(tx *change.Tx, i *identityv1.Interaction) error {
	p, err := b.Policy(tx, organizationOf(i))
	if err != nil {
		return err
	}
	if tx.Time.Before(i.GetCreateTime().AsTime().Add(p.GetLockAfter().AsDuration())) {
		return nil
	}
	return errs.New(errs.Precondition, "INTERACTION_LOCKED",
		"the interaction was written down too long ago to be changed; write down another that puts it right")
}
