package access

import (
	"time"

	"guildhall.dev/pkg/change"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/contact"
	"guildhall.dev/services/identity/internal/delivery"
	"guildhall.dev/services/identity/internal/message"
)

// noticeLife is how long it is of use to hear that something has happened.
const noticeLife = 3 * 24 * time.Hour

// sendInvitation sends the code of an invitation to the account's contact, if
// there is one to which something is sent. Then who made the invitation need not
// know the code, and does not, unless show says so: whoever knows it can be the
// account.
func (g *Gate) sendInvitation(tx *change.Tx, a *storev1.Account, i *identityv1.Invitation, show bool) error {
	d, err := g.cfg.Outbox.Enqueue(tx, delivery.Message{
		Account: a, Kind: message.Invitation, Values: message.Values{message.Code: i.GetCode()}, Expire: i.GetExpireTime().AsTime(),
	})
	if err != nil || d == nil {
		return err
	}
	i.Delivery = d.GetName()
	if d.GetState() != identityv1.Delivery_STATE_QUEUED {
		return nil
	}
	if !show {
		i.Code = ""
	}
	return g.cfg.Credentials.Sent(tx, a.GetName(), contact.Of(a).Folded(), !show)
}

// tellOfPassword tells an account that its password is another from now on (NIST
// SP 800-63B-4 section 4.6, OWASP ASVS 5.0 6.3.7), but not that it has one for the
// first time.
func (g *Gate) tellOfPassword(tx *change.Tx, a *storev1.Account) error {
	_, had, err := g.cfg.Credentials.Password(tx, a.GetName())
	if err != nil || !had {
		return err
	}
	_, err = g.cfg.Outbox.Enqueue(tx, delivery.Message{
		Account: a, Kind: message.PasswordChanged, Values: message.Values{message.Time: message.Moment(tx.Time)}, Expire: tx.Time.Add(noticeLife),
	})
	return err
}
