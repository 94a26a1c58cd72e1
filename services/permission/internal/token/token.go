// Package token makes consistency tokens: names of states of an organisation's
// grants, for clients to hand from a change to a check.
//
// A token is a revision under a keyed hash. It says no more than CheckResult
// does, but nobody can make one up: a number that was never given out would
// make checks read the store for a state that there never was. A token is good
// on every replica that holds the keyset, for its organisation alone, and for
// ever; whether the state it names is still to be had is for package cache.
package token

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash/maphash"
	"sync/atomic"

	"guildhall.dev/pkg/b64"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/services/permission/internal/revision"
)

// Purpose is that of the key to give to New, for seal.Ring.Derive.
const Purpose = "permission consistency tokens"

// A token is, in base64, its format, the number and the mark of the revision,
// 8 bytes big endian each, and the first 16 bytes of the hash.
const (
	format    = 1
	clearSize = 1 + 8 + 8
	macSize   = 16
)

var encoding = b64.URL

// Tokens makes and reads tokens. It is safe for concurrent use.
type Tokens struct {
	key  []byte
	seed maphash.Seed
	// recent holds the last token of most organisations, by a hash of their
	// names: a check costs no hash when nothing has changed.
	recent [256]atomic.Pointer[memo]
}

type memo struct {
	organization string
	at           revision.Revision
	token        string
}

// New returns Tokens with a secret key.
func New(key []byte) *Tokens { return &Tokens{key: key, seed: maphash.MakeSeed()} }

// Of returns the token of an organisation's state, as in "organizations/acme".
// Equal states have equal tokens.
func (t *Tokens) Of(organization string, at revision.Revision) string {
	place := &t.recent[maphash.String(t.seed, organization)%uint64(len(t.recent))]
	if m := place.Load(); m != nil && m.at == at && m.organization == organization {
		return m.token
	}
	b := append(make([]byte, 0, clearSize+macSize), format)
	b = binary.BigEndian.AppendUint64(b, uint64(at.Number))
	b = binary.BigEndian.AppendUint64(b, at.Mark)
	m := &memo{organization: organization, at: at, token: encoding.EncodeToString(append(b, t.mac(organization, b)...))}
	place.Store(m)
	return m.token
}

// Read returns the state that a token names. One that is not of this
// installation and organisation is Invalid (CONSISTENCY_TOKEN_INVALID) on the
// field.
func (t *Tokens) Read(field, organization, token string) (revision.Revision, error) {
	b, err := encoding.DecodeString(token)
	if err != nil || len(b) != clearSize+macSize || b[0] != format ||
		!hmac.Equal(b[clearSize:], t.mac(organization, b[:clearSize])) {
		return revision.Revision{}, errs.InvalidField(field, "CONSISTENCY_TOKEN_INVALID",
			"send the consistency_token of a change or a check in the same organisation as it came, or none")
	}
	return revision.Revision{Number: int64(binary.BigEndian.Uint64(b[1:])), Mark: binary.BigEndian.Uint64(b[9:])}, nil
}

func (t *Tokens) mac(organization string, b []byte) []byte {
	h := hmac.New(sha256.New, t.key)
	h.Write(b) // of fixed length, so that the two cannot be confused
	h.Write([]byte(organization))
	return h.Sum(nil)[:macSize]
}
