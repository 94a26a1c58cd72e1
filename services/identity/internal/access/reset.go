package access

import (
	"context"
	"errors"
	"strings"
	"time"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/rounds"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/contact"
	"guildhall.dev/services/identity/internal/credential"
	"guildhall.dev/services/identity/internal/delivery"
	"guildhall.dev/services/identity/internal/message"
	"guildhall.dev/services/identity/internal/organization"
	"guildhall.dev/services/identity/internal/throttle"
)

const (
	// resetEvery is how often Run looks for resets that were asked for, and
	// resetBatch how many it reads at once.
	resetEvery = time.Second
	resetBatch = 100
	// resetPatience is how long it is of use to answer: who got nothing by then has
	// asked again.
	resetPatience = 15 * time.Minute
)

// RequestPasswordReset keeps that somebody at an address asked for a reset, and
// nothing else: which account it is for, if any, is looked at later, by Run, so
// that neither the answer nor its time can tell. It returns once that is durable. A
// network that asks too often is answered the same, and waits as it would with
// wrong codes. The error is Invalid (RESOURCE_NAME_INVALID) for what cannot be an
// organization's name.
//
// There is no audit entry of what was asked, which strangers could fill the log
// with, but one of each code that is sent.
func (g *Gate) RequestPasswordReset(ctx context.Context, req *identityv1.RequestPasswordResetRequest, address string) (*identityv1.RequestPasswordResetResponse, error) {
	resp := &identityv1.RequestPasswordResetResponse{}
	if _, err := organization.Pattern.Parse("organization", req.GetOrganization()); err != nil {
		return nil, err
	}
	ticket, err := g.cfg.Throttle.Admit(ctx, throttle.Attempt{Address: address})
	if errs.Is(err, errs.Exhausted) {
		g.countReset(ctx, "throttled")
		return resp, nil
	}
	if err != nil {
		return nil, err
	}
	ticket.Failed(ctx) // each one counts, also that of an account
	g.countReset(ctx, "asked")
	return change.Do(ctx, g.cfg.Journal, req, func(tx *change.Tx) (*identityv1.RequestPasswordResetResponse, error) {
		tx.Unchanged()
		return resp, g.cfg.Credentials.Ask(tx, req.GetOrganization(), req.GetIdentifier(), tx.Time)
	})
}

// Run sends codes to those who asked for a reset, until ctx ends.
func (g *Gate) Run(ctx context.Context) error {
	return rounds.Loop{Do: g.sendResets, Failed: "resets of passwords could not be sent; trying again", Logger: g.cfg.Logger, Every: resetEvery}.Run(ctx)
}

// sendResets answers all requests that there are, each in a transaction of its own.
func (g *Gate) sendResets(ctx context.Context) error {
	for {
		var asked []*storev1.PasswordResetRequest
		if err := g.cfg.Store.View(ctx, func(r kv.Reader) (err error) {
			asked, err = g.cfg.Credentials.Asked(r, resetBatch)
			return err
		}); err != nil {
			return err
		}
		var faults []error // one keeps no other from its code
		for _, each := range asked {
			faults = append(faults, g.lookAt(ctx, each))
		}
		if err := errors.Join(faults...); err != nil || len(asked) < resetBatch {
			return err
		}
	}
}

// lookAt sends codes to the accounts that a request means, and forgets it.
func (g *Gate) lookAt(ctx context.Context, asked *storev1.PasswordResetRequest) error {
	sent, taken := 0, false
	err := change.DoSystem(ctx, g.cfg.Journal, "identity.passwordResets.send", func(tx *change.Tx) (err error) {
		tx.Unchanged()
		sent = 0
		taken, err = g.cfg.Credentials.Take(tx, asked)
		if err != nil || !taken || !tx.Time.Before(asked.GetCreateTime().AsTime().Add(resetPatience)) {
			return err
		}
		accounts, err := g.forgetful(tx, asked.GetOrganization(), asked.GetIdentifier())
		if err != nil {
			return err
		}
		for _, a := range accounts {
			n, err := g.sendReset(tx, a)
			if err != nil {
				return err
			}
			sent += n
		}
		return nil
	})
	switch {
	case err != nil || !taken:
	case sent == 0:
		g.countReset(ctx, "unsent")
	default:
		g.countReset(ctx, "sent")
	}
	return err
}

