package interaction

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/shift"
)

// Kind is how interactions become another customer's, with what is counted of them.
func (b *Book) Kind() shift.Kind {
	return shift.Rows[*identityv1.Interaction]{
		Name: "interactions", Table: b.interactions,
		Of: func(customer string) kv.Query { return kv.Query{Prefix: kv.Key{kv.String(customer)}} },
		Stub: func(name string, _ *timestamppb.Timestamp) *identityv1.Interaction {
			return &identityv1.Interaction{Name: name}
		},
		Rename: func(i *identityv1.Interaction, name string) { i.Name = name },
		Give: func(i *identityv1.Interaction, from, to string) {
			i.Complaint = shift.Below(i.GetComplaint(), from, to)
		},
		Follow: func(tx *change.Tx, was, is *identityv1.Interaction) error {
			if err := b.count(tx, was, -1); err != nil {
				return err
			}
			return b.count(tx, is, 1)
		},
	}.Kind()
}
