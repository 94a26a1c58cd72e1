package access

import (
	"context"
	"strings"
	"time"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/credential"
	"guildhall.dev/services/identity/internal/organization"
	"guildhall.dev/services/identity/internal/session"
)

// candidate is an account that an identifier may mean. One that does not exist
// or may not log in has an empty hash, and is compared all the same.
type candidate struct {
	account    *storev1.Account // nil when there is none
	hash       string
	mustChange bool
	words      []string
	// passwordTime is when the password was set.
	passwordTime time.Time
}

// Login logs an account in from an address.
//
// The error is Unauthenticated (LOGIN_FAILED) for an account that is unknown
// or may not log in, and for a wrong password: the same text after the same
// work. Others follow only on the right password: Precondition
// (PASSWORD_CHANGE_REQUIRED), and those of credential.Check on new_password.
// Exhausted (HASHING_BUSY, LOGIN_THROTTLED) comes to anybody.
func (g *Gate) Login(ctx context.Context, req *identityv1.LoginRequest, address string) (*identityv1.TokenSet, error) {
	s, device, err := g.Enter(ctx, req, address, g.cfg.Sessions.Open)
	if err != nil {
		return nil, err
	}
	tokens, err := g.tokens(s)
	if err == nil {
		tokens.DeviceToken = device
	}
	return tokens, err
}

// Opener begins what an account logs in for, under a new id: a session, or what
// becomes one. It returns the session, or the name that it will have.
type Opener func(tx *change.Tx, account, id string, l session.Login) (*storev1.Session, error)

// Enter is Login up to the session, for whatever a login is for. It also returns
// the token of the device from then on.
func (g *Gate) Enter(ctx context.Context, req *identityv1.LoginRequest, address string, open Opener) (s *storev1.Session, device string, err error) {
	if _, err := organization.Pattern.Parse("organization", req.GetOrganization()); err != nil {
		return nil, "", err
	}
	found, err := g.candidates(ctx, req.GetOrganization(), req.GetIdentifier())
	if err != nil {
		return nil, "", err
	}
	hashes := make([]string, len(found))
	for i, c := range found {
		hashes[i] = c.hash
	}
	try, err := g.try(ctx, req, found, address)
	if err != nil {
		g.countLogin(ctx, outcomeOf(err))
		return nil, "", err
	}
	i, err := g.match(ctx, try.ticket, req.GetPassword(), hashes...)
	if err != nil {
		g.countLogin(ctx, "error")
		return nil, "", err
	}
	if i < 0 {
		g.countLogin(ctx, "failed")
		g.failed(ctx, try.ticket, req.GetOrganization(), found...)
		return nil, "", loginFailed()
	}
	s, err = g.enter(ctx, req, found[i], address, open)
	if err != nil {
		g.countLogin(ctx, "error")
		return nil, "", err
	}
	g.countLogin(ctx, "ok")
	g.tell(ctx, session.AccountOf(s.GetName()))
	return s, g.deviceToken(s, found[i], req.GetNewPassword() != "", try.device), nil
}

// loginFailed is the one answer to every login that names no account and its
// password. It tells nobody what was wrong.
func loginFailed() *errs.Error {
	return errs.New(errs.Unauthenticated, "LOGIN_FAILED", "the account or the password is not right, or the account may not log in")
}

// candidates returns the accounts that the identifier may mean: always two for
// a mail address, always one for a name, and with the same number of reads,
// whether they exist or not. Those that exist come first, so that a login that
// succeeds hashes once, unless both kinds have the address.
func (g *Gate) candidates(ctx context.Context, org, identifier string) ([]candidate, error) {
	var out []candidate
	err := g.cfg.Store.View(ctx, func(r kv.Reader) error {
		out = nil
		if strings.Contains(identifier, "/") {
			c, err := g.byName(r, org, identifier)
			out = []candidate{c}
			return err
		}
		for _, kind := range []authn.Kind{authn.Customer, authn.Staff} {
			a, found, err := g.cfg.Accounts.FindByEmail(r, kind, org, identifier)
			if err != nil {
				return err
			}
			if !found {
				// Reads what the other branch reads: the record behind the index.
				if _, _, err := g.cfg.Accounts.Find(r, nobody(org)); err != nil {
					return err
				}
			}
			c, err := g.candidate(r, org, a)
			if err != nil {
				return err
			}
			out = append(out, c)
		}
		if out[0].hash == "" {
			out[0], out[1] = out[1], out[0]
		}
		return nil
	})
	return out, err
}

