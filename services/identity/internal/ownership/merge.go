package ownership

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/kv"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/shift"
)

// Kinds are how the periods of a customer, all of which have ended, become part of the
// history of another one, in which they say whose they were; and its transfers, none of
// which waits.
func (b *Book) Kinds() []shift.Kind {
	return []shift.Kind{
		shift.Rows[*identityv1.OwnershipPeriod]{
			Name: "ownership_periods", Table: b.periods,
			Of: func(customer string) kv.Query { return kv.Query{Prefix: kv.Key{kv.String(customer)}} },
			Stub: func(name string, at *timestamppb.Timestamp) *identityv1.OwnershipPeriod {
				return &identityv1.OwnershipPeriod{Name: name, BeginTime: at}
			},
			Time:   (*identityv1.OwnershipPeriod).GetBeginTime,
			Rename: func(p *identityv1.OwnershipPeriod, name string) { p.Name = name },
			Give: func(p *identityv1.OwnershipPeriod, from, to string) {
				p.MergedFrom = shift.Came(p.GetMergedFrom(), from, to)
			},
		}.Kind(),
		shift.Rows[*identityv1.OwnershipTransfer]{
			Name: "ownership_transfers", Table: b.transfers,
			Of: func(customer string) kv.Query {
				return kv.Query{Index: byCustomer, Prefix: kv.Key{kv.String(customer)}}
			},
			Stub: func(name string, _ *timestamppb.Timestamp) *identityv1.OwnershipTransfer {
				return &identityv1.OwnershipTransfer{Name: name}
			},
			Give: func(t *identityv1.OwnershipTransfer, _, to string) { t.Customer = to },
		}.Kind(),
	}
}
