package identity_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// TestSendContactVerification_provesWhatIsThere, until somebody else changes it; how
// an address is spelled is no change.
func TestSendContactVerification_provesWhatIsThere(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		admin := p.asAdmin()
		c, tokens := p.customer(admin, &identityv1.Customer{Email: "ada@example.com", Phone: "+8613800138000", ExternalId: "a1"})
		wantVerified(t, p.record(admin, c.GetName()), false, false)
		for channel, code := range map[identityv1.MessageChannel]func() string{
			byMail: func() string { return codeIn(p.awaitMail("CONTACT_VERIFICATION", "ada@example.com")) },
			bySMS:  func() string { return smsCode(p.awaitMail("CONTACT_VERIFICATION", "+8613800138000")) },
		} {
			v, err := p.contacts().SendContactVerification(with(tokens), &identityv1.SendContactVerificationRequest{Channel: channel})
			if err != nil || v.GetChange() {
				t.Fatalf("%v, %v", v, err)
			}
			if _, err := p.confirm(with(tokens), channel, code()); err != nil {
				t.Fatal(err)
			}
		}
		wantVerified(t, p.record(admin, c.GetName()), true, true)
		if m := p.mailbox(); strings.Contains(m[len(m)-1].Kind, "CHANGED") {
			t.Errorf("of no change somebody is told %+v", m[len(m)-1])
		}
		for _, edit := range []struct {
			email, phone     string
			byEmail, byPhone bool
		}{
			{"ADA@example.com", "+8613800138000", true, true},
			{"ADA@example.com", "+8613900139000", true, false},
			{"eve@example.com", "+8613900139000", false, false},
		} {
			got, err := p.edit(admin, &identityv1.Customer{Name: c.GetName(), Email: edit.email, Phone: edit.phone}, "email", "phone")
			if err != nil {
				t.Fatal(err)
			}
			wantVerified(t, got, edit.byEmail, edit.byPhone)
		}
	})
}

// TestSendContactVerification_anImportTakesTheProofAway of what it changes.
func TestSendContactVerification_anImportTakesTheProofAway(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	admin := p.asAdmin()
	c, tokens := p.customer(admin, &identityv1.Customer{Email: "ada@example.com", ExternalId: "a1"})
	p.settled(with(tokens), "ada-2@example.com")
	outcome(t, p, admin, &identityv1.ImportOptions{}, "external_id,display_name,email\na1,Ada,ADA-2@example.com\n")
	wantVerified(t, p.record(admin, c.GetName()), true, false)
	outcome(t, p, admin, &identityv1.ImportOptions{}, "external_id,email\na1,eve@example.com\n")
	wantVerified(t, p.record(admin, c.GetName()), false, false)
}

// TestContacts_whoHasWhich: staff have no number, programs nothing, and who has no
// address has none to verify.
func TestContacts_whoHasWhich(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	admin := p.asAdmin()
	_, err := p.callAt(admin, "+8613800138000")
	wantError(t, err, errs.Invalid, "CONTACT_UNSUPPORTED")
	_, err = p.contacts().SendContactVerification(admin, &identityv1.SendContactVerificationRequest{Channel: byMail})
	wantError(t, err, errs.Precondition, "CONTACT_MISSING")
	_, err = p.contacts().SendContactVerification(admin, &identityv1.SendContactVerificationRequest{})
	wantError(t, err, errs.Invalid, "VALIDATION_FAILED")
	_, err = p.contacts().ListContacts(context.Background(), &identityv1.ListContactsRequest{})
	wantError(t, err, errs.Unauthenticated, "TOKEN_MISSING")
	p.settled(admin, "admin@example.com")
	list, err := p.contacts().ListContacts(admin, &identityv1.ListContactsRequest{})
	if err != nil || len(list.GetContacts()) != 1 || list.GetContacts()[0].GetVerifyTime() == nil || len(list.GetVerifications()) != 0 {
		t.Errorf("the contacts are %v, %v", list, err)
	}
	who, err := p.staff().GetStaffMember(admin, &identityv1.GetStaffMemberRequest{Name: org + "/staff/admin"})
	if err != nil || who.GetEmail() != "admin@example.com" || who.GetEmailVerifyTime() == nil {
		t.Errorf("the administrator is %v, %v", who, err)
	}
}

