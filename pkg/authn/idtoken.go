package authn

import (
	"crypto/sha512"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"guildhall.dev/pkg/b64"
)

// Identity is what an app is told of a login that let it in (OpenID Connect Core
// section 2).
type Identity struct {
	// Subject is the account's resource name, Client the app that is told.
	Subject, Client string
	// Session is the login's id.
	Session string
	// Nonce is what the app sent along; "" for none.
	Nonce string
	// Factors are the authentication methods used (RFC 8176).
	Factors []string
	// AccessToken is the one that is given out beside it.
	AccessToken string
	// AuthTime is when the person proved who they are.
	AuthTime time.Time
	// IssuedAt is now; Expires is later.
	IssuedAt, Expires time.Time
}

// identityClaims is the body of an id token.
type identityClaims struct {
	jwt.Claims
	AuthTime *jwt.NumericDate `json:"auth_time,omitempty"`
	Nonce    string           `json:"nonce,omitempty"`
	Factors  []string         `json:"amr,omitempty"`
	Hash     string           `json:"at_hash,omitempty"`
	Session  string           `json:"sid,omitempty"`
}

// SignIdentity returns an id token. Its type and its audience, the app, keep it
// from being taken for an access token (RFC 8725 sections 3.9 and 3.11). It fails
// only on what no token may say.
func (s *Signer) SignIdentity(i Identity) (string, error) {
	if i.Client == "" || i.Subject == "" || !i.Expires.After(i.IssuedAt) {
		return "", errors.New("an id token needs a subject, an app and a lifetime")
	}
	key := s.state.Load().keys.Current
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: key.Private},
		(&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", key.ID))
	if err != nil {
		return "", fmt.Errorf("preparing the signing key: %w", err)
	}
	// Half of the hash that the signature uses, which for Ed25519 is SHA-512.
	sum := sha512.Sum512([]byte(i.AccessToken))
	body, err := json.Marshal(identityClaims{
		Claims: jwt.Claims{
			Issuer: s.issuer, Subject: i.Subject, Audience: jwt.Audience{i.Client},
			IssuedAt: jwt.NewNumericDate(i.IssuedAt), Expiry: jwt.NewNumericDate(i.Expires),
		},
		AuthTime: jwt.NewNumericDate(i.AuthTime), Nonce: i.Nonce, Factors: i.Factors,
		Hash: b64.URL.EncodeToString(sum[:sha512.Size/2]), Session: i.Session,
	})
	if err != nil {
		return "", fmt.Errorf("encoding an id token: %w", err)
	}
	return compact(signer, body)
}
