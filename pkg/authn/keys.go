package authn

import (
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/go-jose/go-jose/v4"
)

// SigningKey is one of identity's Ed25519 keys. It is a secret.
type SigningKey struct {
	// ID is the RFC 7638 thumbprint of the public key, so that two keys never
	// share one and nobody has to number them.
	ID      string
	Private ed25519.PrivateKey
}

// NewSigningKey makes a key from the randomness of rand (nil is the system's).
func NewSigningKey(rand io.Reader) (*SigningKey, error) {
	_, private, err := ed25519.GenerateKey(rand)
	if err != nil {
		return nil, fmt.Errorf("making a signing key: %w", err)
	}
	return SigningKeyFrom(private)
}

// SigningKeyFrom wraps a stored private key.
func SigningKeyFrom(private ed25519.PrivateKey) (*SigningKey, error) {
	if len(private) != ed25519.PrivateKeySize {
		return nil, errors.New("a signing key is an Ed25519 private key of 64 bytes")
	}
	id, err := thumbprint(private.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, err
	}
	return &SigningKey{ID: id, Private: private}, nil
}

func thumbprint(public ed25519.PublicKey) (string, error) {
	sum, err := (&jose.JSONWebKey{Key: public}).Thumbprint(crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("taking the thumbprint of a key: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}

// KeySet is the keys of a rotation. Current signs. Next is published ahead of
// its turn so that every verifier knows it before the first token it signs;
// Previous stays published until the last token it signed has expired. Next
// and Previous may be nil.
type KeySet struct {
	Next, Current, Previous *SigningKey
}

// Rotate returns the set one turn on: next signs, the current key becomes the
// previous one, and fresh waits. The key that was previous is dropped, so leave
// at least a token's lifetime between two turns.
func (s KeySet) Rotate(fresh *SigningKey) (KeySet, error) {
	if s.Next == nil {
		return KeySet{}, errors.New("the key set has no next key to rotate to")
	}
	return KeySet{Next: fresh, Current: s.Next, Previous: s.Current}, nil
}

// JWKS returns the public half of the set, the signing key first.
func (s KeySet) JWKS() JWKS {
	var out JWKS
	for _, k := range []*SigningKey{s.Current, s.Next, s.Previous} {
		if k != nil {
			out.Keys = append(out.Keys, PublicKey{ID: k.ID, Key: k.Private.Public().(ed25519.PublicKey)})
		}
	}
	return out
}

// PublicKey is a key that tokens are verified with.
type PublicKey struct {
	// ID is what a token's "kid" names it by.
	ID  string
	Key ed25519.PublicKey
}

// JWKS is a set of public keys. Its JSON is a JSON Web Key Set (RFC 7517) of
// Ed25519 keys (RFC 8037), and it never holds a private one.
type JWKS struct {
	Keys []PublicKey
}

// MarshalJSON returns the RFC 7517 document.
func (s JWKS) MarshalJSON() ([]byte, error) {
	out := jose.JSONWebKeySet{Keys: make([]jose.JSONWebKey, 0, len(s.Keys))}
	for _, k := range s.Keys {
		out.Keys = append(out.Keys, jose.JSONWebKey{
			Key: k.Key, KeyID: k.ID, Algorithm: string(jose.EdDSA), Use: "sig",
		})
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads an RFC 7517 document. Keys of other types and uses are
// skipped, as the RFC asks (section 5); a private key is an error, because the
// document it stands in has been published.
func (s *JWKS) UnmarshalJSON(data []byte) error {
	var in jose.JSONWebKeySet
	if err := json.Unmarshal(data, &in); err != nil {
		return fmt.Errorf("reading a JSON Web Key Set: %w", err)
	}
	s.Keys = nil
	for _, k := range in.Keys {
		if !k.IsPublic() {
			return errors.New("a published JSON Web Key Set holds a private key")
		}
		public, ok := k.Key.(ed25519.PublicKey)
		if !ok || k.KeyID == "" || k.Use != "" && k.Use != "sig" {
			continue
		}
		s.Keys = append(s.Keys, PublicKey{ID: k.KeyID, Key: public})
	}
	return nil
}
