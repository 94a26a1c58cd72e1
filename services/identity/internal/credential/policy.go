package credential

import (
	"fmt"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"guildhall.dev/pkg/errs"
)

// The length of a password in Unicode code points, after Normalize. A password
// is the only factor, so it has NIST SP 800-63B-4's fifteen; it is never
// truncated, and bounded only so that hashing it stays cheap.
const (
	MinLength = 15
	MaxLength = 256
)

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
func Check(field, password string, context ...string) error {
	password = Normalize(password)
	switch n := utf8.RuneCountInString(password); {
	case n < MinLength:
		return errs.InvalidField(field, "PASSWORD_TOO_SHORT", fmt.Sprintf("send at least %d characters; a few words are a good password", MinLength))
	case n > MaxLength:
		return errs.InvalidField(field, "PASSWORD_TOO_LONG", fmt.Sprintf("send at most %d characters", MaxLength))
	case strength(password, context) < minStrength:
		return Blocked(field)
	}
	return nil
}

// Blocked is the error for a password that is easily guessed.
func Blocked(field string) *errs.Error {
	return errs.InvalidField(field, "PASSWORD_BLOCKED",
		"choose another password: this one is among the first that would be tried, or too close to your name or your organisation's")
}
