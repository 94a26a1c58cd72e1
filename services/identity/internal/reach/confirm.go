package reach

import (
	"context"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/contact"
	"guildhall.dev/services/identity/internal/delivery"
	"guildhall.dev/services/identity/internal/message"
	"guildhall.dev/services/identity/internal/segment"
	"guildhall.dev/services/identity/internal/verification"
)

// Confirm takes a code back: the contact that it was sent to is the caller's and
// verified. It reports whether the account may have joined or left segments by it.
// Errors are Precondition (ILLEGAL_STATE) for a program, Invalid (CODE_INVALID), and
// Exists (EMAIL_TAKEN, PHONE_TAKEN), which leaves the code as it is.
func (d *Desk) Confirm(ctx context.Context, caller authn.Caller, req *identityv1.ConfirmContactRequest) (out *identityv1.Contact, moved bool, err error) {
	moved = true // a retry cannot tell
	out, err = change.Do(ctx, d.cfg.Journal, req, func(tx *change.Tx) (*identityv1.Contact, error) {
		moved = false
		if _, err := d.person(tx, caller); err != nil {
			return nil, err
		}
		v, err := d.cfg.Verifications.Redeem(tx, caller.Name, req.GetChannel(), req.GetCode(), tx.Time)
		if err != nil {
			return nil, err
		}
		if v == nil {
			// The guess is counted, which an error would undo. So no contact is what
			// says that it was one, also to a retry.
			tx.Unchanged()
			return &identityv1.Contact{}, nil
		}
		return d.settle(tx, v, segment.Note(&moved))
	})
	switch {
	case err != nil:
		return nil, false, taken(err)
	case out.GetChannel() != req.GetChannel():
		d.count(ctx, "wrong")
		return nil, false, verification.CodeInvalid()
	}
	d.count(ctx, "right")
	return out, moved, nil
}

// settle makes what a code has proven so.
func (d *Desk) settle(tx *change.Tx, v *storev1.ContactVerification, permit segment.Permit) (*identityv1.Contact, error) {
	to := contact.Contact{Channel: v.GetChannel(), Target: v.GetTarget()}
	was, is, err := d.cfg.Accounts.Prove(tx, v.GetAccount(), to, permit)
	if err != nil {
		return nil, err
	}
	if !contact.Same(was, is, to.Channel) {
		if err := d.tell(tx, was, is, to); err != nil {
			return nil, err
		}
	}
	return view(is, to.Channel), nil
}

// tell tells all contacts of before and the new one of it (NIST SP 800-63B-4 section
// 4.6): who has taken a session, and a contact by it, cannot keep that from who had
// it. Each is a message of its own, which the others neither replace nor suppress.
func (d *Desk) tell(tx *change.Tx, was, is *storev1.Account, to contact.Contact) error {
	for _, c := range append(contact.All(was), to) {
		if _, err := d.cfg.Outbox.Enqueue(tx, delivery.Message{
			Account: is, To: c, Kind: message.ContactChanged, Expire: tx.Time.Add(delivery.NewsLife),
			Values: message.Values{message.Time: message.Moment(tx.Time), message.Contact: to.Hint()},
		}); err != nil {
			return err
		}
	}
	return nil
}

// taken words the refusal of a contact that another account has, for somebody who
// has proven to be reached there.
func taken(err error) error {
	if !errs.Is(err, errs.Exists) {
		return err
	}
	return errs.New(errs.Exists, errs.ReasonOf(err), "another account is reached there; log in with that one, or have it changed first")
}
