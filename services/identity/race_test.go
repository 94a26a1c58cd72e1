package identity_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// together runs fn n times at once and returns how many succeeded. Failures
// must be of the kind and reason.
func together(t *testing.T, n int, kind errs.Kind, reason string, fn func(i int) error) int {
	t.Helper()
	var succeeded atomic.Int64
	var running sync.WaitGroup
	for i := range n {
		running.Go(func() {
			err := fn(i)
			if err == nil {
				succeeded.Add(1)
				return
			}
			wantError(t, err, kind, reason)
		})
	}
	running.Wait()
	return int(succeeded.Load())
}

func TestRaces_oneWins(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		t.Run("mail address", func(t *testing.T) {
			won := together(t, 8, errs.Exists, "EMAIL_TAKEN", func(i int) error {
				return second(p.customers().CreateCustomer(ctx, &identityv1.CreateCustomerRequest{
					Parent: org, CustomerId: fmt.Sprint("race", i), Customer: &identityv1.Customer{Email: "race@example.com"},
				}))
			})
			if won != 1 {
				t.Errorf("%d customers have the address", won)
			}
		})
		t.Run("invitation", func(t *testing.T) {
			m := p.staffMember(ctx, "race", &identityv1.StaffMember{DisplayName: "x"})
			invitation, err := p.auth().CreateInvitation(ctx, &identityv1.CreateInvitationRequest{Account: m.GetName(), ShowCode: true})
			if err != nil {
				t.Fatal(err)
			}
			won := together(t, 8, errs.Unauthenticated, "INVITATION_INVALID", func(i int) error {
				return second(p.auth().AcceptInvitation(context.Background(), &identityv1.AcceptInvitationRequest{
					Code: invitation.GetCode(), Password: fmt.Sprint(goodPassword, i),
				}))
			})
			if won != 1 {
				t.Errorf("%d calls accepted one invitation", won)
			}
		})
		t.Run("reset", func(t *testing.T) {
			p.customer(ctx, &identityv1.Customer{Email: "forgetful@example.com"})
			code := p.resetCode("forgetful@example.com")
			won := together(t, 8, errs.Unauthenticated, "PASSWORD_RESET_INVALID", func(i int) error {
				return second(p.reset(code, fmt.Sprint("another that nobody guesses ", i)))
			})
			if won != 1 {
				t.Errorf("%d calls used one code", won)
			}
		})
		t.Run("one request id", func(t *testing.T) {
			var names sync.Map
			together(t, 8, errs.Internal, "", func(int) error {
				c, err := p.customers().CreateCustomer(ctx, &identityv1.CreateCustomerRequest{
					Parent: org, RequestId: "race", Customer: &identityv1.Customer{DisplayName: "x"},
				})
				names.Store(c.GetName(), true)
				return err
			})
			n := 0
			names.Range(func(any, any) bool { n++; return true })
			if n != 1 {
				t.Errorf("one request made %d customers", n)
			}
		})
	})
}

// TestRaces_loginsKeepTheCap: logins of one account at once neither fail nor
// leave more sessions than it may have.
func TestRaces_loginsKeepTheCap(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c, _ := p.customer(ctx, &identityv1.Customer{DisplayName: "x"})
		if n := together(t, 30, errs.Internal, "", func(int) error { return second(login(p, c.GetName(), goodPassword)) }); n != 30 {
			t.Errorf("%d of 30 logins succeed", n)
		}
		resp, err := p.auth().ListSessions(ctx, &identityv1.ListSessionsRequest{Parent: c.GetName()})
		if err != nil || len(resp.GetSessions()) != 20 {
			t.Errorf("%d sessions, %v; want 20", len(resp.GetSessions()), err)
		}
	})
}

// TestStore_holdsNothingInClear reads the store as a thief would, and the log
// as an operator does.
func TestStore_holdsNothingInClear(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		c, tokens := p.customer(ctx, &identityv1.Customer{DisplayName: "Ada Lovelace", Email: "ada@example.com", Phone: "+8613800138000", ExternalId: "K-17850"})
		invitation, err := p.auth().CreateInvitation(ctx, &identityv1.CreateInvitationRequest{Account: c.GetName(), RequestId: "r1", ShowCode: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := login(p, "ada@example.com", "something wrong"); err == nil {
			t.Fatal("a wrong password is taken")
		}
		var snapshot bytes.Buffer
		if err := p.raw.Snapshot(context.Background(), &snapshot); err != nil {
			t.Fatal(err)
		}
		p.close()
		for _, secret := range []string{
			"Lovelace", "ada@example.com", "13800138000", "K-17850", "phone" /* the device */, goodPassword, "something wrong", "argon2id",
			p.password(), invitation.GetCode(), tokens.GetAccessToken(), tokens.GetRefreshToken(),
		} {
			if secret != "phone" && strings.Contains(p.log.String(), secret) {
				t.Errorf("the log holds %q", secret)
			}
			// Table names say phone; values must not.
			if text := strings.ReplaceAll(snapshot.String(), "customers__phone", ""); strings.Contains(text, secret) {
				t.Errorf("the store holds %q in clear", secret)
			}
		}
		// The seal is not what hides it all: even opened, what is secret is hashed.
		if err := p.ring.Wrap(p.reopen()).View(context.Background(), func(r kv.Reader) error {
			for _, table := range []string{"invitations", "sessions", "change_answers", "audit_entries", "feed_events"} {
				for item, err := range r.Scan(table, kv.Range{}) {
					if err != nil {
						return err
					}
					for _, secret := range []string{invitation.GetCode(), tokens.GetRefreshToken(), goodPassword} {
						if bytes.Contains(item.Value, []byte(secret)) {
							t.Errorf("table %s holds a secret", table)
						}
					}
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	})
}
