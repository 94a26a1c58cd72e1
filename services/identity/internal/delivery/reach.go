package delivery

import (
	"guildhall.dev/pkg/kv"
	"guildhall.dev/services/identity/internal/contact"
)

// Suppressed reports whether an organisation sends nothing to a contact: messages to
// it bounced, or somebody complained.
func (b *Book) Suppressed(r kv.Reader, organization string, to contact.Contact) (bool, error) {
	_, found, err := b.suppressions.Find(r, key(suppressionName(organization, b.hash(to))))
	return found, err
}
