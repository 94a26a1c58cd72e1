package authn

import (
	"crypto/ed25519"
	"errors"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Inspect verifies an access token of the signer's own and returns what it was
// signed with, whomever it is for: for introspection, and for endpoints that have
// an audience of their own. The error is Unauthenticated (TOKEN_INVALID or
// TOKEN_EXPIRED).
func (s *Signer) Inspect(token string, now time.Time) (Claims, error) {
	if len(token) > maxToken {
		return Claims{}, invalid(errors.New("longer than 8 KiB"))
	}
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		return Claims{}, invalid(err)
	}
	header := signed.Signatures[0].Protected
	if typ, _ := header.ExtraHeaders[jose.HeaderType].(string); !strings.EqualFold(typ, accessType) {
		return Claims{}, invalid(errors.New("the type is not that of an access token"))
	}
	key := s.public(header.KeyID)
	if key == nil {
		return Claims{}, invalid(errors.New("unknown key id"))
	}
	c, err := openAccess(signed, key, s.issuer, now)
	if err != nil {
		return Claims{}, err
	}
	if len(c.Audience) != 1 {
		return Claims{}, invalid(errors.New("not one audience"))
	}
	return Claims{
		Subject: c.Subject, Session: c.Session, ID: c.ID, Client: c.Client, Scope: c.Scope, Audience: c.Audience[0],
		Factors: c.Factors, AuthTime: c.AuthTime.Time(), IssuedAt: c.IssuedAt.Time(), Expires: c.Expiry.Time(),
	}, nil
}

// public returns the key of an id, nil when the signer has none.
func (s *Signer) public(id string) ed25519.PublicKey {
	for _, k := range s.JWKS().Keys {
		if k.ID == id {
			return k.Key
		}
	}
	return nil
}
