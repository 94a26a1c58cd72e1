package ownership

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
const PolicyPattern = resource.Pattern("organizations/{organization}/ownershipPolicy")

// OrganizationOf returns the organisation in the name of its policy.
func OrganizationOf(policy string) string { return strings.TrimSuffix(policy, "/ownershipPolicy") }

// What an organisation that has set nothing is held to. WeCom lets a customer be
// handed over once in 90 days, and tells it 24 hours ahead.
const (
	DefaultDailyLimit    = 50
	DefaultCoolDown      = 90 * 24 * time.Hour
	DefaultAcceptWithin  = 7 * 24 * time.Hour
	DefaultDeclineWithin = 24 * time.Hour
)

// Policy returns an organisation's policy, with the defaults for what it has not
// set.
func (b *Book) Policy(r kv.Reader, organization string) (*identityv1.OwnershipPolicy, error) {
	rec, _, err := b.policies.Find(r, policyKey(organization))
	if err != nil {
		return nil, err
	}
	return complete(organization, rec), nil
}

// UpdatePolicy changes the masked fields to those of p, and records it if that
// changed anything. Errors are Conflict (ETAG_MISMATCH), and Invalid for a mask
// of other fields.
func (b *Book) UpdatePolicy(tx *change.Tx, p *identityv1.OwnershipPolicy, mask *fieldmaskpb.FieldMask) (*identityv1.OwnershipPolicy, error) {
	rec, err := revise.Set(tx, b.policies, p, mask, revise.Rules[*identityv1.OwnershipPolicy]{
		Event:  "guildhall.identity.ownership_policy",
		Fields: []string{"daily_limit", "cool_down", "accept_within", "decline_within"},
	})
	if err != nil {
		return nil, err
	}
	return complete(OrganizationOf(p.GetName()), rec), nil
}

// complete returns the policy of a record, the zero one for none.
func complete(organization string, rec kv.Record[*identityv1.OwnershipPolicy]) *identityv1.OwnershipPolicy {
	p := &identityv1.OwnershipPolicy{}
	if rec.Found() {
		p = proto.CloneOf(rec.Value)
	}
	p.Name, p.Etag = organization+"/ownershipPolicy", rec.Etag
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
	return p
}
