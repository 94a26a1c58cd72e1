package access

import (
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	"guildhall.dev/services/identity/internal/contact"
	"guildhall.dev/services/identity/internal/segment"
)

// trusted returns the contacts of an account to which a code for a new password may
// go, mail first: those that were proven to be its owner's, and the one where it
// was reached when its password was set. Many may edit a contact who must not take
// the account by it; who invites the account anew may.
func (g *Gate) trusted(r kv.Reader, a *storev1.Account) (out []contact.Contact, err error) {
	password, found, err := g.cfg.Credentials.Password(r, a.GetName())
	if err != nil || !found {
		return nil, err
	}
	for _, c := range contact.All(a) {
		if contact.Verified(a, c.Channel) || c.Folded() == password.GetContact() {
			out = append(out, c)
		}
	}
	return out, nil
}

// at returns the contact of several that a folded target is, and whether there is
// one.
func at(all []contact.Contact, target string) (contact.Contact, bool) {
	for _, c := range all {
		if c.Folded() == target {
			return c, true
		}
	}
	return contact.Contact{}, false
}

// proved notes that somebody has brought the code that was sent to a folded target
// and shown to nobody: the contact is theirs.
func (g *Gate) proved(tx *change.Tx, a *storev1.Account, target string, permit segment.Permit) error {
	c, found := at(contact.All(a), target)
	if !found {
		return nil
	}
	_, _, err := g.cfg.Accounts.Prove(tx, a.GetName(), c, permit)
	return err
}
