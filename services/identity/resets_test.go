package identity_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/errs"
	auditv1 "guildhall.dev/proto/gen/guildhall/audit/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

const newPassword = "another that nobody guesses"

// forget asks for a reset.
func (p *process) forget(identifier string) {
	p.t.Helper()
	_, err := p.auth().RequestPasswordReset(context.Background(), &identityv1.RequestPasswordResetRequest{Organization: org, Identifier: identifier})
	if err != nil {
		p.t.Fatal(err)
	}
}

// resets returns how many of the requests for resets came to an outcome.
func (p *process) resets(outcome string) int64 {
	p.t.Helper()
	return p.count("guildhall.identity.password.resets", attribute.String("outcome", outcome))
}

// answered waits until all requests have been looked at, and returns how many of
// them were sent a code.
func (p *process) answered() int64 {
	p.t.Helper()
	p.await("answer to all requests", func() bool { return p.resets("sent")+p.resets("unsent") == p.resets("asked") })
	return p.resets("sent")
}

// resetCode has a code sent to a mail address, and returns it.
func (p *process) resetCode(address string) string {
	p.t.Helper()
	before := p.resetMails()
	p.forget(address)
	p.await("a code", func() bool { return p.resetMails() > before })
	return codeIn(p.awaitMail("PASSWORD_RESET", address))
}

// resetMails returns how many codes were sent to anybody.
func (p *process) resetMails() (n int) {
	for _, m := range p.mailbox() {
		if m.Kind == "PASSWORD_RESET" {
			n++
		}
	}
	return n
}

func (p *process) reset(code, password string) (*identityv1.ResetPasswordResponse, error) {
	return p.auth().ResetPassword(context.Background(), &identityv1.ResetPasswordRequest{Code: code, Password: password})
}

func wantVoid(t testing.TB, err error) {
	t.Helper()
	wantError(t, err, errs.Unauthenticated, "PASSWORD_RESET_INVALID")
}

// TestResetPassword_onceAndLogsNobodyIn: the new password counts, the old one and
// all that was opened with it do not, and its owner is told.
func TestResetPassword_onceAndLogsNobodyIn(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c, tokens := p.customer(ctx, &identityv1.Customer{Email: "Ada@example.com", Language: "zh-CN"})
		code := p.resetCode("Ada@example.com")
		if m := p.awaitMail("PASSWORD_RESET", "Ada@example.com"); m.Language != "zh-CN" || !strings.Contains(m.Text, "1小时内有效") {
			t.Errorf("the mail is %+v", m)
		}
		for password, reason := range map[string]string{"short": "PASSWORD_TOO_SHORT", "ada@example.com acme ada": "PASSWORD_BLOCKED"} {
			_, err := p.reset(code, password)
			wantError(t, err, errs.Invalid, reason)
		}
		if _, err := login(p, "ada@example.com", goodPassword); err != nil {
			t.Errorf("before the code is used: %v", err)
		}
		resp, err := p.reset(strings.ToLower(code[:9])+" "+code[9:], newPassword)
		if err != nil || resp.GetAccount() != c.GetName() {
			t.Fatalf("the reset: %v, %v", resp, err)
		}
		_, err = p.reset(code, newPassword)
		wantVoid(t, err)
		_, err = p.auth().RefreshToken(context.Background(), &identityv1.RefreshTokenRequest{RefreshToken: tokens.GetRefreshToken()})
		wantError(t, err, errs.Unauthenticated, "REFRESH_TOKEN_INVALID")
		sessions, err := p.auth().ListSessions(ctx, &identityv1.ListSessionsRequest{Parent: c.GetName()})
		if err != nil || len(sessions.GetSessions()) != 0 {
			t.Errorf("there are %v, %v; want no sessions", sessions, err)
		}
		_, err = login(p, "ada@example.com", goodPassword)
		wantError(t, err, errs.Unauthenticated, "LOGIN_FAILED")
		if _, err := login(p, "ada@example.com", newPassword); err != nil {
			t.Errorf("the new password: %v", err)
		}
		p.awaitMail("PASSWORD_CHANGED", "Ada@example.com")
		p.close()
		if strings.Contains(p.log.String(), code) || len(p.below(code)) > 0 {
			t.Error("the code is still somewhere")
		}
	})
}

