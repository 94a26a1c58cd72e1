// Package verification keeps the codes that prove a contact: that who gives one
// back has read what was sent to an address or a number.
//
// An account has one code at most for each channel:
//
//	            Open                 Redeem, the right code
//	(none) ─────────────▶ OPEN ──────────────────────────────▶ (none), proven
//	  ▲                   │  ▲ │ a wrong code, up to the fourth
//	  │                   │  └─┘
//	  │                   │
//	  └───────────────────┘ the fifth wrong code; 15 minutes; Void: another
//	                        contact, the end of the account
//
// To open another is to void the one before. A code is short, so that it can be
// typed from a phone: it opens nothing by itself, only the account itself can give
// it back, and it is stored as a keyed hash.
//
// Whose contact is whose, and what follows from a proof, is decided elsewhere.
package verification

import (
	"crypto/hmac"
	"crypto/rand"
	"fmt"
	"math/big"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/contact"
)

const (
	// Lifetime is how long a code can be given back.
	Lifetime = 15 * time.Minute
	// mostWrong is the wrong code that voids the right one. One in twenty million
	// guesses right then.
	mostWrong = 5
	// digits is how long a code is.
	digits = 8
)

const byExpiry = "expiry"

// Book keeps the codes. It is safe for concurrent use.
type Book struct {
	hasher kv.Hasher
	table  *kv.Table[*storev1.ContactVerification]
}

// New returns a book, whose codes the hasher hides.
func New(hasher kv.Hasher) *Book {
	// (account, channel) -> ContactVerification
	return &Book{hasher: hasher, table: kv.NewTable(kv.TableConfig[*storev1.ContactVerification]{
		Name: "contact_verifications",
		Key:  func(v *storev1.ContactVerification) kv.Key { return key(v.GetAccount(), v.GetChannel()) },
		Indexes: []kv.Index[*storev1.ContactVerification]{{
			Name: byExpiry,
			Keys: func(v *storev1.ContactVerification) []kv.Key { return []kv.Key{{kv.Time(v.GetExpireTime().AsTime())}} },
		}},
	})}
}

// Tables returns the raw tables of a book.
func (b *Book) Tables() []string { return b.table.Tables() }

func key(account string, channel identityv1.MessageChannel) kv.Key {
	return kv.Key{kv.String(account), kv.Uint64(uint64(channel))}
}

// NewCode returns a new code of eight digits.
func NewCode() (string, error) {
	n, err := rand.Int(rand.Reader, new(big.Int).Exp(big.NewInt(10), big.NewInt(digits), nil))
	if err != nil {
		return "", fmt.Errorf("verification: a code: %w", err)
	}
	return fmt.Sprintf("%0*d", digits, n), nil
}

// hash hides a code of an account, as people type it: spaces and hyphens do not
// count, and digits of full width are digits.
func (b *Book) hash(account, code string) []byte {
	code = strings.Map(func(r rune) rune {
		switch {
		case r == ' ' || r == '-' || r == '\n' || r == '\t':
			return -1
		case r >= '０' && r <= '９':
			return r - '０' + '0'
		}
		return r
	}, code)
	return b.hasher.Hash("identity contact code", []byte(account+"\x00"+code))
}

// Open opens a code for where an account is reached, or, when it is a change, is to
// be reached; in place of one of the channel that is open.
func (b *Book) Open(tx *change.Tx, account string, to contact.Contact, code string, isChange bool) (*storev1.ContactVerification, error) {
	v := &storev1.ContactVerification{
		Account: account, Channel: to.Channel, Target: to.Target, CodeHash: b.hash(account, code), Change: isChange,
		CreateTime: timestamppb.New(tx.Time), ExpireTime: timestamppb.New(tx.Time.Add(Lifetime)),
	}
	_, err := b.table.Put(tx, v, "")
	return v, err
}

// Redeem takes a code back. It returns what it proves, which is not open any more,
// or nil for a code that is none: that never was, was used, is void or has expired.
// A wrong one is counted, which the caller must not undo.
func (b *Book) Redeem(tx kv.Tx, account string, channel identityv1.MessageChannel, code string, now time.Time) (*storev1.ContactVerification, error) {
	rec, found, err := b.table.Find(tx, key(account, channel))
	if err != nil || !found || !now.Before(rec.Value.GetExpireTime().AsTime()) {
		return nil, err
	}
	if hmac.Equal(rec.Value.GetCodeHash(), b.hash(account, code)) {
		_, err := b.table.Remove(tx, key(account, channel))
		return rec.Value, err
	}
	v := proto.CloneOf(rec.Value)
	v.FailedCount++
	if v.GetFailedCount() >= mostWrong {
		_, err = b.table.Remove(tx, key(account, channel))
	} else {
		_, err = b.table.Update(tx, v, "")
	}
	return nil, err
}

// CodeInvalid is the one answer to every code that proves nothing.
func CodeInvalid() *errs.Error {
	return errs.InvalidField("code", "CODE_INVALID", "the code is not right or not valid any more; after five wrong ones ask for a new one")
}

// List returns what is open of an account, mail first.
func (b *Book) List(r kv.Reader, account string, now time.Time) (out []*storev1.ContactVerification, err error) {
	for rec, err := range b.table.Scan(r, kv.Query{Prefix: kv.Key{kv.String(account)}}) {
		if err != nil {
			return nil, err
		}
		if now.Before(rec.Value.GetExpireTime().AsTime()) {
			out = append(out, rec.Value)
		}
	}
	return out, nil
}

// View returns the API's view of a code that is open.
func View(v *storev1.ContactVerification) *identityv1.ContactVerification {
	sent := contact.Contact{Channel: v.GetChannel(), Target: v.GetTarget()}
	return &identityv1.ContactVerification{
		Channel: v.GetChannel(), TargetHint: sent.Hint(), Change: v.GetChange(), CreateTime: v.GetCreateTime(), ExpireTime: v.GetExpireTime(),
	}
}
