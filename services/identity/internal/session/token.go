package session

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"strings"

	"guildhall.dev/pkg/b64"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
)

// tokenPrefix lets secret scanners find a refresh token that was committed or
// logged somewhere.
const tokenPrefix = "ghr_"

// A refresh token is, behind the prefix and in base64url,
//
//	number (8 bytes, big endian), HMAC-SHA-256 of number and id, id
const (
	numberSize = 8
	macSize    = sha256.Size
)

var encoding = b64.URL

// Token returns the newest refresh token of a session.
func (b *Book) Token(s *storev1.Session) string {
	return b.token(ID(s.GetName()), s.GetIssued())
}

func (b *Book) token(id string, number uint64) string {
	raw := binary.BigEndian.AppendUint64(nil, number)
	raw = append(raw, b.mac(id, number)...)
	return tokenPrefix + encoding.EncodeToString(append(raw, id...))
}

func (b *Book) mac(id string, number uint64) []byte {
	h := hmac.New(sha256.New, b.cfg.Key)
	h.Write(binary.BigEndian.AppendUint64(nil, number)) // a hash never fails to write
	h.Write([]byte(id))
	return h.Sum(nil)
}

// parseToken returns the session and the number of a token that a book with
// this key made. The error is RefreshInvalid's.
func (b *Book) parseToken(token string) (id string, number uint64, err error) {
	text, ok := strings.CutPrefix(token, tokenPrefix)
	raw, decodeErr := encoding.DecodeString(text)
	if !ok || decodeErr != nil || len(raw) < numberSize+macSize || len(raw) > numberSize+macSize+resource.MaxIDLength {
		return "", 0, RefreshInvalid()
	}
	number = binary.BigEndian.Uint64(raw)
	mac, rest := raw[numberSize:numberSize+macSize], raw[numberSize+macSize:]
	if !hmac.Equal(mac, b.mac(string(rest), number)) {
		return "", 0, RefreshInvalid()
	}
	return string(rest), number, nil
}

// RefreshInvalid is the one answer to every refresh token that gives no new
// ones.
func RefreshInvalid() *errs.Error {
	return errs.New(errs.Unauthenticated, "REFRESH_TOKEN_INVALID", "the session has ended; log in again")
}
