package access

import (
	"context"
	"errors"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/factor"
	"guildhall.dev/services/identity/internal/passkey"
	"guildhall.dev/services/identity/internal/session"
	"guildhall.dev/services/identity/internal/throttle"
)

// BeginPasskeyRegistration returns what the caller's browser makes a passkey with.
// Errors are Precondition (ILLEGAL_STATE for a program, PASSKEYS_OFF), and Exhausted
// (PASSKEY_LIMIT).
func (g *Gate) BeginPasskeyRegistration(ctx context.Context, caller authn.Caller) (resp *identityv1.BeginPasskeyRegistrationResponse, err error) {
	challenge := g.cfg.Passkeys.NewChallenge(passkey.Register, session.Name(caller.Name, caller.Session), g.cfg.Clock().Add(passkey.RegistrationLifetime))
	resp = &identityv1.BeginPasskeyRegistrationResponse{}
	err = g.cfg.Store.View(ctx, func(r kv.Reader) error {
		a, err := g.person(r, caller)
		if err != nil {
			return err
		}
		owner := passkey.Owner{Account: caller.Name, Name: label(a), DisplayName: a.GetDisplayName()}
		if owner.DisplayName == "" {
			owner.DisplayName = owner.Name
		}
		resp.Options, err = g.cfg.Factors.PasskeyCreation(r, owner, challenge)
		return err
	})
	return resp, err
}

// CompletePasskeyRegistration adds the caller's passkey. What becomes of the sessions
// is as with ConfirmTotp. Errors are Invalid (PASSKEY_INVALID), Exists
// (PASSKEY_EXISTS), Exhausted (PASSKEY_LIMIT), Precondition (ILLEGAL_STATE,
// PASSKEYS_OFF), and Unavailable (SUSPENSION_PENDING).
func (g *Gate) CompletePasskeyRegistration(ctx context.Context, caller authn.Caller, req *identityv1.CompletePasskeyRegistrationRequest) (*identityv1.CompletePasskeyRegistrationResponse, error) {
	made, err := passkey.ParseAttestation(req.GetCredential())
	if err != nil {
		return nil, passkeyInvalid(err)
	}
	credential, err := g.cfg.Passkeys.Register(made, made.Challenge(), caller.Name)
	if errors.Is(err, passkey.ErrUnproven) {
		return nil, passkeyInvalid(err)
	}
	if err != nil {
		return nil, err
	}
	id, codes := resource.NewID(), factor.NewRecoveryCodes()
	resp, err := change.Do(ctx, g.cfg.Journal, req, func(tx *change.Tx) (*identityv1.CompletePasskeyRegistrationResponse, error) {
		if _, err := g.person(tx, caller); err != nil {
			return nil, err
		}
		use, err := g.open(tx, made.Challenge(), passkey.Register, session.Name(caller.Name, caller.Session))
		if err != nil {
			return nil, err
		}
		if use == nil {
			return nil, passkeyInvalid(errors.New("the challenge is not ours, or over"))
		}
		if err := use(); err != nil {
			return nil, err
		}
		f, first, err := g.cfg.Factors.AddPasskey(tx, caller.Name, id, req.GetDisplayName(), credential)
		if err != nil {
			return nil, err
		}
		codes, err := g.added(tx, caller, f, first, codes, factor.Key, factor.Present, factor.Multiple)
		return &identityv1.CompletePasskeyRegistrationResponse{Factor: f, RecoveryCodes: codes}, err
	})
	if err != nil {
		return nil, err
	}
	return resp, g.cfg.Standings.Deliver(ctx, caller.Name)
}

// passkeyInvalid is the one answer to what makes no passkey.
func passkeyInvalid(why error) *errs.Error {
	const text = "this is not the passkey that was asked for, or it comes too late; begin again, and have the device make sure that it is you"
	return errs.New(errs.Invalid, "PASSKEY_INVALID", text, errs.Field("credential", "PASSKEY_INVALID", text), errs.Cause(why))
}

// open looks whether a challenge is good now for the purpose and was not answered
// before. It returns what notes that it was, for who has seen that it was signed: so
// nobody else fills the table; nil when it is not open.
func (g *Gate) open(tx *change.Tx, challenge []byte, purpose passkey.Purpose, subject string) (use func() error, err error) {
	expire, good := g.cfg.Passkeys.CheckChallenge(challenge, purpose, subject, tx.Time)
	if !good {
		return nil, nil
	}
	used, err := g.cfg.Factors.UsedChallenge(tx, challenge)
	if err != nil || used {
		return nil, err
	}
	return func() error { return g.cfg.Factors.UseChallenge(tx, challenge, expire) }, nil
}

// BeginPasskeyLogin returns what a browser asks for a passkey with. The error is
// Precondition (PASSKEYS_OFF).
func (g *Gate) BeginPasskeyLogin() (*identityv1.BeginPasskeyLoginResponse, error) {
	options, err := g.passkeyRequest("")
	return &identityv1.BeginPasskeyLoginResponse{Options: options}, err
}

// PasskeyOptions returns what a browser asks for a passkey with to log in to an app,
// whose Purpose the answer is for; nil where none are taken.
func (g *Gate) PasskeyOptions(client string) (*structpb.Struct, error) {
	if !g.cfg.Passkeys.On() {
		return nil, nil
	}
	return g.passkeyRequest(client)
}

