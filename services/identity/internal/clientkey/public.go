package clientkey

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"

	"github.com/go-jose/go-jose/v4"

	"guildhall.dev/pkg/errs"
)

// Bounds of RSA keys, in bits. Below, they can be broken (NIST SP 800-131A); one
// far above makes each proof slow.
const (
	leastRSA = 2048
	mostRSA  = 8192
)

// algorithms returns what a public key may be proven with; none when it is of no
// kind that is taken. The key decides it and not the proof (RFC 8725 section 3.1).
func algorithms(public any) []jose.SignatureAlgorithm {
	switch k := public.(type) {
	case ed25519.PublicKey:
		return []jose.SignatureAlgorithm{jose.EdDSA}
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			return []jose.SignatureAlgorithm{jose.ES256}
		}
	case *rsa.PublicKey:
		if n := k.N.BitLen(); leastRSA <= n && n <= mostRSA {
			return []jose.SignatureAlgorithm{jose.PS256, jose.RS256}
		}
	}
	return nil
}

// Algorithms are all that proofs may be made with, as metadata names them.
func Algorithms() []string {
	return []string{string(jose.EdDSA), string(jose.ES256), string(jose.PS256), string(jose.RS256)}
}

// checkPublic returns a JSON Web Key as it is kept. Errors are Invalid on the
// field: CLIENT_KEY_PUBLIC_INVALID, and CLIENT_KEY_PRIVATE for one that holds its
// private half, which is then known to more than its owner.
func checkPublic(field, text string) (string, error) {
	var k jose.JSONWebKey
	if err := json.Unmarshal([]byte(text), &k); err != nil {
		return "", publicInvalid(field)
	}
	if _, symmetric := k.Key.([]byte); symmetric || !k.IsPublic() {
		return "", errs.InvalidField(field, "CLIENT_KEY_PRIVATE",
			"send the public half only. The private one has left its owner now: make another pair")
	}
	allowed := algorithms(k.Key)
	if len(allowed) == 0 || !k.Valid() || k.Use != "" && k.Use != "sig" || len(k.KeyID) > 200 {
		return "", publicInvalid(field)
	}
	// Certificates and whatever else came along are not looked at, so not kept.
	kept, err := json.Marshal(jose.JSONWebKey{Key: k.Key, KeyID: k.KeyID, Use: "sig"})
	if err != nil {
		return "", publicInvalid(field)
	}
	return string(kept), nil
}

func publicInvalid(field string) error {
	return errs.InvalidField(field, "CLIENT_KEY_PUBLIC_INVALID",
		"send one JSON Web Key for signatures: Ed25519, P-256, or RSA of 2048 to 8192 bits")
}
