package account

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	"guildhall.dev/services/identity/internal/contact"
	"guildhall.dev/services/identity/internal/segment"
)

// Prove makes an address or a number that an account's owner has shown to be theirs
// the account's, and verified, and records that; it was either before. It returns
// what the account was and is. Errors are NotFound, Precondition (ILLEGAL_STATE) for
// a deleted account, and Exists (EMAIL_TAKEN, PHONE_TAKEN).
func (b *Book) Prove(tx *change.Tx, name string, c contact.Contact, permit segment.Permit) (was, is *storev1.Account, err error) {
	old, err := b.changeable(tx, name, "")
	if err != nil {
		return nil, nil, err
	}
	now := proto.CloneOf(old.Value)
	contact.Set(now, c)
	if !contact.Verified(now, c.Channel) || !contact.Same(old.Value, now, c.Channel) {
		contact.SetVerified(now, c.Channel, timestamppb.New(tx.Time))
	}
	rec, err := b.update(tx, old, now, manner{permit: permit})
	if err != nil {
		return nil, nil, err
	}
	before := contact.On(old.Value, c.Channel).Folded()
	return old.Value, rec.Value, b.cfg.Credentials.Follow(tx, name, before, c.Folded())
}

// unprove takes the proof off contacts that somebody else has changed: nobody has
// shown the new ones to be theirs. How an address is spelled is no change of it.
func unprove(old, now *storev1.Account) {
	for _, channel := range contact.Channels() {
		if !contact.Same(old, now, channel) {
			contact.SetVerified(now, channel, nil)
		}
	}
}

// followContacts voids what was sent to contacts that the account does not have any
// more, and what was to prove others in their place: codes that open the account
// must not stay with who is not there now.
func (b *Book) followContacts(tx *change.Tx, old, now *storev1.Account) error {
	for _, channel := range contact.Channels() {
		if contact.Same(old, now, channel) {
			continue
		}
		if err := b.cfg.Verifications.Void(tx, now.GetName(), channel); err != nil {
			return err
		}
		before := contact.On(old, channel)
		if before.Target == "" {
			continue
		}
		if err := b.cfg.Credentials.VoidSentTo(tx, now.GetName(), before.Folded()); err != nil {
			return err
		}
		if err := b.cfg.Outbox.Withdraw(tx, now.GetName(), before); err != nil {
			return err
		}
	}
	return nil
}
