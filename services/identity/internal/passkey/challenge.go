package passkey

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// How long an answer is taken (WebAuthn Level 3 section 15.1 wants some minutes).
const (
	RegistrationLifetime = 10 * time.Minute
	LoginLifetime        = 5 * time.Minute
)

// Purpose is what an answer to a challenge is taken for. One for something else
// proves nothing.
type Purpose string

// The purposes, and what the subject of each is.
const (
	// Register is for a new passkey; the subject is the session that asked.
	Register Purpose = "register"
	// Login is for a login of whoever answers; the subject is the app that is let in,
	// "" for the suite's own.
	Login Purpose = "login"
	// Prove is for one more proof in a session, which is the subject.
	Prove Purpose = "prove"
)

// A challenge is
//
//	nonce (16 bytes), expiry (Unix milliseconds, 8 bytes, big endian), MAC
//
// of nonce, expiry, purpose and subject.
const (
	nonceSize = 16
	clearSize = nonceSize + 8
)

// NewChallenge returns a challenge for the purpose that is good until then.
func (p *Party) NewChallenge(purpose Purpose, subject string, expire time.Time) []byte {
	c := make([]byte, nonceSize, clearSize+sha256.Size)
	rand.Read(c) // never fails, by its contract
	c = binary.BigEndian.AppendUint64(c, uint64(expire.UnixMilli()))
	return append(c, p.seal(c, purpose, subject)...)
}

func (p *Party) seal(plain []byte, purpose Purpose, subject string) []byte {
	// The clear part has one length and a purpose no zero byte: no two challenges
	// spell the same.
	return p.mac("challenge", append(append(append([]byte{}, plain...), purpose...), "\x00"+subject...))
}

// CheckChallenge reports whether a challenge is ours, for the purpose, and good now,
// and returns until when it is.
func (p *Party) CheckChallenge(challenge []byte, purpose Purpose, subject string, now time.Time) (expire time.Time, ok bool) {
	if len(challenge) != clearSize+sha256.Size {
		return expire, false
	}
	plain, mac := challenge[:clearSize], challenge[clearSize:]
	if !hmac.Equal(mac, p.seal(plain, purpose, subject)) {
		return expire, false
	}
	expire = time.UnixMilli(int64(binary.BigEndian.Uint64(plain[nonceSize:])))
	return expire, now.Before(expire)
}

// ChallengeOf returns the challenge to a passkey that is a second factor: it follows
// from the secret of the login that waits for it, and is good for as long and as
// often as that is.
func ChallengeOf(login string) []byte {
	sum := sha256.Sum256([]byte("guildhall passkey of a login\x00" + login))
	return sum[:]
}
