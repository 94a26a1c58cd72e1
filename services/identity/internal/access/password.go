package access

import (
	"context"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	"guildhall.dev/services/identity/internal/contact"
	"guildhall.dev/services/identity/internal/credential"
)

// chosen is a password that somebody chose, and where.
type chosen struct {
	field, password string
	// old is the one whose place it takes, "" for none.
	old string
	// words are what not to make it of.
	words []string
}

// choice is a password that may be set; the zero choice sets none.
type choice = credential.Secret

// choose checks and hashes the password that somebody chose for an account. Errors
// are those of credential.Check and of the pool.
func (g *Gate) choose(ctx context.Context, account string, c chosen) (choice, error) {
	use := credential.Alone
	err := g.cfg.Store.View(ctx, func(r kv.Reader) error {
		has, err := g.cfg.Factors.Has(r, account)
		if has {
			use = credential.Beside
		}
		return err
	})
	if err != nil {
		return choice{}, err
	}
	if err := credential.Check(c.field, c.password, use, c.words...); err != nil {
		return choice{}, err
	}
	if c.old != "" && credential.Normalize(c.password) == credential.Normalize(c.old) {
		return choice{}, errs.InvalidField(c.field, "PASSWORD_BLOCKED", "choose another password than the present one")
	}
	needs := use == credential.Beside && credential.Check(c.field, c.password, credential.Alone, c.words...) != nil
	hash, err := g.cfg.Passwords.Hash(ctx, c.password)
	return choice{Hash: hash, NeedsFactor: needs}, err
}

// knownContact returns where an account is known to be reached whose password is set
// by none of its contacts: where it was known before, since it may have been edited
// meanwhile by who must not take the account by it; and of one without a password,
// where it is reached.
func (g *Gate) knownContact(r kv.Reader, a *storev1.Account) (string, error) {
	before, had, err := g.cfg.Credentials.Password(r, a.GetName())
	if err != nil || had {
		return before.GetContact(), err
	}
	return contact.Of(a).Folded(), nil
}

// setPassword stores a password, if there is one, and ends the sessions that were
// opened with the one before, all but the named one. The choice's contact is where
// the code was sent that it is set by, if one was. The error is Precondition
// (PASSWORD_NEEDS_FACTOR) for one that does, of an account that has lost its second
// factor meanwhile.
func (g *Gate) setPassword(tx *change.Tx, name string, c choice, except string) error {
	if c.Hash == "" {
		return nil
	}
	if c.NeedsFactor {
		has, err := g.cfg.Factors.Has(tx, name)
		if err != nil {
			return err
		}
		if !has {
			return credential.NeedsFactor()
		}
	}
	rec, err := g.cfg.Accounts.Get(tx, name)
	if err != nil {
		return err
	}
	if err := g.tellOfPassword(tx, rec.Value); err != nil {
		return err
	}
	if c.Contact == "" {
		if c.Contact, err = g.knownContact(tx, rec.Value); err != nil {
			return err
		}
	}
	if err := g.cfg.Credentials.SetPassword(tx, name, c, tx.Time); err != nil {
		return err
	}
	tx.Record(change.Change{Resource: name, ChangedFields: []string{"password"}})
	_, err = g.cfg.Sessions.EndAll(tx, name, except)
	return err
}
