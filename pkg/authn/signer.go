package authn

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	// accessType is the "typ" of an access token (RFC 9068 section 2.1). It
	// keeps every other JWT of the suite from being taken for one.
	accessType = "at+jwt"
	// Audience is the "aud" of access tokens: the suite as a whole.
	Audience = "guildhall"
	// maxLifetime is the longest an access token may live. Verifiers hold
	// signers to it, so that no defect elsewhere mints a token for years.
	maxLifetime = time.Hour
)

// Claims is what identity knows when it gives out an access token. The
// organisation and the kind of account follow from Subject.
type Claims struct {
	// Subject is the account's resource name: staff, customer or service
	// account.
	Subject string
	// Session is the login's id. Staff and customers must have one: sessions
	// are what is revoked.
	Session string
	// ID is unique to the token.
	ID string
	// Client is the OAuth client that asked; FirstParty when empty.
	Client string
	// Scope is what the token is good for, separated by spaces (RFC 9068 section
	// 2.2.3); empty leaves it out, as of the suite's own apps.
	Scope string
	// Audience is whom the token is for; the suite as a whole, which is Audience,
	// when empty. No service takes one for anybody else.
	Audience string
	// Factors are the authentication methods used (RFC 8176).
	Factors []string
	// AuthTime is when the person last proved who they are; zero leaves it out.
	AuthTime time.Time
	// IssuedAt is now; Expires is at most an hour later. Both count whole
	// seconds.
	IssuedAt, Expires time.Time
}

// accessClaims is the token's body.
type accessClaims struct {
	jwt.Claims
	Client       string           `json:"client_id,omitempty"`
	Scope        string           `json:"scope,omitempty"`
	Session      string           `json:"sid,omitempty"`
	Organization string           `json:"org,omitempty"`
	Factors      []string         `json:"amr,omitempty"`
	AuthTime     *jwt.NumericDate `json:"auth_time,omitempty"`
}

// Signer signs access tokens. It is safe for concurrent use.
type Signer struct {
	issuer string
	state  atomic.Pointer[signerState]
}

type signerState struct {
	keys   KeySet
	signer jose.Signer
}

// NewSigner returns a signer for identity's issuer URL.
func NewSigner(issuer string, keys KeySet) (*Signer, error) {
	if issuer == "" {
		return nil, errors.New("a signer needs an issuer")
	}
	s := &Signer{issuer: issuer}
	if err := s.SetKeys(keys); err != nil {
		return nil, err
	}
	return s, nil
}

// SetKeys replaces the key set, as after a rotation. Tokens that are being
// signed finish with the old one.
func (s *Signer) SetKeys(keys KeySet) error {
	if keys.Current == nil {
		return errors.New("a key set needs a current key to sign with")
	}
	opts := (&jose.SignerOptions{}).WithType(accessType).WithHeader("kid", keys.Current.ID)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: keys.Current.Private}, opts)
	if err != nil {
		return fmt.Errorf("preparing the signing key: %w", err)
	}
	s.state.Store(&signerState{keys: keys, signer: signer})
	return nil
}

// JWKS returns the public keys that tokens of this signer verify with.
func (s *Signer) JWKS() JWKS { return s.state.Load().keys.JWKS() }

// Sign returns the token. It fails only on claims that no token may carry.
func (s *Signer) Sign(c Claims) (string, error) {
	kind, organization, ok := ParseName(c.Subject)
	switch {
	case !ok || kind == System:
		return "", errors.New("an access token's subject is a staff member, a customer or a service account")
	case c.Session == "" && kind != ServiceAccount:
		return "", errors.New("an access token of a person needs a session")
	case c.ID == "":
		return "", errors.New("an access token needs an id")
	case !c.Expires.After(c.IssuedAt) || c.Expires.Sub(c.IssuedAt) > maxLifetime:
		return "", errors.New("an access token lives for more than nothing and at most an hour")
	}
	if c.Client == "" {
		c.Client = FirstParty
	}
	if c.Audience == "" {
		c.Audience = Audience
	}
	body, err := json.Marshal(accessClaims{
		Claims: jwt.Claims{
			Issuer: s.issuer, Subject: c.Subject, Audience: jwt.Audience{c.Audience}, ID: c.ID,
			IssuedAt: jwt.NewNumericDate(c.IssuedAt), NotBefore: jwt.NewNumericDate(c.IssuedAt),
			Expiry: jwt.NewNumericDate(c.Expires),
		},
		Client: c.Client, Scope: c.Scope, Session: c.Session, Organization: organization,
		Factors: c.Factors, AuthTime: jwt.NewNumericDate(c.AuthTime),
	})
	if err != nil {
		return "", fmt.Errorf("encoding an access token: %w", err)
	}
	return compact(s.state.Load().signer, body)
}

func compact(signer jose.Signer, body []byte) (string, error) {
	signed, err := signer.Sign(body)
	if err != nil {
		return "", fmt.Errorf("signing a token: %w", err)
	}
	return signed.CompactSerialize()
}
