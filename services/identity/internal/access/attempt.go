package access

import (
	"context"
	"strings"
	"time"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/contact"
	"guildhall.dev/services/identity/internal/device"
	"guildhall.dev/services/identity/internal/session"
	"guildhall.dev/services/identity/internal/throttle"
)

// ThrottledType is the type of the event of an account at which there were too
// many wrong guesses.
const ThrottledType = "guildhall.identity.account.throttled.v1"

// try is a login that was let through to compare its password.
type try struct {
	ticket *throttle.Ticket
	// device is the id of the device, a new one unless it is known.
	device string
	known  bool
}

// try asks the throttle to let a login through. What is counted is what was
// typed, so that nobody learns from a wait whether there is such an account; a
// device that is known is counted by itself. It is known of one account: where
// two have the identifier, it would be a way to guess the other's password.
func (g *Gate) try(ctx context.Context, req *identityv1.LoginRequest, found []candidate, address string) (try, error) {
	attempt := throttle.Attempt{Organization: req.GetOrganization(), Identifier: typed(req.GetIdentifier()), Address: address}
	t := try{device: device.NewID()}
	both := len(found) == 2 && found[0].account != nil && found[1].account != nil
	for _, c := range found {
		if c.account == nil || both {
			continue
		}
		owner := device.Owner{Account: c.account.GetName(), PasswordTime: c.passwordTime}
		if id, ok := g.cfg.Devices.ID(owner, req.GetDeviceToken(), g.cfg.Clock()); ok {
			attempt.Identifier, attempt.Device, t.device, t.known = owner.Account, id, id, true
		}
	}
	var err error
	t.ticket, err = g.cfg.Throttle.Admit(ctx, attempt)
	return t, err
}

// typed returns what an identifier is counted under: the form in which accounts
// are found by it.
func typed(identifier string) string {
	if strings.Contains(identifier, "/") {
		return identifier
	}
	return contact.FoldEmail(identifier)
}

// match compares a password for the holder of a ticket, and says so when that
// was no guess: because nothing was compared, or because it was right. A wrong
// one is the caller's to tell, see failed.
func (g *Gate) match(ctx context.Context, ticket *throttle.Ticket, password string, hashes ...string) (int, error) {
	i, err := g.cfg.Passwords.Match(ctx, password, hashes...)
	settle := ticket.Succeed
	switch {
	case err != nil:
		settle = ticket.Return
	case i < 0:
		return i, nil
	}
	g.settled(ctx, settle(ctx))
	return i, err
}

// failed counts a wrong guess, and keeps an audit entry when the account begins
// to wait by it: once, and not again before it has been left alone for a while.
// That is as much as a stranger can make the log grow. For what is no account
// the entry is the organisation's, so that both take the same work.
func (g *Gate) failed(ctx context.Context, ticket *throttle.Ticket, organization string, found ...candidate) {
	if !ticket.Failed(ctx) {
		return
	}
	err := change.DoSystem(ctx, g.cfg.Journal, "identity.logins.throttle", func(tx *change.Tx) error {
		known := false
		for _, c := range found {
			if c.account != nil {
				tx.Record(change.Change{Resource: c.account.GetName(), Type: ThrottledType})
				known = true
			}
		}
		if known {
			return nil
		}
		_, there, err := g.cfg.Organizations.Find(tx, organization)
		if there {
			tx.Record(change.Change{Resource: organization})
		} else {
			tx.Unchanged()
		}
		return err
	})
	if err != nil {
		g.cfg.Logger.WarnContext(ctx, "cannot keep that an account begins to wait", "error", err)
	}
}

// deviceToken returns the token of the device that a session was opened on. A fresh
// password was set when the session began.
func (g *Gate) deviceToken(s *storev1.Session, passwordTime time.Time, fresh bool, id string) string {
	begun := s.GetCreateTime().AsTime()
	owner := device.Owner{Account: session.AccountOf(s.GetName()), PasswordTime: passwordTime}
	if fresh {
		owner.PasswordTime = begun
	}
	return g.cfg.Devices.Token(owner, id, begun)
}

// outcomeOf is how logins are counted that were not let through.
func outcomeOf(err error) string {
	if errs.Is(err, errs.Exhausted) {
		return "throttled"
	}
	return "error"
}
