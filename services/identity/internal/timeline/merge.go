package timeline

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/kv"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/shift"
)

// Kind is how events become another customer's: they stand where they happened, and
// name what they are about as it is called now.
func (b *Book) Kind() shift.Kind {
	return shift.Rows[*identityv1.TimelineEvent]{
		Name: "timeline_events", Table: b.events,
		Of: func(customer string) kv.Query { return kv.Query{Prefix: kv.Key{kv.String(customer)}} },
		Stub: func(name string, _ *timestamppb.Timestamp) *identityv1.TimelineEvent {
			return &identityv1.TimelineEvent{Name: name}
		},
		Rename: func(e *identityv1.TimelineEvent, name string) { e.Name = name },
		Give: func(e *identityv1.TimelineEvent, from, to string) {
			e.Resource = shift.Below(e.GetResource(), from, to)
		},
	}.Kind()
}