// TestResetPassword_leavesATrace: of the code that was sent and of the password,
// but not of what strangers ask for.
func TestResetPassword_leavesATrace(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	c, _ := p.customer(ctx, &identityv1.Customer{Email: "ada@example.com"})
	p.forget("nobody@example.com")
	if _, err := p.reset(p.resetCode("ada@example.com"), newPassword); err != nil {
		t.Fatal(err)
	}
	resp, err := identityv1.NewIdentityAuditServiceClient(p.conn).ListAuditEntries(ctx, &auditv1.ListAuditEntriesRequest{Parent: org})
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]string{}
	for _, e := range resp.GetAuditEntries() {
		if strings.Contains(strings.ToLower(e.GetAction()), "reset") {
			by[e.GetAction()] = e.GetActor() + " " + e.GetResource()
		}
		if text := e.String(); strings.Contains(text, "example.com") {
			t.Errorf("an entry says %s", text)
		}
	}
	want := map[string]string{
		"identity.passwordResets.send":                     "services/identity " + c.GetName(),
		"/guildhall.identity.v1.AuthService/ResetPassword": c.GetName() + " " + c.GetName(),
	}
	for action, who := range want {
		if by[action] != who {
			t.Errorf("the entry of %s is by %q, want %q; there are %v", action, by[action], who, by)
		}
	}
	if len(by) != len(want) {
		t.Errorf("entries are %v", by)
	}
}

// TestResetPassword_codesThatAreVoid: by a newer one, by another password, by
// another contact, by a suspension, by time.
func TestResetPassword_codesThatAreVoid(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		type owner struct {
			customer *identityv1.Customer
			tokens   *identityv1.TokenSet
		}
		voids := map[string]func(o owner) error{
			"newer":    func(o owner) error { p.resetCode(o.customer.GetEmail()); return nil },
			"password": func(o owner) error { return p.changePassword(o.tokens) },
			"contact": func(o owner) error {
				return second(p.customers().UpdateCustomer(ctx, &identityv1.UpdateCustomerRequest{
					Customer: &identityv1.Customer{Name: o.customer.GetName(), Email: "new@example.com"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"email"}},
				}))
			},
			"invited": func(o owner) error {
				return second(p.auth().CreateInvitation(ctx, &identityv1.CreateInvitationRequest{Account: o.customer.GetName(), ResetPassword: true}))
			},
			"suspended": func(o owner) error {
				if _, err := p.customers().DisableCustomer(ctx, &identityv1.DisableCustomerRequest{Name: o.customer.GetName()}); err != nil {
					return err
				}
				return second(p.customers().EnableCustomer(ctx, &identityv1.EnableCustomerRequest{Name: o.customer.GetName()}))
			},
		}
		owners := map[string]owner{}
		for name := range voids {
			o := owner{}
			o.customer, o.tokens = p.customer(ctx, &identityv1.Customer{Email: name + "@example.com"})
			owners[name] = o
			p.forget(name + "@example.com")
		}
		codes := map[string]string{}
		for name := range voids {
			codes[name] = codeIn(p.awaitMail("PASSWORD_RESET", name+"@example.com"))
		}
		p.clock.advance(time.Minute)
		for name, void := range voids {
			if err := void(owners[name]); err != nil {
				t.Fatal(err)
			}
			if _, err := p.reset(codes[name], newPassword); errs.ReasonOf(err) != "PASSWORD_RESET_INVALID" {
				t.Errorf("%s: the code is answered %v", name, err)
			}
		}
		p.customer(ctx, &identityv1.Customer{Email: "late@example.com"})
		code := p.resetCode("late@example.com")
		p.clock.advance(time.Hour)
		_, err := p.reset(code, newPassword)
		wantVoid(t, err)
	})
}

func (p *process) changePassword(tokens *identityv1.TokenSet) error {
	return second(p.auth().ChangePassword(with(tokens), &identityv1.ChangePasswordRequest{OldPassword: goodPassword, NewPassword: newPassword}))
}