// forgetful returns the accounts that an identifier means and that can have
// forgotten a password: that may log in, with one.
func (g *Gate) forgetful(r kv.Reader, org, identifier string) (out []*storev1.Account, err error) {
	var found []candidate
	if number, ok := phoneOf(identifier); ok {
		a, there, err := g.cfg.Accounts.FindByPhone(r, org, number)
		if err != nil || !there {
			return nil, err
		}
		c, err := g.candidate(r, org, a)
		if err != nil {
			return nil, err
		}
		found = []candidate{c}
	} else if found, err = g.meant(r, org, identifier); err != nil {
		return nil, err
	}
	for _, c := range found {
		if c.account != nil {
			out = append(out, c.account)
		}
	}
	return out, nil
}

// phoneOf returns the number that an identifier is, without what people write into
// it.
func phoneOf(identifier string) (string, bool) {
	if !strings.HasPrefix(identifier, "+") || strings.Contains(identifier, "@") {
		return "", false
	}
	return strings.NewReplacer(" ", "", "-", "").Replace(identifier), true
}

// sendReset opens a reset of an account and sends it the code, to the first of its
// contacts that is to be trusted and to which something would be sent now. It returns
// how many codes that are.
func (g *Gate) sendReset(tx *change.Tx, a *storev1.Account) (int, error) {
	to, ready, err := g.readyContact(tx, a)
	if err != nil || !ready {
		return 0, err
	}
	code := credential.NewCode()
	expire, opened, err := g.cfg.Credentials.OpenReset(tx, a.GetName(), to.Folded(), code, tx.Time)
	if err != nil || !opened {
		return 0, err
	}
	tx.Record(change.Change{Resource: a.GetName(), ChangedFields: []string{"password_reset"}})
	_, err = g.cfg.Outbox.Enqueue(tx, delivery.Message{
		Account: a, To: to, Kind: message.PasswordReset, Values: message.Values{message.Code: code}, Expire: expire,
	})
	return 1, err
}

// readyContact returns the first contact of an account that is to be trusted and to
// which something would be sent now, and whether there is one.
func (g *Gate) readyContact(tx *change.Tx, a *storev1.Account) (to contact.Contact, ready bool, err error) {
	trusted, err := g.trusted(tx, a)
	for _, to := range trusted {
		if ready, err := g.cfg.Outbox.Ready(tx, a.GetName(), to, tx.Time); err != nil || ready {
			return to, ready, err
		}
	}
	return to, false, err
}

// ResetPassword sets the password of the account whose code somebody at an address
// has, and ends its sessions; it opens none. The contact that the code was sent to is
// verified then. Errors are Unauthenticated
// (PASSWORD_RESET_INVALID), those of credential.Check on password, Exhausted
// (HASHING_BUSY, LOGIN_THROTTLED), and Unavailable (SUSPENSION_PENDING).
func (g *Gate) ResetPassword(ctx context.Context, req *identityv1.ResetPasswordRequest, address string) (*identityv1.ResetPasswordResponse, error) {
	name, fresh, err := g.byCode(ctx, address, req.GetPassword(), func(r kv.Reader) (*storev1.Account, error) {
		a, _, err := g.findReset(r, req.GetCode())
		return a, err
	})
	if err != nil {
		return nil, err
	}
	resp, err := change.Do(as(ctx, name, ""), g.cfg.Journal, req, func(tx *change.Tx) (*identityv1.ResetPasswordResponse, error) {
		// Another call may have used the code, or another code taken its place.
		a, target, err := g.findReset(tx, req.GetCode())
		if err != nil {
			return nil, err
		}
		if _, err := g.cfg.Waits.ClearPasswords(tx, organizationOf(name), identifiers(a)); err != nil {
			return nil, err
		}
		// It has a password, and no segment asks about proofs: nobody is moved.
		if err := g.proved(tx, a, target, nil); err != nil {
			return nil, err
		}
		fresh.Contact = target
		return &identityv1.ResetPasswordResponse{Account: name}, g.setPassword(tx, name, fresh, "")
	})
	if err != nil {
		return nil, err
	}
	g.countReset(ctx, "used")
	return resp, g.cfg.Standings.Deliver(ctx, name)
}

// findReset returns the account whose password the code sets, and where the code was
// sent: the account may log in, and is still to be trusted there.
func (g *Gate) findReset(r kv.Reader, code string) (a *storev1.Account, target string, err error) {
	name, target, err := g.cfg.Credentials.Reset(r, code, g.cfg.Clock())
	if err != nil {
		return nil, "", err
	}
	rec, found, err := g.cfg.Accounts.Find(r, name)
	if err != nil {
		return nil, "", err
	}
	if !found || !account.CanLogIn(rec.Value) {
		return nil, "", credential.ResetInvalid()
	}
	trusted, err := g.trusted(r, rec.Value)
	if err != nil {
		return nil, "", err
	}
	if _, found := at(trusted, target); !found {
		return nil, "", credential.ResetInvalid()
	}
	return rec.Value, target, nil
}
