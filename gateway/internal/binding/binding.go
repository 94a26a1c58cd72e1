// Package binding makes and verifies the binding tokens of denials that can be
// cured: the proof, carried by an enforcement point from a decision to an
// access request, that this very thing was denied here, to whom, why and until
// when it may be asked for (AuthZEN Access Request and Approval Profile, draft
// 1, "Denial Binding Claims").
//
// A token is a few facts under a keyed hash, which also covers what the token
// does not hold because the request repeats it: organisation, caller, subject,
// action and resource. So the decision point keeps nothing, and every replica
// that has the key verifies. It is no JWS: who makes tokens and who verifies
// them is one party with one secret, and there is no public key to look up.
//
// The package knows nothing of JSON and HTTP. What makes two questions equal is
// for its caller to put into Denial.Question.
package binding

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"guildhall.dev/pkg/b64"
)

// Purpose is that of the key to give to New, for serve.Kit.SharedKey.
const Purpose = "authzen binding tokens"

// Kind is what cures a denial.
type Kind byte

// Kinds of cures. The numbers stand in tokens.
const (
	// Access is a grant.
	Access Kind = 1
	// Approval is a second person's approval.
	Approval Kind = 2
)

// Denial is what a token binds.
type Denial struct {
	// Organization is whose grants decided, Caller who asked.
	Organization, Caller string
	// Question is a hash of subject, action and resource.
	Question [sha256.Size]byte

	Kind Kind
	// Reason is what the decision gave as its reason.
	Reason string
	// Expires is until when the token is good, in whole seconds.
	Expires time.Time
}

// A token is, in base64, its format, the kind, the Unix second of its end in 8
// bytes big endian, the hash, and the reason.
const (
	format    = 1
	hashAt    = 1 + 1 + 8
	reasonAt  = hashAt + sha256.Size
	maxReason = 100
)

var encoding = b64.URL

// Tokens makes and verifies tokens. It is safe for concurrent use.
type Tokens struct{ key []byte }

// New returns Tokens with a secret key.
func New(key []byte) *Tokens { return &Tokens{key: key} }

// Of returns the token of a denial. Its reason is at most 100 bytes long.
func (t *Tokens) Of(d Denial) string {
	b := []byte{format, byte(d.Kind)}
	b = binary.BigEndian.AppendUint64(b, uint64(d.Expires.Unix()))
	b = append(b, t.hash(d)...)
	return encoding.EncodeToString(append(b, d.Reason...))
}

// Verify reports whether the token is one of this installation for the
// organisation, caller and question of about, and returns the whole denial.
// Whether it is still good is for the caller to see from Expires.
func (t *Tokens) Verify(token string, about Denial) (Denial, bool) {
	if len(token) > encoding.EncodedLen(reasonAt+maxReason) {
		return Denial{}, false
	}
	b, err := encoding.DecodeString(token)
	if err != nil || len(b) < reasonAt || b[0] != format {
		return Denial{}, false
	}
	about.Kind, about.Reason = Kind(b[1]), string(b[reasonAt:])
	about.Expires = time.Unix(int64(binary.BigEndian.Uint64(b[2:])), 0).UTC()
	if !hmac.Equal(b[hashAt:reasonAt], t.hash(about)) {
		return Denial{}, false
	}
	return about, true
}

// hash covers every field, and each that may have any length with its length
// before it.
func (t *Tokens) hash(d Denial) []byte {
	h := hmac.New(sha256.New, t.key)
	b := []byte{format, byte(d.Kind)}
	b = binary.BigEndian.AppendUint64(b, uint64(d.Expires.Unix()))
	b = append(b, d.Question[:]...)
	for _, text := range [...]string{d.Organization, d.Caller, d.Reason} {
		b = binary.AppendUvarint(b, uint64(len(text)))
		b = append(b, text...)
	}
	h.Write(b)
	return h.Sum(nil)
}
