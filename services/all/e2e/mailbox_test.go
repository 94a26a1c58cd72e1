package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// mail is a message as the provider "file" writes it.
type mail struct {
	Delivery, Kind, To, Text string
}

// mailbox returns all messages that any process of the suite has sent.
func (s *suite) mailbox(t testing.TB) (all []mail) {
	t.Helper()
	err := filepath.WalkDir(s.folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() != "outbox.ndjson" {
			return nil // stores come and go beside it
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for line := range bytes.Lines(text) {
			var envelope struct{ Data mail }
			if json.Unmarshal(line, &envelope) == nil { // the last may be half written
				all = append(all, envelope.Data)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// awaitMail waits for a message of a kind to somebody.
func (s *suite) awaitMail(t testing.TB, kind, to string) (m mail) {
	t.Helper()
	until(t, "somebody is written to", func(context.Context) error {
		for _, each := range s.mailbox(t) {
			if each.Kind == kind && each.To == to {
				m = each
				return nil
			}
		}
		return fmt.Errorf("no message of kind %s to %s", kind, to)
	})
	return m
}

// line returns the line of a message that is one long word: its code, or its link.
func (m mail) line() string {
	for line := range strings.Lines(m.Text) {
		if line = strings.TrimSpace(line); len(line) >= 6 && strings.IndexFunc(line, func(r rune) bool { return r <= ' ' || r > '~' }) < 0 {
			return line
		}
	}
	return ""
}

// mails: what the suite writes to people comes to them, and nobody else reads it.
func mails(t *testing.T, s *suite) {
	eachDoor(t, func(t *testing.T, d door) {
		c := s.found(t, d)
		deliveries := identityv1.NewDeliveryServiceClient(c.admin.conn("identity"))
		address := "eva@" + filepath.Base(c.name) + ".example"
		eva := need(c.admin.customers.CreateCustomer(t.Context(), &identityv1.CreateCustomerRequest{
			Parent: c.name, CustomerId: "eva", Customer: &identityv1.Customer{Email: address, Language: "zh-CN"},
		}))(t)
		i := need(c.admin.auth.CreateInvitation(t.Context(), &identityv1.CreateInvitationRequest{Account: eva.GetName()}))(t)
		wants(t, "the code that the administrator sees", i.GetCode(), "")
		m := s.awaitMail(t, "INVITATION", address)
		wants(t, "the delivery", m.Delivery, i.GetDelivery())
		if !strings.Contains(m.Text, "邀请码") {
			t.Errorf("the text is %q", m.Text)
		}
		person := c.join(&identityv1.Invitation{Code: m.line()})
		wants(t, "who came in", person.name, eva.GetName())

		need(person.auth.ChangePassword(t.Context(), &identityv1.ChangePasswordRequest{OldPassword: password, NewPassword: password + " anew"}))(t)
		s.awaitMail(t, "PASSWORD_CHANGED", address)
		need(c.admin.auth.RequestPasswordReset(t.Context(), &identityv1.RequestPasswordResetRequest{Organization: c.name, Identifier: address}))(t)
		reset := need(c.admin.auth.ResetPassword(t.Context(), &identityv1.ResetPasswordRequest{
			Code: s.awaitMail(t, "PASSWORD_RESET", address).line(), Password: password + " once more",
		}))(t)
		wants(t, "whose password is reset", reset.GetAccount(), eva.GetName())
		if _, err := person.auth.WhoAmI(t.Context(), &identityv1.WhoAmIRequest{}); err == nil {
			t.Error("a session outlives the reset")
		}
		list := need(deliveries.ListDeliveries(t.Context(), &identityv1.ListDeliveriesRequest{Parent: c.name, Filter: `account = "` + eva.GetName() + `"`}))(t)
		wants(t, "how many deliveries there are", len(list.GetDeliveries()), 4)
		for _, each := range list.GetDeliveries() {
			if text := each.String(); strings.Contains(text, m.line()) || strings.Contains(text, address) {
				t.Errorf("the delivery says %s", text)
			}
		}
	})
}
