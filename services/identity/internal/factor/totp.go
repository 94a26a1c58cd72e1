package factor

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"math"
	"net/url"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// The parameters of codes are those that every authenticator app knows: many take
// no others, or pass them over silently. SHA-1 is safe here: HMAC does not need
// its hash to be free of collisions (RFC 6238 section 1.2, RFC 2104).
const (
	digits = 6
	period = 30 * time.Second
	// secretSize is that of the hash (RFC 4226 section 4, R6).
	secretSize = sha1.Size
)

// NewSecret returns a new secret of an authenticator app.
func NewSecret() []byte {
	secret := make([]byte, secretSize)
	rand.Read(secret) // never fails, by its contract
	return secret
}

// hotp returns the code of a counter, of at most 9 digits (RFC 4226 section 5.3).
func hotp(secret []byte, counter uint64, digits int) string {
	h := hmac.New(sha1.New, secret)
	h.Write(binary.BigEndian.AppendUint64(nil, counter)) // a hash never fails to write
	sum := h.Sum(nil)
	at := sum[len(sum)-1] & 0xf
	n := binary.BigEndian.Uint32(sum[at:]) & math.MaxInt32
	return fmt.Sprintf("%0*d", digits, n%uint32(math.Pow10(digits)))
}

// stepAt returns the number of the step that a time is in (RFC 6238 section 4.2).
func stepAt(t time.Time) int64 { return t.Unix() / int64(period/time.Second) }

// match returns the step of which a code is: that of now, the one before, or the
// one behind it, since clocks differ and people type slowly (RFC 6238 section 5.2).
// No step is taken that is not above last.
func match(secret []byte, code string, now time.Time, last int64) (step int64, ok bool) {
	code = plainDigits(code)
	for _, each := range []int64{stepAt(now) + 1, stepAt(now) - 1, stepAt(now)} {
		if each < 0 {
			continue
		}
		right := len(secret) > 0 && subtle.ConstantTimeCompare([]byte(hotp(secret, uint64(each), digits)), []byte(code)) == 1
		if right && each > last {
			step, ok = each, true
		}
	}
	return step, ok
}

// plainDigits returns a code as it was meant: without the space that apps show in
// it, and digits of full width, which an input method for Chinese types when it is
// left in that mode, as digits.
func plainDigits(code string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == '-' {
			return -1
		}
		return r
	}, norm.NFKC.String(code))
}

// Spell returns a secret as people type it.
func Spell(secret []byte) string {
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret)
}

// URI returns the address by which an authenticator app takes a secret up, in the
// form that Google Authenticator began. Organisation and person are what people
// read in the app.
func URI(secret []byte, organization, person string) string {
	organization, person = escape(organization), escape(person)
	return fmt.Sprintf("otpauth://totp/%s:%s?secret=%s&issuer=%s&algorithm=SHA1&digits=%d&period=%d",
		organization, person, Spell(secret), organization, digits, period/time.Second)
}

// escape writes a text for an otpauth address: without colons, since the first ends
// the organisation, and with spaces as %20 and never +, which some apps would show.
func escape(text string) string {
	return strings.ReplaceAll(url.QueryEscape(strings.ReplaceAll(text, ":", " ")), "+", "%20")
}
