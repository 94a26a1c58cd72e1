package hold

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/shift"
)

// Kind is how holds come to keep another customer's data. Where that counts, Recount
// says, when all have moved.
func (b *Book) Kind() shift.Kind {
	return shift.Rows[*identityv1.LegalHold]{
		Name: "legal_holds", Table: b.table,
		Of: func(customer string) kv.Query {
			return kv.Query{Index: byCustomer, Prefix: kv.Key{kv.String(customer), kv.String("")}}
		},
		Stub: func(name string, _ *timestamppb.Timestamp) *identityv1.LegalHold {
			return &identityv1.LegalHold{Name: name}
		},
		Whose: (*identityv1.LegalHold).GetCustomer,
		Give:  func(h *identityv1.LegalHold, _, to string) { h.Customer = to },
	}.Kind()
}

// Recount keeps where it counts whether a customer is held, by the holds that it has.
// Of a customer that is gone it keeps nothing.
func (b *Book) Recount(tx *change.Tx, customer string) error {
	q := inForce(customer)
	q.Limit = 1
	n, err := b.table.Count(tx, q)
	if err != nil {
		return err
	}
	if err := b.accounts.Held(tx, customer, n > 0); err != nil {
		return err
	}
	return b.requests.SetHeld(tx, customer, n > 0)
}
