package clientkey

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
)

// ErrUnproven says that what a client showed proves nothing. It wraps why, for
// the log: the client is told no more.
var ErrUnproven = errors.New("clientkey: the client has not proven who it is")

func unproven(why string) error { return errors.Join(ErrUnproven, errors.New(why)) }

const (
	// maxAssertion bounds an assertion before anything of it is parsed.
	maxAssertion = 8 << 10
	// longestAssertion is how far ahead an assertion may expire. Its id is
	// remembered for so long.
	longestAssertion = 10 * time.Minute
	maxAssertionID   = 200
)

// BySecret returns the key of a client whose secret is shown. The error is
// ErrUnproven.
func (b *Book) BySecret(r kv.Reader, client, secret string, now time.Time) (*storev1.ClientKey, error) {
	keys, err := b.all(r, client)
	if err != nil {
		return nil, err
	}
	shown := hash(secret)
	for _, k := range keys {
		if subtle.ConstantTimeCompare(shown, k.GetSecretHash()) == 1 && good(k, now) {
			return k, nil
		}
	}
	return nil, unproven("no key of the client has the secret")
}

// Assertion is a JWT by which a client proves itself (RFC 7523 section 3).
type Assertion struct {
	signed *jose.JSONWebSignature
	claims jwt.Claims
}

// ParseAssertion reads an assertion; nothing of it is proven. The error is
// ErrUnproven.
func ParseAssertion(text string) (*Assertion, error) {
	if len(text) > maxAssertion {
		return nil, unproven("the assertion is too long")
	}
	signed, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.EdDSA, jose.ES256, jose.PS256, jose.RS256})
	if err != nil {
		return nil, errors.Join(ErrUnproven, err)
	}
	a := &Assertion{signed: signed}
	if err := json.Unmarshal(signed.UnsafePayloadWithoutVerification(), &a.claims); err != nil {
		return nil, errors.Join(ErrUnproven, err)
	}
	// Another JWT that the client signed must not pass for one (RFC 8725 section
	// 3.11).
	switch typ, _ := signed.Signatures[0].Protected.ExtraHeaders[jose.HeaderType].(string); {
	case typ == "", strings.EqualFold(typ, "JWT"), strings.EqualFold(typ, "client-authentication+jwt"):
		return a, nil
	}
	return nil, unproven("the assertion is of another type")
}

// Client returns who the assertion says it is of.
func (a *Assertion) Client() string { return a.claims.Subject }

// ByAssertion returns the key of a client that signed an assertion for one of the
// audiences, and notes its id: it is good once. The error is ErrUnproven.
func (b *Book) ByAssertion(tx kv.Tx, client string, a *Assertion, audiences []string, now time.Time) (*storev1.ClientKey, error) {
	if err := a.check(client, audiences, now); err != nil {
		return nil, err
	}
	k, err := b.signer(tx, client, a, now)
	if err != nil {
		return nil, err
	}
	once := &storev1.UsedAssertion{
		Client: client, IdHash: hash(a.claims.ID), ExpireTime: timestamppb.New(a.claims.Expiry.Time().Add(authn.Skew)),
	}
	_, found, err := b.used.Find(tx, b.used.KeyOf(once))
	if err != nil {
		return nil, err
	}
	if found {
		return nil, unproven("the assertion was used before")
	}
	_, err = b.used.Create(tx, once)
	return k, err
}

// check holds the claims to RFC 7523 section 3 and, of audiences, to its
// successor: an assertion for two servers could be used by one at the other.
func (a *Assertion) check(client string, audiences []string, now time.Time) error {
	c := a.claims
	switch {
	case c.Issuer != client || c.Subject != client:
		return unproven("the assertion is of another client")
	case len(c.Audience) != 1 || !slices.Contains(audiences, c.Audience[0]):
		return unproven("the assertion is for somebody else")
	case c.Expiry == nil || !now.Before(c.Expiry.Time().Add(authn.Skew)):
		return unproven("the assertion has expired, or never does")
	case c.Expiry.Time().Sub(now) > longestAssertion:
		return unproven("the assertion lives too long")
	case c.NotBefore != nil && now.Add(authn.Skew).Before(c.NotBefore.Time()),
		c.IssuedAt != nil && now.Add(authn.Skew).Before(c.IssuedAt.Time()):
		return unproven("the assertion is of the future")
	case c.ID == "" || len(c.ID) > maxAssertionID:
		return unproven("the assertion has no id, or one that is too long")
	}
	return nil
}

// signer finds the key that signed: the one that the header names, or any when it
// names none that is known.
func (b *Book) signer(r kv.Reader, client string, a *Assertion, now time.Time) (*storev1.ClientKey, error) {
	keys, err := b.all(r, client)
	if err != nil {
		return nil, err
	}
	header := a.signed.Signatures[0].Protected
	for _, k := range keys {
		if k.GetPublicJwk() == "" || !good(k, now) {
			continue
		}
		var public jose.JSONWebKey
		if err := json.Unmarshal([]byte(k.GetPublicJwk()), &public); err != nil {
			return nil, err
		}
		if named := header.KeyID; named != "" && public.KeyID != "" && named != public.KeyID && named != idOf(k.GetName()) {
			continue
		}
		if !slices.Contains(algorithms(public.Key), jose.SignatureAlgorithm(header.Algorithm)) {
			continue
		}
		if _, err := a.signed.Verify(public.Key); err == nil {
			return k, nil
		}
	}
	return nil, unproven("no key of the client signed the assertion")
}

// used is (client, id) -> UsedAssertion.
func used() *kv.Table[*storev1.UsedAssertion] {
	return kv.NewTable(kv.TableConfig[*storev1.UsedAssertion]{
		Name: "used_assertions",
		Key: func(u *storev1.UsedAssertion) kv.Key {
			return kv.Key{kv.String(u.GetClient()), kv.Bytes(u.GetIdHash())}
		},
		Indexes: []kv.Index[*storev1.UsedAssertion]{{
			Name: byExpiry,
			Keys: func(u *storev1.UsedAssertion) []kv.Key { return []kv.Key{{kv.Time(u.GetExpireTime().AsTime())}} },
		}},
	})
}

// SweepAssertions forgets assertions that are refused for their age, at most
// limit of them, and returns how many there were.
func (b *Book) SweepAssertions(tx kv.Tx, now time.Time, limit int) (int, error) {
	return b.used.RemoveDue(tx, byExpiry, now, limit)
}
