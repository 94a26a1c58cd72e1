// Package b64 is base64 (RFC 4648) with one spelling for each value.
//
// What the suite hands out and reads again (tokens, cursors, ids, stored
// hashes) is compared, looked up and told apart by its text, so no second text
// may stand for it. encoding/base64 has two leniencies: bits behind the last
// byte, which Strict refuses, and line ends anywhere, which even Strict skips.
package b64

import (
	"encoding/base64"
	"strings"
)

// The encodings: URL is of section 5, for what travels in addresses and headers,
// Std of section 4, which the PHC format asks for, both without padding; Padded
// is Std with it, for what other systems wrote.
var (
	URL    = Encoding{base64.RawURLEncoding.Strict()}
	Std    = Encoding{base64.RawStdEncoding.Strict()}
	Padded = Encoding{base64.StdEncoding.Strict()}
)

// Encoding is a base64 encoding in which each value has one text. It is safe
// for concurrent use.
type Encoding struct{ strict *base64.Encoding }

// EncodeToString returns the text of b.
func (e Encoding) EncodeToString(b []byte) string { return e.strict.EncodeToString(b) }

// EncodedLen returns the length of the text of n bytes.
func (e Encoding) EncodedLen(n int) int { return e.strict.EncodedLen(n) }

// DecodeString is the inverse of EncodeToString; no other text decodes. The
// error is a base64.CorruptInputError and quotes nothing of the text.
func (e Encoding) DecodeString(text string) ([]byte, error) {
	if i := strings.IndexAny(text, "\r\n"); i >= 0 {
		return nil, base64.CorruptInputError(i)
	}
	return e.strict.DecodeString(text)
}