func (g *Gate) passkeyRequest(client string) (*structpb.Struct, error) {
	challenge := g.cfg.Passkeys.NewChallenge(passkey.Login, client, g.cfg.Clock().Add(passkey.LoginLifetime))
	return g.cfg.Passkeys.RequestOptions(challenge, nil)
}

// CompletePasskeyLogin logs in whose passkey it is. Errors are those of
// EnterByPasskey.
func (g *Gate) CompletePasskeyLogin(ctx context.Context, req *identityv1.CompletePasskeyLoginRequest, address string) (*identityv1.TokenSet, error) {
	k := Key{Credential: req.GetCredential(), Organization: req.GetOrganization(), Device: req.GetDeviceLabel()}
	return g.entered(g.EnterByPasskey(ctx, req, k, address, Purpose{Open: g.cfg.Sessions.Open}))
}

// Key is a login by passkey.
type Key struct {
	// Credential is what the browser sent.
	Credential *structpb.Struct
	// Organization is that of the accounts that are let in; "" is any.
	Organization string
	// Device is what to call the device.
	Device string
}

// EnterByPasskey is Enter for who has a passkey: it is more than one factor by
// itself, so there is no challenge. Errors are Unauthenticated (LOGIN_FAILED), the
// same whatever is wrong, Exhausted (LOGIN_THROTTLED), and Precondition
// (PASSKEYS_OFF).
//
// Nobody guesses a signature, nor the name of a passkey, which is as long as a key;
// so no account waits for what is tried, but the network does that tries.
func (g *Gate) EnterByPasskey(ctx context.Context, req proto.Message, k Key, address string, p Purpose) (Entry, error) {
	if !g.cfg.Passkeys.On() {
		_, err := g.BeginPasskeyLogin()
		return Entry{}, err
	}
	ticket, err := g.cfg.Throttle.Admit(ctx, throttle.Attempt{Address: address})
	if err != nil {
		g.count(ctx, "passkey", outcomeOf(err))
		return Entry{}, err
	}
	s, err := g.enterByPasskey(ctx, req, k, address, p)
	switch {
	case errs.ReasonOf(err) == loginFailed().Reason:
		ticket.Failed(ctx)
		g.count(ctx, "passkey", "failed")
		return Entry{}, err
	case err != nil:
		g.settled(ctx, ticket.Return(ctx))
		g.count(ctx, "passkey", "error")
		return Entry{}, err
	}
	g.settled(ctx, ticket.Succeed(ctx))
	g.count(ctx, "passkey", "ok")
	g.tell(ctx, session.AccountOf(s.GetName()))
	return Entry{Session: s}, nil
}

// enterByPasskey opens the session of whose passkey it is.
func (g *Gate) enterByPasskey(ctx context.Context, req proto.Message, k Key, address string, p Purpose) (*storev1.Session, error) {
	assertion, err := passkey.ParseAssertion(k.Credential)
	if err != nil || !assertion.NamesUser() {
		return nil, loginFailed()
	}
	var name string
	if err := g.cfg.Store.View(ctx, func(r kv.Reader) (err error) {
		name, err = g.cfg.Factors.OwnerOfPasskey(r, assertion.Credential())
		return err
	}); err != nil {
		return nil, err
	}
	if name == "" || k.Organization != "" && organizationOf(name) != k.Organization {
		return nil, loginFailed()
	}
	id, right := resource.NewID(), false
	s, err := change.Do(as(ctx, name, id), g.cfg.Journal, req, func(tx *change.Tx) (_ *storev1.Session, err error) {
		right = false
		methods, err := g.proveByPasskey(tx, name, assertion, p.Client)
		if err != nil {
			return nil, err
		}
		if len(methods) == 0 {
			tx.Unchanged() // but for what there is to say of a copy
			return &storev1.Session{}, nil
		}
		right = true
		return p.Open(tx, name, id, session.Login{Device: k.Device, Address: address, Factors: methods})
	})
	if err == nil && !right {
		err = loginFailed()
	}
	return s, err
}

// proveByPasskey takes the assertion of an account that may log in, to a challenge for
// the client, and returns what to say of it in a session; none when it proves nothing.
func (g *Gate) proveByPasskey(tx *change.Tx, name string, a *passkey.Assertion, client string) ([]string, error) {
	rec, found, err := g.cfg.Accounts.Find(tx, name)
	if err != nil || !found || !account.CanLogIn(rec.Value) {
		return nil, err
	}
	return g.proveOnce(tx, name, a, passkey.Login, client)
}

// proveOnce takes an assertion that answers a challenge of ours. One that came before
// is not looked at: it would count as that of a copy.
func (g *Gate) proveOnce(tx *change.Tx, name string, a *passkey.Assertion, purpose passkey.Purpose, subject string) ([]string, error) {
	use, err := g.open(tx, a.Challenge(), purpose, subject)
	if err != nil || use == nil {
		return nil, err
	}
	methods, err := g.cfg.Factors.Prove(tx, name, factor.Proof{Passkey: a, Challenge: a.Challenge()})
	if err != nil || len(methods) == 0 {
		return nil, err
	}
	return methods, use()
}