// TestRequestPasswordReset_nobodyToWriteTo: all are answered alike, and nobody gets
// anything who has no password to forget, or cannot be written to now.
func TestRequestPasswordReset_nobodyToWriteTo(t *testing.T) {
	p := enumerable(t)
	ctx := p.asAdminAgain()
	bounced, _ := p.customer(ctx, &identityv1.Customer{Email: "bounced@example.com"})
	invited := p.awaitMail("INVITATION", bounced.GetEmail())
	p.awaitSent(ctx, invited.Delivery)
	if _, err := p.deliveries().ReportDelivery(ctx, &identityv1.ReportDeliveryRequest{Name: invited.Delivery, Outcome: identityv1.ReportDeliveryRequest_OUTCOME_BOUNCED}); err != nil {
		t.Fatal(err)
	}
	for _, identifier := range []string{
		"unknown@example.com", "pending@example.com", "suspended@example.com", bounced.GetEmail(), admin, org + "/customers/nobody",
		"organizations/other/customers/c1", org + "/serviceAccounts/ci", "+8613800138000", "+", "x", "a/b/c", "\x00",
	} {
		p.forget(identifier)
	}
	if n := p.answered(); n != 0 || p.resetMails() != 0 {
		t.Errorf("%d of them were sent a code: %v", n, p.mailbox())
	}
	_, err := p.auth().RequestPasswordReset(context.Background(), &identityv1.RequestPasswordResetRequest{Organization: "acme", Identifier: "x"})
	wantError(t, err, errs.Invalid, "RESOURCE_NAME_INVALID")
	_, err = p.auth().RequestPasswordReset(context.Background(), &identityv1.RequestPasswordResetRequest{Organization: org})
	wantError(t, err, errs.Invalid, "VALIDATION_FAILED")
}

// TestRequestPasswordReset_onlyWhereTheOwnerWas: who may edit a contact does not
// take the account by it.
func TestRequestPasswordReset_onlyWhereTheOwnerWas(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c, tokens := p.customer(ctx, &identityv1.Customer{Email: "owner@example.com"})
		if _, err := p.customers().UpdateCustomer(ctx, &identityv1.UpdateCustomerRequest{
			Customer: &identityv1.Customer{Name: c.GetName(), Email: "thief@example.com"},
		}); err != nil {
			t.Fatal(err)
		}
		p.forget("thief@example.com")
		p.forget("owner@example.com")
		if n := p.answered(); n != 0 || p.resetMails() != 0 {
			t.Fatalf("%d codes were sent: %v", n, p.mailbox())
		}
		if err := p.changePassword(tokens); err != nil {
			t.Fatal(err)
		}
		p.clock.advance(2 * time.Minute)
		p.forget("thief@example.com")
		if n := p.answered(); n != 0 {
			t.Fatal("a code was sent where the owner has not shown to be reached")
		}
		if _, err := p.contacts().SendContactVerification(with(tokens), &identityv1.SendContactVerificationRequest{Channel: byMail}); err != nil {
			t.Fatal(err)
		}
		if _, err := p.confirm(with(tokens), byMail, codeIn(p.awaitMail("CONTACT_VERIFICATION", "thief@example.com"))); err != nil {
			t.Fatal(err)
		}
		p.clock.advance(2 * time.Minute)
		if p.resetCode("thief@example.com") == "" {
			t.Error("the owner has proven the address, and no code goes there")
		}
	})
}

// TestRequestPasswordReset_byWhatPeopleKnow: their mail address, their number as
// they write it, their account's name; of an address that two have, each gets one.
func TestRequestPasswordReset_byWhatPeopleKnow(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	phone, _ := p.customer(ctx, &identityv1.Customer{Phone: "+8613800138000"})
	both, _ := p.customer(ctx, &identityv1.Customer{Email: "both@example.com", Phone: "+8613900139000"})
	clerk := p.staffMember(ctx, "clerk", &identityv1.StaffMember{DisplayName: "Clerk", Email: "both@example.com"})
	p.accept(ctx, clerk.GetName())
	p.forget("+86 138-0013-8000")
	if m := p.awaitMail("PASSWORD_RESET", "+8613800138000"); m.Channel != "SMS" || !strings.Contains(m.Text, "valid for 1 hour") {
		t.Errorf("the message is %+v", m)
	}
	p.clock.advance(2 * time.Minute)
	p.forget(phone.GetName())
	p.await("another", func() bool { return p.resetMails() == 2 })
	p.forget("BOTH@example.com")
	p.await("one for each", func() bool { return p.resetMails() == 4 })
	whose := map[string]bool{}
	for _, m := range p.mailbox() {
		if m.Kind == "PASSWORD_RESET" && m.To == "both@example.com" {
			resp, err := p.reset(codeIn(m), newPassword)
			if err != nil {
				t.Error(err)
			}
			whose[resp.GetAccount()] = true
		}
	}
	if len(whose) != 2 || !whose[both.GetName()] || !whose[clerk.GetName()] {
		t.Errorf("the codes are for %v", whose)
	}
	p.clock.advance(time.Hour)
	p.forget("+8613900139000") // goes to the address, which is where the account is reached
	p.await("by mail", func() bool { return p.resetMails() == 5 })
}

