package credential

import (
	"crypto/rand"
	"crypto/sha256"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
)

// InvitationLifetime is how long an invitation can be accepted.
const InvitationLifetime = 7 * 24 * time.Hour

const byCode = "code"

// invitations is the table (account) -> Invitation: an account has one at
// most, so that a new one voids the one before.
func invitations() *kv.Table[*storev1.Invitation] {
	return kv.NewTable(kv.TableConfig[*storev1.Invitation]{
		Name: "invitations",
		Key:  func(i *storev1.Invitation) kv.Key { return kv.Key{kv.String(i.GetAccount())} },
		Indexes: []kv.Index[*storev1.Invitation]{{
			Name: byCode, Unique: true,
			Keys: func(i *storev1.Invitation) []kv.Key { return []kv.Key{{kv.Bytes(i.GetCodeHash())}} },
		}},
	})
}

// NewCode returns a new code for an invitation: at least 128 bits of
// randomness in 26 letters and digits that survive a phone call.
func NewCode() string { return rand.Text() }

// hashCode hashes a code the way people pass it on: case, spaces and hyphens
// do not count. The code is random, so neither salt nor a slow hash is needed.
func hashCode(code string) []byte {
	code = strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' || r == '\n' || r == '\t' {
			return -1
		}
		return r
	}, code)
	sum := sha256.Sum256([]byte(strings.ToUpper(code)))
	return sum[:]
}

// Invite opens an invitation with the code, in place of an open one.
func (b *Book) Invite(tx kv.Tx, account, code string, now time.Time) (expire time.Time, err error) {
	expire = now.Add(InvitationLifetime)
	_, err = b.invitations.Put(tx, &storev1.Invitation{
		Account: account, CodeHash: hashCode(code), ExpireTime: timestamppb.New(expire),
	}, "")
	return expire, err
}

// Sent notes where the code of an account's invitation was sent, folded, and whether
// nobody was shown it beside.
func (b *Book) Sent(tx kv.Tx, account, target string, unseen bool) error {
	_, err := b.invitations.Modify(tx, kv.Key{kv.String(account)}, "", func(i *storev1.Invitation) error {
		i.Target, i.Unseen = target, unseen
		return nil
	})
	return err
}

// Invited returns the invitation that a code is of: whom it invites, and where it
// was sent. The error is Unauthenticated (INVITATION_INVALID), the same for a code
// that never was, was used or voided, or has expired.
func (b *Book) Invited(r kv.Reader, code string, now time.Time) (*storev1.Invitation, error) {
	rec, ok, err := b.invitations.FindBy(r, byCode, kv.Key{kv.Bytes(hashCode(code))})
	if err != nil {
		return nil, err
	}
	if !ok || !now.Before(rec.Value.GetExpireTime().AsTime()) {
		return nil, InvitationInvalid()
	}
	return rec.Value, nil
}

// VoidSentTo removes an account's invitation and its reset if their codes were sent
// to the folded target.
func (b *Book) VoidSentTo(tx kv.Tx, account, target string) error {
	k := kv.Key{kv.String(account)}
	invitation, found, err := b.invitations.Find(tx, k)
	if err == nil && found && invitation.Value.GetTarget() == target {
		err = b.VoidInvitation(tx, account)
	}
	if err != nil {
		return err
	}
	reset, found, err := b.resets.Find(tx, k)
	if err == nil && found && reset.Value.GetTarget() == target {
		err = b.VoidReset(tx, account)
	}
	return err
}

// InvitationInvalid is the one answer to every code that lets nobody in.
func InvitationInvalid() *errs.Error {
	return errs.New(errs.Unauthenticated, "INVITATION_INVALID", "the invitation is not valid any more; ask for a new one")
}

// VoidInvitation removes an account's invitation, if it has one.
func (b *Book) VoidInvitation(tx kv.Tx, account string) error {
	_, err := b.invitations.Remove(tx, kv.Key{kv.String(account)})
	return err
}
