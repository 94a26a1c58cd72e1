package credential

import (
	"fmt"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"guildhall.dev/pkg/errs"
)

// Use is what a password is worth, and so how much it has to be.
type Use int

const (
	// Alone is of a password that opens the account by itself: fifteen characters
	// (NIST SP 800-63B-4 section 3.1.1.2).
	Alone Use = iota
	// Beside is of one that needs a second factor: eight.
	Beside
)

// The length of a password in Unicode code points, after Normalize. It is never
// truncated, and bounded only so that hashing it stays cheap.
const (
	minAlone  = 15
	minBeside = 8
	MaxLength = 256
)

// least returns the least length of a password, and the least that an attacker has
// to guess of it.
func (u Use) least() (length, strength int) {
	if u == Beside {
		return minBeside, minStrengthBeside
	}
	return minAlone, minStrength
}

// Normalize returns a password in Unicode's form NFKC, in which it is counted and
// hashed: the same characters typed on two keyboards are the same bytes (NIST SP
// 800-63B-4 section 3.1.1.2 asks for NFKC or NFKD). RFC 8265 would have NFC; but
// then letters of full width, which an input method for Chinese types when it is
// left in that mode, were other letters, and their owner kept out.
func Normalize(password string) string { return norm.NFKC.String(password) }

// Check returns nil for a password that may be set, and else Invalid on the
// given field of the request: PASSWORD_TOO_SHORT, PASSWORD_TOO_LONG, or
// PASSWORD_BLOCKED for one that is easily guessed. There are no rules about
// kinds of characters, and passwords do not expire.
//
// The context is what an attacker knows of the account: its names, its mail
// address, its organisation.
func Check(field, password string, use Use, context ...string) error {
	password = Normalize(password)
	length, least := use.least()
	switch n := utf8.RuneCountInString(password); {
	case n < length:
		return short(field, length)
	case n > MaxLength:
		return errs.InvalidField(field, "PASSWORD_TOO_LONG", fmt.Sprintf("send at most %d characters", MaxLength))
	case strength(password, context) < least:
		return Blocked(field)
	}
	return nil
}

// short is the error for a password that has fewer characters than it must.
func short(field string, length int) *errs.Error {
	return errs.InvalidField(field, "PASSWORD_TOO_SHORT", fmt.Sprintf("send at least %d characters; a few words are a good password", length))
}

// NeedsFactor is the error for a password that would stand alone and is good only
// beside a second factor.
func NeedsFactor() *errs.Error {
	return errs.New(errs.Precondition, "PASSWORD_NEEDS_FACTOR",
		fmt.Sprintf("the password is good only beside a second factor; choose one of at least %d characters that is not easily guessed", minAlone))
}

// Blocked is the error for a password that is easily guessed.
func Blocked(field string) *errs.Error {
	return errs.InvalidField(field, "PASSWORD_BLOCKED",
		"choose another password: this one is among the first that would be tried, or too close to your name or your organisation's")
}