// TestRequestPasswordReset_whoAsksAgainVoidsNothing: strangers who ask for somebody
// over and over neither fill the mailbox nor void the code that is in it.
func TestRequestPasswordReset_whoAsksAgainVoidsNothing(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	p.customer(p.asAdmin(), &identityv1.Customer{Email: "ada@example.com"}) // and one message, the invitation
	for range 10 {
		p.forget("ada@example.com")
		p.answered()
		p.await("the code sent", func() bool { return p.resetMails() == int(p.resets("sent")) })
		p.clock.advance(40 * time.Second)
	}
	if n := p.resetMails(); n != 4 {
		t.Errorf("in less than ten minutes %d codes are sent, want 4", n)
	}
	if _, err := p.reset(codeIn(p.awaitMail("PASSWORD_RESET", "ada@example.com")), newPassword); err != nil {
		t.Errorf("the last one: %v", err)
	}
}

// TestRequestPasswordReset_aNetworkThatAsksTooOften is answered as before, and
// nothing comes of it; others do not wait for it.
func TestRequestPasswordReset_aNetworkThatAsksTooOften(t *testing.T) {
	cfg := config()
	cfg.Throttle.PerNetwork = 10
	p := newHost(t, "bolt").start(cfg)
	p.customer(p.asAdmin(), &identityv1.Customer{Email: "ada@example.com"})
	ask := func(from identityv1.AuthServiceClient, identifier string) {
		resp, err := from.RequestPasswordReset(context.Background(), &identityv1.RequestPasswordResetRequest{Organization: org, Identifier: identifier})
		if err != nil || resp.String() != "" {
			t.Errorf("the answer is %v, %v", resp, err)
		}
	}
	from := p.from(stranger)
	for range 20 {
		ask(from, "nobody@example.com")
	}
	ask(from, "ada@example.com")
	if n := p.resets("throttled"); n != 10 {
		t.Errorf("%d of 21 are put aside, want 10", n)
	}
	if p.answered() != 0 {
		t.Error("a code is sent for a network that has to wait")
	}
	_, err := from.ResetPassword(context.Background(), &identityv1.ResetPasswordRequest{Code: "NONSENSE", Password: newPassword})
	wantThrottled(t, err)
	ask(p.from(atHome), "ada@example.com")
	p.awaitMail("PASSWORD_RESET", "ada@example.com")
}

// TestRequestPasswordReset_survivesTheProcess: what was answered is kept, for as
// long as anybody waits for it.
func TestRequestPasswordReset_survivesTheProcess(t *testing.T) {
	for _, c := range []struct {
		away time.Duration
		want int
	}{{time.Minute, 1}, {time.Hour, 0}} {
		h := newHost(t, "bolt")
		p := h.start(config())
		p.customer(p.asAdmin(), &identityv1.Customer{Email: "ada@example.com"})
		p.forget("nobody@example.com")
		p.answered() // so that it is a second until the next look
		p.forget("ada@example.com")
		early := p.resets("sent")
		p.close()
		p.clock.advance(c.away)
		p = h.start(config())
		p.await("look at what was asked", func() bool { return early+p.resets("sent")+p.resets("unsent") == 1 })
		if n := int(early + p.resets("sent")); n != c.want {
			t.Errorf("after %s %d codes are sent, want %d", c.away, n, c.want)
		}
	}
}
