package identity_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

const (
	atHome   = "192.0.2.7"
	stranger = "198.51.100.9"
)

// TestASVS_6_3_1_aWaitComesBeforeTheHash: whoever has to wait costs no hash, and
// is told nothing by a right password either.
func TestASVS_6_3_1_aWaitComesBeforeTheHash(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		p.customer(p.asAdmin(), &identityv1.Customer{Email: "ada@example.com"})
		from := p.from(stranger)
		if n := tire(t, from, "ada@example.com"); n != 6 {
			t.Errorf("%d guesses are let through, want 6", n)
		}
		right := &identityv1.LoginRequest{Organization: org, Identifier: "Ada@Example.com", Password: goodPassword}
		before := p.count("guildhall.identity.password.hashes")
		_, err := from.Login(context.Background(), right)
		wantThrottled(t, err)
		if n := p.count("guildhall.identity.password.hashes") - before; n != 0 {
			t.Errorf("a login that has to wait computes %d hashes", n)
		}
		p.clock.advance(errs.From(err).RetryAfter)
		if _, err := from.Login(context.Background(), right); err != nil {
			t.Errorf("after the wait: %v", err)
		}
		if n := tire(t, from, "ada@example.com"); n != 6 {
			t.Errorf("after a login %d guesses are let through, want 6", n)
		}
		if n := p.count("guildhall.identity.throttle.refused"); n != 3 {
			t.Errorf("%d refusals are counted, want 3", n)
		}
	})
}

// TestASVS_6_3_8_unknownAccountsWaitAlike: the answers to a row of guesses are
// the same, wait by wait, for an account that is and one that is not.
func TestASVS_6_3_8_unknownAccountsWaitAlike(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	p.customer(p.asAdmin(), &identityv1.Customer{Email: "ada@example.com"})
	answers := func(identifier, address string) (out []string) {
		from := p.from(address)
		for range 20 {
			_, err := from.Login(context.Background(), &identityv1.LoginRequest{Organization: org, Identifier: identifier, Password: "not the password"})
			out = append(out, fmt.Sprint(err, errs.From(err).RetryAfter))
			p.clock.advance(700 * time.Millisecond)
		}
		return out
	}
	known, unknown := answers("ada@example.com", "198.51.100.1"), answers("nobody@example.com", "198.51.100.2")
	for i := range known {
		if known[i] != unknown[i] {
			t.Errorf("guess %d: %s, but for nobody %s", i+1, known[i], unknown[i])
		}
	}
}

func TestASVS_6_3_1_guessesAtOnceAreCounted(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		p.customer(p.asAdmin(), &identityv1.Customer{Email: "ada@example.com"})
		from := p.from(stranger)
		before := p.count("guildhall.identity.password.hashes")
		var through atomic.Int64
		var all sync.WaitGroup
		for range 40 {
			all.Go(func() {
				if guess(t, from, "ada@example.com") == 0 {
					through.Add(1)
				}
			})
		}
		all.Wait()
		if hashes := p.count("guildhall.identity.password.hashes") - before; through.Load() != 6 || hashes != 12 {
			t.Errorf("of 40 guesses at once %d are let through with %d hashes, want 6 with 12", through.Load(), hashes)
		}
	})
}

// TestASVS_6_1_1_aKnownDeviceIsNotLockedOut: an attack from everywhere makes a
// new device wait, and the owner's own not.
func TestASVS_6_1_1_aKnownDeviceIsNotLockedOut(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	c, tokens := p.customer(p.asAdmin(), &identityv1.Customer{Email: "ada@example.com"})
	for i := range 30 {
		guess(t, p.from(fmt.Sprintf("203.0.113.%d", i)), "ada@example.com")
	}
	from := p.from(atHome)
	try := func(identifier, device string) (*identityv1.TokenSet, error) {
		return from.Login(context.Background(), &identityv1.LoginRequest{
			Organization: org, Identifier: identifier, Password: goodPassword, DeviceToken: device,
		})
	}
	_, err := try("ada@example.com", "")
	wantThrottled(t, err)
	again, err := try("ada@example.com", tokens.GetDeviceToken())
	if err != nil || again.GetAccount() != c.GetName() || again.GetDeviceToken() == "" || again.GetDeviceToken() == tokens.GetDeviceToken() {
		t.Fatalf("the owner's device: %v", err)
	}
	if _, err := try(c.GetName(), again.GetDeviceToken()); err != nil {
		t.Errorf("the token of the login before, by name: %v", err)
	}
	p.clock.advance(180*24*time.Hour + time.Second)
	for i := range 30 {
		guess(t, p.from(fmt.Sprintf("203.0.113.%d", i)), "ada@example.com")
	}
	_, err = try("ada@example.com", again.GetDeviceToken())
	wantThrottled(t, err)
}

