package oauth

import (
	"context"
	"errors"
	"time"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/clientkey"
)

// assertionType is the only kind of assertion that clients prove themselves with
// (RFC 7523 section 2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// client is who has proven to be one.
type client struct {
	id           string
	organization string
	// app is nil of a service account.
	app *identityv1.OAuthClient
	// key is what it proved itself with; nil of a public app, which cannot.
	key *storev1.ClientKey
}

// shown is what a client shows of itself, read and not proven.
type shown struct {
	id        string
	secret    string
	assertion *clientkey.Assertion
}

// read reads how a client says who it is. Errors are Invalid (INVALID_REQUEST)
// for more than one way, and Unauthenticated (INVALID_CLIENT).
func read(a *identityv1.ClientAuthentication) (shown, error) {
	s := shown{id: a.GetClientId(), secret: a.GetClientSecret()}
	if a.GetClientAssertion() == "" && a.GetClientAssertionType() == "" {
		return s, nil
	}
	if s.secret != "" {
		return s, invalidRequest("a client proves itself in one way, not in two (RFC 6749 section 2.3)")
	}
	if a.GetClientAssertionType() != assertionType {
		return s, invalidRequest("send client_assertion_type " + assertionType)
	}
	var err error
	if s.assertion, err = clientkey.ParseAssertion(a.GetClientAssertion()); err != nil {
		return s, invalidClient(err)
	}
	if s.id == "" {
		s.id = s.assertion.Client()
	}
	return s, nil
}

// client returns the client that has proven itself. The error is Unauthenticated
// (INVALID_CLIENT), the same for a client that is not there, one that may not
// act, and a wrong proof.
func (s *Server) client(tx kv.Tx, by shown, now time.Time) (*client, error) {
	if !account.ServicePattern.Matches(by.id) {
		return s.provenApp(tx, by, now)
	}
	rec, found, err := s.cfg.Accounts.Find(tx, by.id)
	if err != nil {
		return nil, err
	}
	if !found || !account.CanLogIn(rec.Value) {
		return nil, invalidClient(errors.New("the client is not there, or may not act"))
	}
	k, err := s.proven(tx, by, now)
	if err != nil {
		return nil, err
	}
	_, organization, _ := authn.ParseName(by.id)
	return &client{id: by.id, organization: organization, key: k}, nil
}

// provenApp is client for apps. A public one has nothing to prove itself with, and
// must not seem to have (RFC 6749 section 2.1).
func (s *Server) provenApp(tx kv.Tx, by shown, now time.Time) (*client, error) {
	a, err := s.app(tx, by.id)
	if err != nil {
		return nil, err
	}
	c := &client{id: by.id, organization: resource.Parent(by.id), app: a}
	if a.GetType() != identityv1.OAuthClient_TYPE_PUBLIC {
		c.key, err = s.proven(tx, by, now)
	} else if by.secret != "" || by.assertion != nil {
		err = invalidClient(errors.New("a public app has no keys"))
	}
	return c, err
}

// note notes that a client proved itself with its key, and when a token that it
// gets for it ends; zero is none.
func (s *Server) note(tx kv.Tx, c *client, now, expires time.Time) error {
	if c.key == nil {
		return nil
	}
	return s.cfg.Keys.Use(tx, c.key, now, expires)
}

// proven returns the key that a client has.
func (s *Server) proven(tx kv.Tx, by shown, now time.Time) (k *storev1.ClientKey, err error) {
	switch {
	case by.assertion != nil:
		k, err = s.cfg.Keys.ByAssertion(tx, by.id, by.assertion, s.audiences, now)
	case by.secret != "":
		k, err = s.cfg.Keys.BySecret(tx, by.id, by.secret, now)
	default:
		err = clientkey.ErrUnproven
	}
	if errors.Is(err, clientkey.ErrUnproven) {
		return nil, invalidClient(err)
	}
	return k, err
}

func invalidClient(cause error) error {
	return errs.New(errs.Unauthenticated, "INVALID_CLIENT", "the client is not known, or has not proven who it is", errs.Cause(cause))
}

// as returns a context in which the client acts, so that the audit log says whose
// act it was: the call itself carries no token.
func as(ctx context.Context, by shown) context.Context {
	return authn.WithCaller(ctx, authn.Caller{Name: by.id})
}
