package consent

import (
	"context"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/contact"
)

// Why a customer may not be contacted, for short.
const (
	noCustomer     = identityv1.ContactDecision_BLOCK_NO_CUSTOMER
	suspended      = identityv1.ContactDecision_BLOCK_SUSPENDED
	purposeRetired = identityv1.ContactDecision_BLOCK_PURPOSE_RETIRED
	noChannel      = identityv1.ContactDecision_BLOCK_NO_CHANNEL
	taken          = identityv1.ContactDecision_BLOCK_WITHDRAWN
	noConsent      = identityv1.ContactDecision_BLOCK_NO_CONSENT
	textOutdated   = identityv1.ContactDecision_BLOCK_TEXT_OUTDATED
	noAddress      = identityv1.ContactDecision_BLOCK_NO_ADDRESS
	suppressed     = identityv1.ContactDecision_BLOCK_SUPPRESSED
	free           = identityv1.ContactDecision_BLOCK_UNSPECIFIED
)

// Candidate is a customer whom somebody wants to contact; its account is nil where
// there is none.
type Candidate struct {
	Name    string
	Account *storev1.Account
}

// Contactable says of each of some customers of one organisation, one at least,
// whether it may be contacted for a purpose over a channel, in their order. The
// error is NotFound (CONSENT_PURPOSE_NOT_FOUND).
func (b *Book) Contactable(r kv.Reader, candidates []Candidate, purpose string, channel identityv1.ContactChannel) ([]*identityv1.ContactDecision, error) {
	p, err := b.purpose(r, resource.Parent(candidates[0].Name), purpose)
	if err != nil {
		return nil, err
	}
	keys := make([]kv.Key, len(candidates))
	for i, c := range candidates {
		keys[i] = key(consentName(c.Name, purpose, channel))
	}
	said, err := b.consents.GetMany(r, keys)
	if err != nil {
		return nil, err
	}
	out := make([]*identityv1.ContactDecision, len(candidates))
	for i, c := range candidates {
		d := &identityv1.ContactDecision{Customer: c.Name, Block: decide(p, channel, c.Account, said[i].Value)}
		if d.Block == free {
			if d.Block, err = b.reach(r, c.Account, channel); err != nil {
				return nil, err
			}
		}
		if d.Contactable = d.Block == free; said[i].Found() {
			d.Consent = said[i].Value.GetName()
		}
		out[i] = d
	}
	return out, nil
}

// Note counts the contacts that decisions forbid.
func (b *Book) Note(ctx context.Context, decisions ...*identityv1.ContactDecision) {
	for _, d := range decisions {
		if !d.GetContactable() {
			reason := strings.ToLower(strings.TrimPrefix(d.GetBlock().String(), "BLOCK_"))
			b.blocked.Add(ctx, 1, metric.WithAttributes(attribute.String("reason", reason)))
		}
	}
}

// decide says what the purpose and what the customer said come to; c is nil when it
// said nothing.
func decide(p *identityv1.ConsentPurpose, channel identityv1.ContactChannel, a *storev1.Account, c *identityv1.Consent) identityv1.ContactDecision_Block {
	switch {
	case a == nil, a.GetState() == identityv1.AccountState_ACCOUNT_STATE_DELETED, a.GetState() == identityv1.AccountState_ACCOUNT_STATE_ERASED, a.GetState() == identityv1.AccountState_ACCOUNT_STATE_MERGED:
		return noCustomer
	case a.GetState() == identityv1.AccountState_ACCOUNT_STATE_SUSPENDED:
		return suspended
	case p.GetRetired():
		return purposeRetired
	case !slices.Contains(p.GetChannels(), channel):
		return noChannel
	case !asked(p):
		return free
	case c.GetState() == withdrawn:
		return taken
	case p.GetLawfulBasis() == byInterest:
		return free
	case c.GetState() != granted:
		return noConsent
	case c.GetTextVersion() < p.GetOldestValidVersion():
		return textOutdated
	}
	return free
}

// reach says whether there is something to reach a customer by over a channel.
func (b *Book) reach(r kv.Reader, a *storev1.Account, channel identityv1.ContactChannel) (identityv1.ContactDecision_Block, error) {
	var to contact.Contact
	switch channel {
	case identityv1.ContactChannel_CONTACT_CHANNEL_EMAIL:
		to = contact.Email(a.GetEmail())
	case identityv1.ContactChannel_CONTACT_CHANNEL_SMS:
		to = contact.Phone(a.GetPhone())
	case identityv1.ContactChannel_CONTACT_CHANNEL_CALL:
		if a.GetPhone() == "" {
			return noAddress, nil
		}
		return free, nil
	default:
		return free, nil // nobody here knows whom chats and letters reach
	}
	if to.Target == "" {
		return noAddress, nil
	}
	quiet, err := b.outbox.Suppressed(r, resource.Parent(a.GetName()), to)
	if err == nil && quiet {
		return suppressed, nil
	}
	return free, err
}
