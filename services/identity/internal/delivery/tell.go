package delivery

import (
	"time"

	"guildhall.dev/pkg/change"
	"guildhall.dev/services/identity/internal/contact"
)

// NewsLife is how long it is of use to hear that something has happened.
const NewsLife = 3 * 24 * time.Hour

// Tell tells an account what was done to it (NIST SP 800-63B-4 section 4.6, OWASP
// ASVS 5.0 6.3.7): by all contacts that were proven to be its owner's, so that who
// reads one of them cannot keep it from the owner, and not by one that somebody else
// has written down since. Of an account that has proven none it is where the account
// is reached: better heard by chance than not at all, and there is no secret in it.
//
// The message says neither where it goes nor, unless it is not NewsLife, until when
// it is of use.
func (b *Book) Tell(tx *change.Tx, m Message) error {
	if m.Expire.IsZero() {
		m.Expire = tx.Time.Add(NewsLife)
	}
	to := contact.Proven(m.Account)
	if len(to) == 0 {
		to = []contact.Contact{contact.Of(m.Account)} // none at all is told nothing
	}
	for _, m.To = range to {
		if _, err := b.Enqueue(tx, m); err != nil {
			return err
		}
	}
	return nil
}
