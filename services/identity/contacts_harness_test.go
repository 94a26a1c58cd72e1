package identity_test

import (
	"context"
	"testing"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

const (
	byMail = identityv1.MessageChannel_MESSAGE_CHANNEL_EMAIL
	bySMS  = identityv1.MessageChannel_MESSAGE_CHANNEL_SMS
)

func (p *process) contacts() identityv1.ContactServiceClient {
	return identityv1.NewContactServiceClient(p.conn)
}

// moveTo asks for a change of the caller's mail address.
func (p *process) moveTo(ctx context.Context, address string) (*identityv1.ContactVerification, error) {
	return p.contacts().RequestContactChange(ctx, &identityv1.RequestContactChangeRequest{
		Contact: &identityv1.RequestContactChangeRequest_Email{Email: address},
	})
}

// callAt is moveTo for a phone number.
func (p *process) callAt(ctx context.Context, number string) (*identityv1.ContactVerification, error) {
	return p.contacts().RequestContactChange(ctx, &identityv1.RequestContactChangeRequest{
		Contact: &identityv1.RequestContactChangeRequest_Phone{Phone: number},
	})
}

func (p *process) confirm(ctx context.Context, channel identityv1.MessageChannel, code string) (*identityv1.Contact, error) {
	return p.contacts().ConfirmContact(ctx, &identityv1.ConfirmContactRequest{Channel: channel, Code: code})
}

// contactCode has a change to a mail address begun, and returns the code.
func (p *process) contactCode(ctx context.Context, address string) string {
	p.t.Helper()
	before := p.mailsTo(address)
	if _, err := p.moveTo(ctx, address); err != nil {
		p.t.Fatal(err)
	}
	p.await("a code at "+address, func() bool { return p.mailsTo(address) > before })
	return codeIn(p.awaitMail("CONTACT_VERIFICATION", address))
}

// mailsTo returns how many codes that prove a contact were sent there.
func (p *process) mailsTo(target string) (n int) {
	for _, m := range p.mailbox() {
		if m.Kind == "CONTACT_VERIFICATION" && m.To == target {
			n++
		}
	}
	return n
}

// settled moves the caller to a mail address.
func (p *process) settled(ctx context.Context, address string) {
	p.t.Helper()
	if _, err := p.confirm(ctx, byMail, p.contactCode(ctx, address)); err != nil {
		p.t.Fatal(err)
	}
}

// edit changes a customer as an administrator.
func (p *process) edit(ctx context.Context, c *identityv1.Customer, fields ...string) (*identityv1.Customer, error) {
	return p.customers().UpdateCustomer(ctx, &identityv1.UpdateCustomerRequest{Customer: c, UpdateMask: &fieldmaskpb.FieldMask{Paths: fields}})
}

// record returns a customer as an administrator sees it.
func (p *process) record(ctx context.Context, name string) *identityv1.Customer {
	p.t.Helper()
	c, err := p.customers().GetCustomer(ctx, &identityv1.GetCustomerRequest{Name: name})
	if err != nil {
		p.t.Fatal(err)
	}
	return c
}

// wantVerified fails the test unless a customer's mail address and phone number are
// verified, or are not.
func wantVerified(t testing.TB, c *identityv1.Customer, email, phone bool) {
	t.Helper()
	if (c.GetEmailVerifyTime() != nil) != email || (c.GetPhoneVerifyTime() != nil) != phone {
		t.Errorf("%s: the address is verified at %v, the number at %v; want %v, %v", c.GetName(), c.GetEmailVerifyTime(), c.GetPhoneVerifyTime(), email, phone)
	}
}