func TestLogin_deviceTokenIsOfItsAccountAndPassword(t *testing.T) {
	cfg := config()
	cfg.Throttle.PerPair = 1
	p := newHost(t, "bolt").start(cfg)
	ctx := p.asAdmin()
	_, ada := p.customer(ctx, &identityv1.Customer{Email: "ada@example.com"})
	_, bob := p.customer(ctx, &identityv1.Customer{Email: "bob@example.com"})
	from := p.from(atHome)
	tire(t, from, "ada@example.com")
	try := func(device string) error {
		_, err := from.Login(context.Background(), &identityv1.LoginRequest{
			Organization: org, Identifier: "ada@example.com", Password: goodPassword, DeviceToken: device,
		})
		return err
	}
	wantThrottled(t, try(bob.GetDeviceToken()))
	wantThrottled(t, try("ghd_nonsense"))
	p.clock.advance(time.Millisecond)
	resp, err := p.auth().ChangePassword(with(ada), &identityv1.ChangePasswordRequest{OldPassword: goodPassword, NewPassword: goodPassword + "!"})
	if err != nil {
		t.Fatal(err)
	}
	wantThrottled(t, try(ada.GetDeviceToken()))
	wantError(t, try(resp.GetDeviceToken()), errs.Unauthenticated, "LOGIN_FAILED")
}

// TestLogin_aDeviceOfOneAccountDoesNotGuessForAnother: a customer and a member of
// staff may have one address, and the device of the one is a stranger to the other.
func TestLogin_aDeviceOfOneAccountDoesNotGuessForAnother(t *testing.T) {
	cfg := config()
	cfg.Throttle.PerPair = 1
	p := newHost(t, "bolt").start(cfg)
	ctx := p.asAdmin()
	c, ada := p.customer(ctx, &identityv1.Customer{Email: "ada@example.com"})
	p.staffMember(ctx, "ada", &identityv1.StaffMember{DisplayName: "Ada", Email: "ada@example.com"})
	p.accept(ctx, org+"/staff/ada")
	from := p.from(atHome)
	tire(t, from, "ada@example.com")
	tire(t, from, c.GetName())
	try := func(identifier string) error {
		_, err := from.Login(context.Background(), &identityv1.LoginRequest{
			Organization: org, Identifier: identifier, Password: goodPassword, DeviceToken: ada.GetDeviceToken(),
		})
		return err
	}
	wantThrottled(t, try("ada@example.com"))
	if err := try(c.GetName()); err != nil {
		t.Errorf("by the name of the account that the device is of: %v", err)
	}
}

func TestLogin_waitsSurviveARestart(t *testing.T) {
	h := newHost(t, "bolt")
	p := h.start(config())
	p.asAdmin()
	tire(t, p.from(stranger), admin)
	p.close()
	p = h.start(config())
	if guess(t, p.from(stranger), admin) == 0 {
		t.Error("after a restart the guesses begin anew")
	}
}

// TestLogin_busyHashingCountsForNothing: who was not compared was no guess.
func TestLogin_busyHashingCountsForNothing(t *testing.T) {
	cfg := config()
	cfg.Passwords.Workers, cfg.Passwords.Wait, cfg.Passwords.Memory, cfg.Passwords.Time = 1, 10*time.Millisecond, 8192, 8
	p := newHost(t, "bolt").start(cfg)
	p.asAdmin()
	from := p.from(atHome)
	var busy atomic.Int64
	for range 3 {
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() {
				_, err := from.Login(context.Background(), &identityv1.LoginRequest{Organization: org, Identifier: admin, Password: goodPassword})
				if errs.ReasonOf(err) == "HASHING_BUSY" {
					busy.Add(1)
				} else if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
	if busy.Load() == 0 {
		t.Fatal("hashing was never busy")
	}
	if n := tire(t, from, admin); n < 6 {
		t.Errorf("after %d logins that were not compared %d guesses are let through, want 6", busy.Load(), n)
	}
}
