package account

import (
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
)

// Known returns the name of the organisation's customer with an external id. Errors
// are NotFound (CUSTOMER_NOT_FOUND) and Precondition (ILLEGAL_STATE) for a deleted
// one.
func (b *Book) Known(r kv.Reader, organization, externalID string) (string, error) {
	rec, found, err := b.customers.FindBy(r, byExternalID, kv.Key{kv.String(organization), kv.Personal(externalID)})
	switch {
	case err != nil:
		return "", err
	case !found:
		return "", errs.New(errs.NotFound, customerNotFound, "no customer has this external id; import the customers first")
	case deleted(rec.Value):
		return "", illegalState("the customer is deleted; undelete it first")
	}
	return rec.Value.GetName(), nil
}