func (g *Gate) byName(r kv.Reader, org, name string) (candidate, error) {
	if _, err := account.ParseName("identifier", name); err != nil || organizationOf(name) != org {
		name = nobody(org)
	}
	rec, found, err := g.cfg.Accounts.Find(r, name)
	if err != nil {
		return candidate{}, err
	}
	if !found {
		return g.candidate(r, org, nil)
	}
	return g.candidate(r, org, rec.Value)
}

// nobody is a name that no account has: ids do not end in a hyphen.
func nobody(org string) string { return org + "/customers/-" }

func (g *Gate) candidate(r kv.Reader, org string, a *storev1.Account) (candidate, error) {
	of := a
	if a == nil {
		of = &storev1.Account{Name: nobody(org)}
	}
	password, found, err := g.cfg.Credentials.Password(r, of.GetName())
	if err != nil {
		return candidate{}, err
	}
	words, err := g.words(r, of)
	if err != nil || !found || !account.CanLogIn(of) {
		return candidate{}, err
	}
	return candidate{
		account: a, hash: password.GetPasswordHash(), mustChange: password.GetMustChange(), words: words,
		passwordTime: password.GetUpdateTime().AsTime(),
	}, nil
}

// enter opens the session of a login whose password was right, and changes the
// password if the request says so or its hash is outdated.
func (g *Gate) enter(ctx context.Context, req *identityv1.LoginRequest, c candidate, address string, open Opener) (*storev1.Session, error) {
	fresh, rehash := "", ""
	var err error
	switch {
	case req.GetNewPassword() != "":
		fresh, err = g.newHash(ctx, req.GetNewPassword(), req.GetPassword(), c.words)
	case c.mustChange:
		return nil, errs.New(errs.Precondition, "PASSWORD_CHANGE_REQUIRED", "the password is for one use; send new_password too")
	case g.cfg.Passwords.Outdated(c.hash):
		rehash, err = g.cfg.Passwords.Hash(ctx, req.GetPassword())
	}
	if err != nil {
		return nil, err
	}
	name, id := c.account.GetName(), resource.NewID()
	login := session.Login{Device: req.GetDeviceLabel(), Address: address, Factors: passwordOnly()}
	return change.Do(as(ctx, name, id), g.cfg.Journal, req, func(tx *change.Tx) (*storev1.Session, error) {
		// What was true when the password was compared must be true now.
		if err := g.stillRight(tx, name, c.hash); err != nil {
			return nil, err
		}
		if rehash != "" {
			if err := g.cfg.Credentials.Rehash(tx, name, rehash); err != nil {
				return nil, err
			}
		}
		if fresh != "" {
			if err := g.setPassword(tx, name, fresh, ""); err != nil {
				return nil, err
			}
		}
		return open(tx, name, id, login)
	})
}

// newHash checks and hashes a password that takes the place of another.
func (g *Gate) newHash(ctx context.Context, password, old string, words []string) (string, error) {
	if err := credential.Check("new_password", password, words...); err != nil {
		return "", err
	}
	if credential.Normalize(password) == credential.Normalize(old) {
		return "", errs.InvalidField("new_password", "PASSWORD_BLOCKED", "choose another password than the present one")
	}
	return g.cfg.Passwords.Hash(ctx, password)
}

// stillRight returns LOGIN_FAILED unless the account may log in and still has
// the password that was compared.
func (g *Gate) stillRight(r kv.Reader, name, hash string) error {
	rec, found, err := g.cfg.Accounts.Find(r, name)
	if err != nil {
		return err
	}
	password, has, err := g.cfg.Credentials.Password(r, name)
	if err != nil {
		return err
	}
	if !found || !has || !account.CanLogIn(rec.Value) || password.GetPasswordHash() != hash {
		return loginFailed()
	}
	return nil
}

// setPassword stores a password and ends the sessions that were opened with
// the one before, all but the named one.
func (g *Gate) setPassword(tx *change.Tx, name, hash, except string) error {
	if err := g.tellOfPassword(tx, name); err != nil {
		return err
	}
	if err := g.cfg.Credentials.SetPassword(tx, name, hash, false, tx.Time); err != nil {
		return err
	}
	tx.Record(change.Change{Resource: name, ChangedFields: []string{"password"}})
	_, err := g.cfg.Sessions.EndAll(tx, name, except)
	return err
}
