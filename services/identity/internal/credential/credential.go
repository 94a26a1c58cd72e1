// Package credential is how accounts prove who they are: passwords, the
// invitations by which they are first set, and the codes by which they are set anew
// when they were forgotten.
//
// Passwords are hashed with argon2id in a bounded pool, checked against what
// is easily guessed, and kept apart from the accounts they belong to, so that
// nothing that lists or exports accounts ever holds a hash. The package knows
// neither accounts nor sessions: who may log in is decided elsewhere.
package credential

import (
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
)

// Book keeps the passwords of accounts, and the codes with which they are set, by
// the account's name. It is safe for concurrent use.
type Book struct {
	passwords   *kv.Table[*storev1.Credential]
	invitations *kv.Table[*storev1.Invitation]
	resets      *kv.Table[*storev1.PasswordReset]
	requests    *kv.Table[*storev1.PasswordResetRequest]
}

// New returns a book.
func New() *Book {
	return &Book{passwords: passwords(), invitations: invitations(), resets: resets(), requests: requests()}
}

// Tables returns the raw tables of a book.
func (b *Book) Tables() []string {
	return slices.Concat(b.passwords.Tables(), b.invitations.Tables(), b.resets.Tables(), b.requests.Tables())
}

// passwords is the table (account) -> Credential.
func passwords() *kv.Table[*storev1.Credential] {
	return kv.NewTable(kv.TableConfig[*storev1.Credential]{
		Name: "credentials",
		Key:  func(c *storev1.Credential) kv.Key { return kv.Key{kv.String(c.GetAccount())} },
	})
}

// Password returns an account's password and whether it has one.
func (b *Book) Password(r kv.Reader, account string) (*storev1.Credential, bool, error) {
	rec, ok, err := b.passwords.Find(r, kv.Key{kv.String(account)})
	if err != nil || !ok {
		return nil, false, err
	}
	return rec.Value, true, nil
}

// Secret is a password to store.
type Secret struct {
	Hash string
	// MustChange says that it is for one login.
	MustChange bool
	// NeedsFactor says that it is good only beside a second factor, by its length
	// or by how easily it is guessed.
	NeedsFactor bool
	// Contact is how the account is reached now: see Credential.contact.
	Contact string
}

// SetPassword stores an account's new password and voids its invitation and its
// reset.
func (b *Book) SetPassword(tx kv.Tx, account string, s Secret, now time.Time) error {
	_, err := b.passwords.Put(tx, &storev1.Credential{
		Account: account, PasswordHash: s.Hash, MustChange: s.MustChange, NeedsFactor: s.NeedsFactor, Contact: s.Contact, UpdateTime: timestamppb.New(now),
	}, "")
	if err != nil {
		return err
	}
	return b.voidCodes(tx, account)
}

// Follow is for an account whose owner is reached at another folded contact from now
// on: codes that set a new password go there, and not to the one before, whoever
// makes that the account's again.
func (b *Book) Follow(tx kv.Tx, account, from, to string) error {
	c, found, err := b.Password(tx, account)
	if err != nil || !found || from == to || c.GetContact() != from {
		return err
	}
	c.Contact = to
	_, err = b.passwords.Update(tx, c, "")
	return err
}

// Rehash replaces the hash of a password that stays the same.
func (b *Book) Rehash(tx kv.Tx, account, hash string) error {
	_, err := b.passwords.Modify(tx, kv.Key{kv.String(account)}, "", func(c *storev1.Credential) error {
		c.PasswordHash = hash
		return nil
	})
	return err
}

// StandAlone is for an account that has lost its second factor: a password
// that needs one is good for one more login from then, in which a better one is set.
func (b *Book) StandAlone(tx kv.Tx, account string) error {
	c, found, err := b.Password(tx, account)
	if err != nil || !found || !c.GetNeedsFactor() {
		return err
	}
	c.MustChange = true
	_, err = b.passwords.Update(tx, c, "")
	return err
}

// VoidPassword removes an account's password, if it has one, and voids its reset:
// only a password that is there can be forgotten.
func (b *Book) VoidPassword(tx kv.Tx, account string) error {
	if _, err := b.passwords.Remove(tx, kv.Key{kv.String(account)}); err != nil {
		return err
	}
	return b.VoidReset(tx, account)
}

// voidCodes removes all with which an account's password could be set.
func (b *Book) voidCodes(tx kv.Tx, account string) error {
	if err := b.VoidInvitation(tx, account); err != nil {
		return err
	}
	return b.VoidReset(tx, account)
}

// Purge removes all that the book holds of an account.
func (b *Book) Purge(tx kv.Tx, account string) error {
	if err := b.VoidPassword(tx, account); err != nil {
		return err
	}
	return b.VoidInvitation(tx, account)
}
