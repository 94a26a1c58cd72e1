// Package page reads page requests and makes page tokens (AIP-158).
//
// A token is where the last page ended, sealed: it shows no key, cannot be
// made up or changed, and works only with the query it came from, for the
// caller it was given to. The server keeps nothing for it, so it survives
// restarts and goes to any replica that derives the same key.
//
//	q := page.Fingerprint("ListGroups", req.Parent, req.Filter, req.OrderBy, caller)
//	after, size, err := codec.Start(page.Request{Size: req.PageSize, Token: req.PageToken}, q)
//	p, err := groups.List(r, kv.Query{…, After: after, Limit: size})
//	resp.NextPageToken = codec.Next(q, p.Next)
package page

import (
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"

	"guildhall.dev/pkg/b64"
	"guildhall.dev/pkg/errs"
)

// DefaultSize is the size of a page when the request names none, and MaxSize
// the most there is; a greater one is taken for MaxSize.
const (
	DefaultSize = 50
	MaxSize     = 1000
)

// Request is what every List request says of the page it wants.
type Request struct {
	Size  int32
	Token string
}

// Query identifies a query and its caller. Make it with Fingerprint.
type Query [16]byte

// Fingerprint returns the Query of everything that decides which records come
// in which order: the method, the parent, filter and order of the request, and
// the caller. Two lists of strings that differ at all differ in fingerprint.
// The page size is no part of it: a client may change it on the way.
func Fingerprint(parts ...string) Query {
	h := sha256.New()
	var n [8]byte
	for _, p := range parts {
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		h.Write(n[:])
		h.Write([]byte(p))
	}
	return Query(h.Sum(nil)[:len(Query{})])
}

// Codec seals and opens tokens. It is safe for concurrent use.
type Codec struct{ aead cipher.AEAD }

// KeySize is the length in bytes of a Codec's key.
const KeySize = chacha20poly1305.KeySize

// NewCodec returns a codec with a secret key, as seal.Ring.Derive gives it.
//
// The cipher is XChaCha20-Poly1305 and not AES-GCM: the key never changes and
// the nonces are random, so they have to be long ones.
func NewCodec(key []byte) (*Codec, error) {
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, fmt.Errorf("page token key: %w", err)
	}
	return &Codec{aead: aead}, nil
}

// format is the first byte of a token in clear. After it come the Query and
// the position.
const format = 1

// maxToken bounds what is decoded; the longest position is a kv key.
const maxToken = 4096

var encoding = b64.URL

// Start returns the position to go on behind, nil for the first page, and the
// size of the page, 1 to MaxSize. Its errors are Invalid: PAGE_SIZE_INVALID
// for a negative size, PAGE_TOKEN_INVALID for a token this server did not
// make, PAGE_TOKEN_MISMATCH for one of another query or caller.
func (c *Codec) Start(req Request, q Query) (after []byte, size int, err error) {
	if size, err = sizeOf(req.Size); err != nil || req.Token == "" {
		return nil, size, err
	}
	clear, ok := c.open(req.Token)
	if !ok {
		return nil, 0, errs.InvalidField("page_token", "PAGE_TOKEN_INVALID", "send the next_page_token of the last page as it came, or none for the first page")
	}
	if Query(clear[1:1+len(q)]) != q {
		return nil, 0, errs.InvalidField("page_token", "PAGE_TOKEN_MISMATCH", "the token belongs to another query; keep all fields but page_size while paging, or send no token")
	}
	return clear[1+len(q):], size, nil
}

// Next returns the token for the page behind the position last; "" when last
// is empty, which tells the client that there is no other page.
func (c *Codec) Next(q Query, last []byte) string {
	if len(last) == 0 {
		return ""
	}
	nonce := make([]byte, c.aead.NonceSize(), c.aead.NonceSize()+1+len(q)+len(last)+c.aead.Overhead())
	rand.Read(nonce) // never fails: crypto/rand ends the process instead
	clear := append(append([]byte{format}, q[:]...), last...)
	return encoding.EncodeToString(c.aead.Seal(nonce, nonce, clear, nil))
}

func (c *Codec) open(token string) ([]byte, bool) {
	if len(token) > maxToken {
		return nil, false
	}
	sealed, err := encoding.DecodeString(token)
	if err != nil || len(sealed) < c.aead.NonceSize() {
		return nil, false
	}
	nonce, box := sealed[:c.aead.NonceSize()], sealed[c.aead.NonceSize():]
	clear, err := c.aead.Open(nil, nonce, box, nil)
	ok := err == nil && len(clear) > 1+len(Query{}) && clear[0] == format
	return clear, ok
}

func sizeOf(size int32) (int, error) {
	switch {
	case size < 0:
		return 0, errs.InvalidField("page_size", "PAGE_SIZE_INVALID", fmt.Sprintf("send 1 to %d, or 0 for the default of %d", MaxSize, DefaultSize))
	case size == 0:
		return DefaultSize, nil
	}
	return min(int(size), MaxSize), nil
}
