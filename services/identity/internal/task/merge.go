package task

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/kv"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/shift"
)

// Kind is how tasks come to be about another customer.
func (b *Book) Kind() shift.Kind {
	return shift.Rows[*identityv1.Task]{
		Name: "tasks", Table: b.tasks,
		Of:    func(customer string) kv.Query { return kv.Query{Index: byScope, Prefix: kv.Key{kv.String(customer)}} },
		Stub:  func(name string, _ *timestamppb.Timestamp) *identityv1.Task { return &identityv1.Task{Name: name} },
		Whose: (*identityv1.Task).GetCustomer,
		Give: func(t *identityv1.Task, from, to string) {
			t.Customer, t.Related = to, shift.Below(t.GetRelated(), from, to)
		},
	}.Kind()
}
