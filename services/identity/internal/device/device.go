// Package device remembers on which devices an account has logged in, without
// keeping anything: the device keeps a sealed token.
//
// It is no second factor, and opens nothing. It is for the throttle: while
// strangers guess at an account, the devices of its owner need not wait with
// them. A token is of one account and of the password under which it was given;
// another password, and with it whoever had the one before, begins anew.
package device

import (
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"guildhall.dev/pkg/b64"
)

// Lifetime is how long a device is known after its last login.
const Lifetime = 180 * 24 * time.Hour

// tokenPrefix lets secret scanners find a token.
const tokenPrefix = "ghd_"

// A token is, behind the prefix and in base64url, a nonce and, sealed with the
// account and its password's time as associated data,
//
//	id (16 bytes), when it was given in Unix seconds (8 bytes, big endian)
const (
	idSize    = 16
	clearSize = idSize + 8
)

var encoding = b64.URL

// Sealer makes and reads tokens. It is safe for concurrent use.
type Sealer struct{ aead cipher.AEAD }

// NewSealer returns a sealer with a key of 32 secret bytes that all replicas
// share. Its cipher has long nonces, since they are random and the key never
// changes.
func NewSealer(key []byte) (*Sealer, error) {
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, fmt.Errorf("device: the key of tokens: %w", err)
	}
	return &Sealer{aead: aead}, nil
}

// Owner is whose device it is.
type Owner struct {
	// Account is its name, PasswordTime when its password was set.
	Account      string
	PasswordTime time.Time
}

func (o Owner) associated() []byte {
	return fmt.Appendf(nil, "%s\x00%d", o.Account, o.PasswordTime.UnixNano())
}

// NewID returns the id of a device that is not known yet.
func NewID() string {
	var id [idSize]byte
	rand.Read(id[:]) // never fails: crypto/rand ends the process instead
	return string(id[:])
}

// Token returns a new token of the owner's device. The id comes from NewID or
// from the token before.
func (s *Sealer) Token(o Owner, id string, now time.Time) string {
	nonce := make([]byte, s.aead.NonceSize(), s.aead.NonceSize()+clearSize+s.aead.Overhead())
	rand.Read(nonce)
	clear := binary.BigEndian.AppendUint64([]byte(id), uint64(now.Unix()))
	return tokenPrefix + encoding.EncodeToString(s.aead.Seal(nonce, nonce, clear, o.associated()))
}

// ID returns the id of the owner's device, and false for a token that is none,
// is another owner's, or is too old.
func (s *Sealer) ID(o Owner, token string, now time.Time) (id string, ok bool) {
	if len(token) != len(tokenPrefix)+encoding.EncodedLen(s.aead.NonceSize()+clearSize+s.aead.Overhead()) || token[:len(tokenPrefix)] != tokenPrefix {
		return "", false
	}
	sealed, err := encoding.DecodeString(token[len(tokenPrefix):])
	if err != nil {
		return "", false
	}
	nonce, box := sealed[:s.aead.NonceSize()], sealed[s.aead.NonceSize():]
	clear, err := s.aead.Open(nil, nonce, box, o.associated())
	if err != nil || len(clear) != clearSize {
		return "", false
	}
	given := time.Unix(int64(binary.BigEndian.Uint64(clear[idSize:])), 0)
	return string(clear[:idSize]), now.Before(given.Add(Lifetime))
}
