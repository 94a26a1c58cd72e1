package access

import (
	"context"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
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

// Login logs an account in from an address. Of one with a second factor it answers
// the right password with a challenge.
//
// The error is Unauthenticated (LOGIN_FAILED) for an account that is unknown
// or may not log in, and for a wrong password: the same text after the same
// work. Others follow only on the right password: Precondition
// (PASSWORD_CHANGE_REQUIRED), and those of credential.Check on new_password.
// Exhausted (HASHING_BUSY, LOGIN_THROTTLED) comes to anybody.
func (g *Gate) Login(ctx context.Context, req *identityv1.LoginRequest, address string) (*identityv1.TokenSet, error) {
	return g.entered(g.Enter(ctx, req, address, Purpose{Open: g.cfg.Sessions.Open}))
}

// Purpose is what an account logs in for.
type Purpose struct {
	// Client is the app that is let in; "" is the suite's own.
	Client string
	// Open begins it under a new id: a session, or what becomes one. It returns the
	// session, or the name that it will have.
	Open func(tx *change.Tx, account, id string, l session.Login) (*storev1.Session, error)
}

// Entry is what a login came to: a session, or a challenge.
type Entry struct {
	// Session is the session, and Device the token of the device from then on.
	Session *storev1.Session
	Device  string
	// Challenge is what has to be answered first; nil when there is a session.
	Challenge *identityv1.LoginChallenge
}

// Enter is Login up to the session, for whatever a login is for.
func (g *Gate) Enter(ctx context.Context, req *identityv1.LoginRequest, address string, p Purpose) (Entry, error) {
	if _, err := organization.Pattern.Parse("organization", req.GetOrganization()); err != nil {
		return Entry{}, err
	}
	found, err := g.candidates(ctx, req.GetOrganization(), req.GetIdentifier())
	if err != nil {
		return Entry{}, err
	}
	hashes := make([]string, len(found))
	for i, c := range found {
		hashes[i] = c.hash
	}
	try, err := g.try(ctx, req, found, address)
	if err != nil {
		g.countLogin(ctx, outcomeOf(err))
		return Entry{}, err
	}
	i, err := g.match(ctx, try.ticket, req.GetPassword(), hashes...)
	if err != nil {
		g.countLogin(ctx, "error")
		return Entry{}, err
	}
	if i < 0 {
		g.countLogin(ctx, "failed")
		g.failed(ctx, try.ticket, req.GetOrganization(), found...)
		return Entry{}, loginFailed()
	}
	e, err := g.enter(ctx, req, found[i], try, address, p)
	switch {
	case err != nil:
		g.countLogin(ctx, "error")
	case e.Challenge != nil:
		g.countLogin(ctx, "challenged")
	default:
		g.countLogin(ctx, "ok")
	}
	return e, err
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
	err := g.cfg.Store.View(ctx, func(r kv.Reader) (err error) {
		out, err = g.meant(r, org, identifier)
		return err
	})
	return out, err
}

func (g *Gate) meant(r kv.Reader, org, identifier string) (out []candidate, err error) {
	if strings.Contains(identifier, "/") {
		c, err := g.byName(r, org, identifier)
		return []candidate{c}, err
	}
	for _, kind := range []authn.Kind{authn.Customer, authn.Staff} {
		a, found, err := g.cfg.Accounts.FindByEmail(r, kind, org, identifier)
		if err != nil {
			return nil, err
		}
		if !found {
			// Reads what the other branch reads: the record behind the index.
			if _, _, err := g.cfg.Accounts.Find(r, nobody(org)); err != nil {
				return nil, err
			}
		}
		c, err := g.candidate(r, org, a)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	if out[0].hash == "" {
		out[0], out[1] = out[1], out[0]
	}
	return out, nil
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

// enter opens the session of a login whose password was right, or asks for a second
// factor; and changes the password if the request says so, or its hash is outdated.
func (g *Gate) enter(ctx context.Context, req *identityv1.LoginRequest, c candidate, t try, address string, p Purpose) (Entry, error) {
	name, id, challenge := c.account.GetName(), resource.NewID(), session.NewChallenge()
	var fresh choice
	var rehash string
	var err error
	switch {
	case req.GetNewPassword() != "":
		fresh, err = g.choose(ctx, name, chosen{field: "new_password", password: req.GetNewPassword(), old: req.GetPassword(), words: c.words})
	case c.mustChange:
		return Entry{}, errs.New(errs.Precondition, "PASSWORD_CHANGE_REQUIRED", "the password is for one use; send new_password too")
	case g.cfg.Passwords.Outdated(c.hash):
		rehash, err = g.cfg.Passwords.Hash(ctx, req.GetPassword())
	}
	if err != nil {
		return Entry{}, err
	}
	var asked *identityv1.LoginChallenge
	s, err := change.Do(as(ctx, name, id), g.cfg.Journal, req, func(tx *change.Tx) (s *storev1.Session, err error) {
		// What was true when the password was compared must be true now.
		if err := g.stillRight(tx, name, c.hash); err != nil {
			return nil, err
		}
		if rehash != "" {
			if err := g.cfg.Credentials.Rehash(tx, name, rehash); err != nil {
				return nil, err
			}
		}
		asked, err = g.challenge(tx, challenge, &storev1.LoginChallenge{
			Account: name, PasswordTime: timestamppb.New(c.passwordTime), Client: p.Client, Session: id, DeviceLabel: req.GetDeviceLabel(),
			Device: []byte(t.device), DeviceKnown: t.known, NewPasswordHash: fresh.Hash, NewPasswordNeedsFactor: fresh.NeedsFactor,
		})
		if err != nil || asked != nil {
			return &storev1.Session{}, err
		}
		if err := g.setPassword(tx, name, fresh, ""); err != nil {
			return nil, err
		}
		return p.Open(tx, name, id, session.Login{Device: req.GetDeviceLabel(), Address: address, Factors: passwordOnly()})
	})
	if err != nil || asked != nil {
		return Entry{Challenge: asked}, err
	}
	g.tell(ctx, name)
	return Entry{Session: s, Device: g.deviceToken(s, c.passwordTime, fresh.Hash != "", t.device)}, nil
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
