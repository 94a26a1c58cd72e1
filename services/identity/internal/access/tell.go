package access

import (
	"slices"
	"strings"

	"guildhall.dev/pkg/change"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/contact"
	"guildhall.dev/services/identity/internal/delivery"
	"guildhall.dev/services/identity/internal/factor"
	"guildhall.dev/services/identity/internal/message"
)

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

// tellOfPassword tells an account that its password is another from now on, but not
// that it has one for the first time.
func (g *Gate) tellOfPassword(tx *change.Tx, a *storev1.Account) error {
	_, had, err := g.cfg.Credentials.Password(tx, a.GetName())
	if err != nil || !had {
		return err
	}
	return g.cfg.Outbox.Tell(tx, delivery.Message{
		Account: a, Kind: message.PasswordChanged, Values: message.Values{message.Time: message.Moment(tx.Time)},
	})
}

// tellOfFactors tells an account what has become of its factors. Of those that were
// added or removed it says what they are, as message.FactorName has it; of recovery
// codes that is "".
func (g *Gate) tellOfFactors(tx *change.Tx, account string, kind identityv1.MessageKind, what string) error {
	rec, err := g.cfg.Accounts.Get(tx, account)
	if err != nil {
		return err
	}
	values := message.Values{message.Time: message.Moment(tx.Time)}
	if what != "" {
		values[message.Factor] = what
	}
	return g.cfg.Outbox.Tell(tx, delivery.Message{Account: rec.Value, Kind: kind, Values: values})
}

// typeName is what a factor is, for tellOfFactors.
func typeName(f *identityv1.Factor) string {
	return strings.TrimPrefix(f.GetType().String(), "FACTOR_TYPE_")
}

// prove has a factor proven, and tells its owner when that was by a recovery code:
// somebody has lost a factor, or has found a sheet of paper.
func (g *Gate) prove(tx *change.Tx, account string, p factor.Proof) ([]string, error) {
	methods, err := g.cfg.Factors.Prove(tx, account, p)
	if err != nil || !slices.Contains(methods, factor.Recovery) {
		return methods, err
	}
	return methods, g.tellOfFactors(tx, account, message.RecoveryCodeUsed, "")
}
