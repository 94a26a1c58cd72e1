package session

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/b64"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
)

const (
	// codeLifetime is how long an app has to come for the tokens (RFC 6749 section
	// 4.1.2 allows ten minutes).
	codeLifetime = time.Minute
	// codeKept is how long a used code is remembered, to notice the one who comes
	// second.
	codeKept = time.Hour
	byOwner  = "account"
)

// codes is (hash of the code) -> AuthorizationCode. A code is a session that has
// not begun: what ends all sessions of an account ends its codes.
func codes() *kv.Table[*storev1.AuthorizationCode] {
	return kv.NewTable(kv.TableConfig[*storev1.AuthorizationCode]{
		Name: "authorization_codes",
		Key:  func(c *storev1.AuthorizationCode) kv.Key { return kv.Key{kv.Bytes(c.GetCodeHash())} },
		Indexes: []kv.Index[*storev1.AuthorizationCode]{{
			Name: byOwner,
			Keys: func(c *storev1.AuthorizationCode) []kv.Key { return []kv.Key{{kv.String(c.GetAccount())}} },
		}, {
			Name: byExpiry,
			Keys: func(c *storev1.AuthorizationCode) []kv.Key {
				return []kv.Key{{kv.Time(c.GetAuthTime().AsTime().Add(codeKept))}}
			},
		}},
	})
}

// NewCode returns a new authorization code, of at least 128 random bits.
func NewCode() string { return "ghc_" + rand.Text() }

func hashCode(code string) []byte {
	sum := sha256.Sum256([]byte(code))
	return sum[:]
}

// Promise keeps that an account let an app in, for the code, and records it. c
// has the app, the address, the challenge, the nonce and the scopes.
func (b *Book) Promise(tx *change.Tx, account, code string, c *storev1.AuthorizationCode, l Login) error {
	c.CodeHash, c.Account, c.AuthTime = hashCode(code), account, timestamppb.New(tx.Time)
	c.Factors, c.RemoteAddress, c.Label = l.Factors, l.Address, l.Device
	tx.Record(change.Change{Resource: account, ChangedFields: []string{"authorization"}})
	_, err := b.codes.Create(tx, c)
	return err
}

// Presented is what an app comes with for the tokens of a code.
type Presented struct {
	Code, Client, RedirectURI, Verifier string
}

// Redeem opens the session of a code under the id, which is a new one, and returns
// what the code was. When it returns replayed, the code was used before: the
// session that began with it is over, and that has to be committed (RFC 6749
// section 4.1.2). The error is Invalid (INVALID_GRANT), the same for all that is
// wrong with a code.
func (b *Book) Redeem(tx *change.Tx, id string, p Presented) (s *storev1.Session, c *storev1.AuthorizationCode, replayed bool, err error) {
	rec, found, err := b.codes.Find(tx, kv.Key{kv.Bytes(hashCode(p.Code))})
	if err != nil {
		return nil, nil, false, err
	}
	c = rec.Value
	if !found || c.GetClient() != p.Client {
		return nil, nil, false, GrantInvalid()
	}
	if c.GetSession() != "" {
		n, err := b.End(tx, c.GetSession())
		if n == 0 {
			tx.Unchanged()
		}
		return nil, c, true, err
	}
	sum := sha256.Sum256([]byte(p.Verifier))
	proven := subtle.ConstantTimeCompare([]byte(b64.URL.EncodeToString(sum[:])), []byte(c.GetCodeChallenge())) == 1
	if !proven || c.GetRedirectUri() != p.RedirectURI || !tx.Time.Before(c.GetAuthTime().AsTime().Add(codeLifetime)) {
		return nil, nil, false, GrantInvalid()
	}
	s, err = b.Open(tx, c.GetAccount(), id, Login{
		Device: c.GetLabel(), Address: c.GetRemoteAddress(), Factors: c.GetFactors(),
		Client: c.GetClient(), Scopes: c.GetScopes(), At: c.GetAuthTime().AsTime(),
	})
	if err != nil {
		return nil, nil, false, err
	}
	c.Session = s.GetName()
	_, err = b.codes.Update(tx, c, "")
	return s, c, false, err
}

// GrantInvalid is the one answer to every code that gives no tokens.
func GrantInvalid() *errs.Error {
	return errs.New(errs.Invalid, "INVALID_GRANT", "the code or the refresh token is not good, or is another client's")
}

// SweepCodes forgets codes that nobody comes with any more, at most limit of them,
// and returns how many there were.
func (b *Book) SweepCodes(tx kv.Tx, now time.Time, limit int) (int, error) {
	return b.codes.RemoveDue(tx, byExpiry, now, limit)
}
