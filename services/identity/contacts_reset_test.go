package identity_test

import (
	"context"
	"strings"
	"testing"
	"time"
	"unicode"

	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// TestRequestPasswordReset_followsTheOwner: to the contact that the owner has proven,
// and not to the one of before, whoever makes that the account's again.
func TestRequestPasswordReset_followsTheOwner(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		admin := p.asAdmin()
		c, tokens := p.customer(admin, &identityv1.Customer{Email: "old@example.com"})
		p.settled(with(tokens), "new@example.com")
		if p.resetCode("new@example.com") == "" {
			t.Error("no code goes to the address that was proven")
		}
		before := p.resets("sent")
		if _, err := p.edit(admin, &identityv1.Customer{Name: c.GetName(), Email: "old@example.com"}, "email"); err != nil {
			t.Fatal(err)
		}
		p.clock.advance(2 * time.Minute)
		p.forget("old@example.com")
		if n := p.answered(); n != before {
			t.Errorf("%d codes went to the address that the owner has left", n-before)
		}
	})
}

// TestRequestPasswordReset_pastAnEditedAddress: a number that was proven is a way to
// the account when somebody has changed the address.
func TestRequestPasswordReset_pastAnEditedAddress(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	admin := p.asAdmin()
	c, tokens := p.customer(admin, &identityv1.Customer{Email: "ada@example.com"})
	if _, err := p.callAt(with(tokens), "+8613800138000"); err != nil {
		t.Fatal(err)
	}
	if _, err := p.confirm(with(tokens), bySMS, smsCode(p.awaitMail("CONTACT_VERIFICATION", "+8613800138000"))); err != nil {
		t.Fatal(err)
	}
	p.awaitMail("CONTACT_CHANGED", "ada@example.com")
	if _, err := p.edit(admin, &identityv1.Customer{Name: c.GetName(), Email: "thief@example.com"}, "email"); err != nil {
		t.Fatal(err)
	}
	p.forget("thief@example.com")
	code := p.awaitMail("PASSWORD_RESET", "+8613800138000")
	for _, m := range p.mailbox() {
		if m.Kind == "PASSWORD_RESET" && m.To != "+8613800138000" {
			t.Errorf("a code went to %s", m.To)
		}
	}
	if _, err := p.reset(longest(code.Text), newPassword); err != nil {
		t.Error(err)
	}
	wantVerified(t, p.record(admin, c.GetName()), false, true)
	// A password that was set by a code of the one contact says nothing of the other.
	before := p.resets("sent")
	p.clock.advance(2 * time.Minute)
	p.forget("thief@example.com")
	if n := p.answered(); n != before+1 {
		t.Errorf("%d codes were sent, want one", n-before)
	}
	for _, m := range p.mailbox() {
		if m.Kind == "PASSWORD_RESET" && m.To != "+8613800138000" {
			t.Errorf("after a reset, a code went to %s", m.To)
		}
	}
}

// longest returns the longest word of a text, which is a code.
func longest(text string) (word string) {
	for each := range strings.FieldsFuncSeq(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		if len(each) > len(word) {
			word = each
		}
	}
	return word
}

// TestResetPassword_provesTheContact that the code was sent to.
func TestResetPassword_provesTheContact(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	admin := p.asAdmin()
	c, _ := p.customer(admin, &identityv1.Customer{Email: "ada@example.com", Phone: "+8613800138000"})
	if _, err := p.reset(p.resetCode("ada@example.com"), newPassword); err != nil {
		t.Fatal(err)
	}
	wantVerified(t, p.record(admin, c.GetName()), true, false)
}

// TestGetUserInfo_saysWhatIsVerified: an app that trusts an address as proof of who
// somebody is learns that it is none.
func TestGetUserInfo_saysWhatIsVerified(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	admin := p.asAdmin()
	_, owner := p.customer(admin, &identityv1.Customer{Email: "ada@example.com", Phone: "+8613800138000"})
	phone := p.app(admin, "phone", public).GetName()
	tokens, err := p.exchange(by(phone, ""), p.authorize("ada@example.com", phone, "openid email phone"))
	if err != nil {
		t.Fatal(err)
	}
	for _, verified := range []bool{false, true} {
		if verified {
			if _, err := p.contacts().SendContactVerification(with(owner), &identityv1.SendContactVerificationRequest{Channel: byMail}); err != nil {
				t.Fatal(err)
			}
			if _, err := p.confirm(with(owner), byMail, codeIn(p.awaitMail("CONTACT_VERIFICATION", "ada@example.com"))); err != nil {
				t.Fatal(err)
			}
		}
		info, err := p.oauth().GetUserInfo(context.Background(), &identityv1.GetUserInfoRequest{AccessToken: tokens.GetAccessToken()})
		if err != nil || info.GetEmailVerified() != verified || info.GetPhoneNumberVerified() || info.GetPhoneNumber() == "" {
			t.Errorf("userinfo is %v, %v; want the address verified: %v", info, err, verified)
		}
	}
}