// TestContacts_lookAlikesAndHeaders: nothing is an address that looks like another
// one in another script, or that adds to a mail.
func TestContacts_lookAlikesAndHeaders(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	admin := p.asAdmin()
	_, tokens := p.customer(admin, &identityv1.Customer{Email: "ada@example.com"})
	for name, address := range map[string]string{
		"Cyrillic а":      "\u0430da@example.com",
		"Cyrillic domain": "ada@ex\u0430mple.com",
		"full width":      "ａda@example.com",
		"full width at":   "ada＠example.com",
		"Kelvin":          "\u212aarl@example.com",
		"long s":          "ada@example\u017f.com",
		"zero width":      "ada\u200b@example.com",
		"right to left":   "ada\u202e@example.com",
		"a header":        "ada@example.com\r\nBcc: eve@example.com",
		"a line":          "ada@example.com\n",
		"two":             "ada@example.com, eve@example.com",
		"a name":          "Eve <eve@example.com>",
		"a NUL":           "ada@example.com\x00",
		"quoted":          "\"ada\r\n\"@example.com",
		"empty":           "",
	} {
		if _, err := p.moveTo(with(tokens), address); errs.ReasonOf(err) != "VALIDATION_FAILED" {
			t.Errorf("%s: a change is answered %v", name, err)
		}
		if address == "" {
			continue
		}
		_, err := p.customers().CreateCustomer(admin, &identityv1.CreateCustomerRequest{Parent: org, Customer: &identityv1.Customer{Email: address}})
		if errs.ReasonOf(err) != "VALIDATION_FAILED" {
			t.Errorf("%s: a new customer is answered %v", name, err)
		}
	}
	for _, number := range []string{"13800138000", "+0123456789", "+86 138", "+８６13800138000", "+8613800138000\r\nX: y", "+1234567890123456"} {
		if _, err := p.callAt(with(tokens), number); errs.ReasonOf(err) != "VALIDATION_FAILED" {
			t.Errorf("%q is answered %v", number, err)
		}
	}
}

// TestRequestContactChange_freshProof: a session that was stolen long after the login
// moves nobody.
func TestRequestContactChange_freshProof(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	_, tokens := p.customer(p.asAdmin(), &identityv1.Customer{Email: "ada@example.com"})
	p.clock.advance(16 * time.Minute)
	tokens, err := p.auth().RefreshToken(context.Background(), &identityv1.RefreshTokenRequest{RefreshToken: tokens.GetRefreshToken()})
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.moveTo(with(tokens), "new@example.com")
	wantError(t, err, errs.Unauthenticated, "STEP_UP_REQUIRED")
	if _, err := p.contacts().SendContactVerification(with(tokens), &identityv1.SendContactVerificationRequest{Channel: byMail}); err != nil {
		t.Errorf("to verify what is there: %v", err)
	}
}

// TestAcceptInvitation_provesTheContact that the code was sent to, unless somebody
// was shown it too.
func TestAcceptInvitation_provesTheContact(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		admin := p.asAdmin()
		shown, _ := p.customer(admin, &identityv1.Customer{Email: "shown@example.com"})
		wantVerified(t, p.record(admin, shown.GetName()), false, false)
		c, err := p.customers().CreateCustomer(admin, &identityv1.CreateCustomerRequest{Parent: org, Customer: &identityv1.Customer{Email: "ada@example.com", Phone: "+8613800138000"}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.auth().CreateInvitation(admin, &identityv1.CreateInvitationRequest{Account: c.GetName()}); err != nil {
			t.Fatal(err)
		}
		if _, err := p.auth().AcceptInvitation(context.Background(), &identityv1.AcceptInvitationRequest{
			Code: codeIn(p.awaitMail("INVITATION", "ada@example.com")), Password: goodPassword,
		}); err != nil {
			t.Fatal(err)
		}
		wantVerified(t, p.record(admin, c.GetName()), true, false)
	})
}

// TestAcceptInvitation_voidWithItsContact: who reads the mail of before does not
// become the account, whatever is sent again.
func TestAcceptInvitation_voidWithItsContact(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		admin := p.asAdmin()
		c, err := p.customers().CreateCustomer(admin, &identityv1.CreateCustomerRequest{Parent: org, Customer: &identityv1.Customer{Email: "typo@example.com"}})
		if err != nil {
			t.Fatal(err)
		}
		i, err := p.auth().CreateInvitation(admin, &identityv1.CreateInvitationRequest{Account: c.GetName()})
		if err != nil {
			t.Fatal(err)
		}
		code := codeIn(p.awaitMail("INVITATION", "typo@example.com"))
		p.awaitSent(admin, i.GetDelivery())
		if _, err := p.edit(admin, &identityv1.Customer{Name: c.GetName(), Email: "right@example.com"}, "email"); err != nil {
			t.Fatal(err)
		}
		accept := func() error {
			return second(p.auth().AcceptInvitation(context.Background(), &identityv1.AcceptInvitationRequest{Code: code, Password: goodPassword}))
		}
		wantError(t, accept(), errs.Unauthenticated, "INVITATION_INVALID")
		if _, err := p.edit(admin, &identityv1.Customer{Name: c.GetName(), Email: "typo@example.com"}, "email"); err != nil {
			t.Fatal(err)
		}
		wantError(t, accept(), errs.Unauthenticated, "INVITATION_INVALID")
	})
}
