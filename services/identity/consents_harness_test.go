package identity_test

import (
	"context"
	"strings"

	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

const (
	email = identityv1.ContactChannel_CONTACT_CHANNEL_EMAIL
	sms   = identityv1.ContactChannel_CONTACT_CHANNEL_SMS
	call  = identityv1.ContactChannel_CONTACT_CHANNEL_CALL

	onConsent  = identityv1.LawfulBasis_LAWFUL_BASIS_CONSENT
	onInterest = identityv1.LawfulBasis_LAWFUL_BASIS_LEGITIMATE_INTEREST
	onContract = identityv1.LawfulBasis_LAWFUL_BASIS_CONTRACT

	newsletter = org + "/consentPurposes/newsletter"
)

func (p *process) consents() identityv1.ConsentServiceClient {
	return identityv1.NewConsentServiceClient(p.conn)
}

func texts(en string) map[string]string { return map[string]string{"zh-CN": "给您写信", "en": en} }

// purpose makes a purpose over mail and short messages.
func (p *process) purpose(ctx context.Context, id string, basis identityv1.LawfulBasis) *identityv1.ConsentPurpose {
	p.t.Helper()
	made, err := p.consents().CreateConsentPurpose(ctx, &identityv1.CreateConsentPurposeRequest{
		Parent: org, ConsentPurposeId: id, ConsentPurpose: &identityv1.ConsentPurpose{
			DisplayName: id, LawfulBasis: basis, Channels: []identityv1.ContactChannel{email, sms}, Texts: texts("We write to you."),
		},
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return made
}

// agrees is a grant over mail to the first text, with evidence.
func agrees(customer, purpose string) *identityv1.GrantConsentRequest {
	return &identityv1.GrantConsentRequest{
		Parent: customer, Purpose: org + "/consentPurposes/" + purpose, Channels: []identityv1.ContactChannel{email}, TextVersion: 1, Evidence: "form 7",
	}
}

// grant records that a customer agrees to a purpose over mail.
func (p *process) grant(ctx context.Context, customer, purpose string) {
	p.t.Helper()
	if _, err := p.consents().GrantConsent(ctx, agrees(customer, purpose)); err != nil {
		p.t.Fatal(err)
	}
}

// blocked returns why a customer may not be contacted for the newsletter over a
// channel; "" when it may.
func (p *process) blocked(ctx context.Context, customer string, channel identityv1.ContactChannel) string {
	p.t.Helper()
	return p.blockedFor(ctx, customer, newsletter, channel)
}

func (p *process) blockedFor(ctx context.Context, customer, purpose string, channel identityv1.ContactChannel) string {
	p.t.Helper()
	d, err := p.consents().CheckContactable(ctx, &identityv1.CheckContactableRequest{Name: customer, Purpose: purpose, Channel: channel})
	if err != nil {
		p.t.Fatal(err)
	}
	block := strings.TrimPrefix(d.GetBlock().String(), "BLOCK_")
	if d.GetContactable() != (block == "UNSPECIFIED") {
		p.t.Errorf("the decision is %v", d)
	}
	return strings.TrimPrefix(block, "UNSPECIFIED")
}

// holds returns "id STATE version" of a customer's consents, in order.
func (p *process) holds(ctx context.Context, customer string) string {
	p.t.Helper()
	var all []string
	for r := (&identityv1.ListConsentsRequest{Parent: customer, PageSize: 1}); ; {
		resp, err := p.consents().ListConsents(ctx, r)
		if err != nil {
			p.t.Fatal(err)
		}
		for _, c := range resp.GetConsents() {
			all = append(all, strings.TrimPrefix(c.GetName(), customer+"/consents/")+" "+strings.TrimPrefix(c.GetState().String(), "STATE_"))
		}
		if r.PageToken = resp.GetNextPageToken(); r.PageToken == "" {
			return strings.Join(all, ", ")
		}
	}
}

// said returns "CHANNEL STATE who" of a customer's records, the newest first.
func (p *process) said(ctx context.Context, customer string) string {
	p.t.Helper()
	var all []string
	for r := (&identityv1.ListConsentRecordsRequest{Parent: customer, PageSize: 1}); ; {
		resp, err := p.consents().ListConsentRecords(ctx, r)
		if err != nil {
			p.t.Fatal(err)
		}
		for _, c := range resp.GetConsentRecords() {
			who := "staff"
			if c.GetActor() == customer {
				who = "self"
			}
			all = append(all, strings.TrimPrefix(c.GetChannel().String(), "CONTACT_CHANNEL_")+" "+strings.TrimPrefix(c.GetState().String(), "STATE_")+" "+who)
		}
		if r.PageToken = resp.GetNextPageToken(); r.PageToken == "" {
			return strings.Join(all, ", ")
		}
	}
}
