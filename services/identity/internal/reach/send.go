package reach

import (
	"context"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/contact"
	"guildhall.dev/services/identity/internal/delivery"
	"guildhall.dev/services/identity/internal/message"
	"guildhall.dev/services/identity/internal/verification"
)

// RequestChange sends a code to the contact that the caller wants to be reached by.
// Whose it is now is not looked at. Errors are Precondition (ILLEGAL_STATE) for a
// program, Invalid (CONTACT_UNSUPPORTED), and Exhausted (CONTACT_CODES_THROTTLED).
func (d *Desk) RequestChange(ctx context.Context, caller authn.Caller, req *identityv1.RequestContactChangeRequest) (*identityv1.ContactVerification, error) {
	to := contact.Email(req.GetEmail())
	if req.GetEmail() == "" {
		to = contact.Phone(req.GetPhone())
	}
	return send(ctx, d, caller, req, func(a *storev1.Account) (contact.Contact, bool, error) {
		if to.Channel == message.SMS && account.StaffPattern.Matches(a.GetName()) {
			return to, false, errs.InvalidField("phone", "CONTACT_UNSUPPORTED", "members of staff are reached by mail alone")
		}
		return to, contact.On(a, to.Channel) != to, nil
	})
}

// SendVerification sends a code to a contact that the caller has. Errors are
// Precondition: ILLEGAL_STATE for a program, CONTACT_MISSING; and Exhausted
// (CONTACT_CODES_THROTTLED).
func (d *Desk) SendVerification(ctx context.Context, caller authn.Caller, req *identityv1.SendContactVerificationRequest) (*identityv1.ContactVerification, error) {
	return send(ctx, d, caller, req, func(a *storev1.Account) (contact.Contact, bool, error) {
		to := contact.On(a, req.GetChannel())
		if to.Target == "" {
			return to, false, errs.New(errs.Precondition, "CONTACT_MISSING", "there is no such contact to verify; send a new one with RequestContactChange")
		}
		return to, false, nil
	})
}

// send sends a code to the contact that choose returns for the caller's account; it
// says too whether the account is to be reached there only from then.
func send[Q proto.Message](ctx context.Context, d *Desk, caller authn.Caller, req Q, choose func(*storev1.Account) (contact.Contact, bool, error)) (*identityv1.ContactVerification, error) {
	code, err := verification.NewCode()
	if err != nil {
		return nil, err
	}
	out, err := change.Do(ctx, d.cfg.Journal, req, func(tx *change.Tx) (*identityv1.ContactVerification, error) {
		a, err := d.person(tx, caller)
		if err != nil {
			return nil, err
		}
		to, isChange, err := choose(a)
		if err != nil {
			return nil, err
		}
		ready, err := d.cfg.Outbox.Spend(tx, a.GetName(), tx.Time)
		if err != nil {
			return nil, err
		}
		if ready.After(tx.Time) {
			return nil, errs.New(errs.Exhausted, "CONTACT_CODES_THROTTLED", "too many codes were sent; use the last one, or come back later", errs.RetryAfter(ready.Sub(tx.Time)))
		}
		v, err := d.cfg.Verifications.Open(tx, a.GetName(), to, code, isChange)
		if err != nil {
			return nil, err
		}
		tx.Record(change.Change{Resource: a.GetName(), ChangedFields: []string{"contact_verification"}})
		_, err = d.cfg.Outbox.Enqueue(tx, delivery.Message{
			Account: a, To: to, Kind: message.ContactVerification, Values: message.Values{message.Code: code}, Expire: v.GetExpireTime().AsTime(),
		})
		return verification.View(v), err
	})
	switch {
	case err == nil:
		d.count(ctx, "made")
	case errs.Is(err, errs.Exhausted):
		d.count(ctx, "throttled")
	}
	return out, err
}
