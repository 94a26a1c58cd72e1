// Package clientkey keeps what programs prove themselves with: the keys of
// service accounts and of apps.
//
// A key is a secret that is made here and shown once, or the public half of a
// pair whose private half never comes here. It is good from the moment it is
// made:
//
//	create ──▶ GOOD ──expire_time──▶ EXPIRED ──a month──▶ no key
//	            │ │                    ▲  │
//	            │ └─rotate: a new key ─┘  │
//	            │   beside it, and an     │ revoke
//	            │   expire_time for it    ▼
//	            └────────revoke────────▶ no key
//
// Secrets are hashed with SHA-256 and not with argon2: a slow hash makes it
// costly to guess what people choose, and nobody guesses 256 random bits. It
// would only cost at each token that a program asks for.
//
// Tokens that a service account has for a key carry the key's id and its
// generation as their session. So the end of a key, and of all tokens that were
// had for it, is the end of a session, which service permission makes true
// everywhere at once. Who may have tokens is not asked here.
package clientkey

import (
	"crypto/sha256"
	"strings"
	"time"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	"guildhall.dev/services/identity/internal/standing"
)

// The forms of the names of keys.
const (
	servicePattern = resource.Pattern("organizations/{organization}/serviceAccounts/{service_account}/clientKeys/{client_key}")
	appPattern     = resource.Pattern("organizations/{organization}/oauthClients/{oauth_client}/clientKeys/{client_key}")
)

// Types of events about keys.
const (
	CreatedType = "guildhall.identity.client_key.created.v1"
	RotatedType = "guildhall.identity.client_key.rotated.v1"
	RevokedType = "guildhall.identity.client_key.revoked.v1"
)

// Limits of keys.
const (
	// Most is how many keys of a client are good at once.
	Most = 10
	// DefaultOverlap is how long a key is good beside the one that takes its
	// place.
	DefaultOverlap = 24 * time.Hour
	// longest is how far ahead a key can expire.
	longest = 5 * 366 * 24 * time.Hour
	// keptFor is how long an expired key is shown.
	keptFor = 30 * 24 * time.Hour
)

// Book keeps the keys of all clients. It is safe for concurrent use.
type Book struct {
	table    *kv.Table[*storev1.ClientKey]
	used     *kv.Table[*storev1.UsedAssertion]
	standing *standing.Book
}

// New returns a book. The standing hears of tokens that end before their time.
func New(s *standing.Book) *Book { return &Book{table: table(), used: used(), standing: s} }

// Tables returns the raw tables of a book.
func (b *Book) Tables() []string { return append(b.table.Tables(), b.used.Tables()...) }

const byExpiry = "expiry"

// table is (client, key) -> ClientKey.
func table() *kv.Table[*storev1.ClientKey] {
	return kv.NewTable(kv.TableConfig[*storev1.ClientKey]{
		Name: "client_keys", NotFound: notFound, Exists: "CLIENT_KEY_EXISTS",
		Key: func(k *storev1.ClientKey) kv.Key { return key(k.GetName()) },
		Indexes: []kv.Index[*storev1.ClientKey]{{
			Name: byExpiry,
			Keys: func(k *storev1.ClientKey) []kv.Key {
				if k.GetExpireTime() == nil {
					return nil
				}
				return []kv.Key{{kv.Time(k.GetExpireTime().AsTime())}}
			},
		}},
	})
}

const notFound = "CLIENT_KEY_NOT_FOUND"

func key(name string) kv.Key { return kv.Key{kv.String(ClientOf(name)), kv.String(name)} }

// CheckName checks that a name is a key's. The error is Invalid on the field.
func CheckName(field, name string) error {
	if servicePattern.Matches(name) || appPattern.Matches(name) {
		return nil
	}
	return errs.InvalidField(field, resource.Reason,
		"send the name of a key, as in organizations/acme/serviceAccounts/ci/clientKeys/k1")
}

// collection stands between a client's name and a key's id.
const collection = "/clientKeys/"

// Name returns the name of a client's key.
func Name(client, id string) string { return client + collection + id }

// ClientOf returns the client of a key's name.
func ClientOf(name string) string {
	client, _, _ := strings.Cut(name, collection)
	return client
}

func idOf(name string) string {
	_, id, _ := strings.Cut(name, collection)
	return id
}

// Get returns a key. The error is NotFound (CLIENT_KEY_NOT_FOUND).
func (b *Book) Get(r kv.Reader, name string) (*storev1.ClientKey, error) {
	rec, found, err := b.table.Find(r, key(name))
	if err == nil && !found {
		err = errs.NotFoundName(notFound, name)
	}
	return rec.Value, err
}

// List returns a page of a client's keys, by name, and where to go on behind it,
// nil at the end.
func (b *Book) List(r kv.Reader, client string, after []byte, limit int) ([]*storev1.ClientKey, []byte, error) {
	page, err := b.table.List(r, kv.Query{Prefix: kv.Key{kv.String(client)}, After: after, Limit: limit})
	out := make([]*storev1.ClientKey, len(page.Records))
	for i, rec := range page.Records {
		out[i] = rec.Value
	}
	return out, page.Next, err
}

// all returns all keys of a client: some that are good, and those that expired
// in the last month.
func (b *Book) all(r kv.Reader, client string) (out []*storev1.ClientKey, err error) {
	for rec, err := range b.table.Scan(r, kv.Query{Prefix: kv.Key{kv.String(client)}}) {
		if err != nil {
			return nil, err
		}
		out = append(out, rec.Value)
	}
	return out, nil
}

// good reports whether a key proves anything at the time.
func good(k *storev1.ClientKey, now time.Time) bool {
	return k.GetExpireTime() == nil || now.Before(k.GetExpireTime().AsTime())
}

func hash(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}
