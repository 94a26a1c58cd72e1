package stage

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/kv"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/shift"
)

// Kind is how the moves of a customer become part of the history of another one, in
// which they say whose they were. What all moves come to stays as it is.
func (b *Book) Kind() shift.Kind {
	return shift.Rows[*identityv1.StageTransition]{
		Name: "stage_transitions", Table: b.transitions,
		Of: func(customer string) kv.Query { return kv.Query{Prefix: kv.Key{kv.String(customer)}} },
		Stub: func(name string, at *timestamppb.Timestamp) *identityv1.StageTransition {
			return &identityv1.StageTransition{Name: name, TransitionTime: at}
		},
		Time:   (*identityv1.StageTransition).GetTransitionTime,
		Rename: func(t *identityv1.StageTransition, name string) { t.Name = name },
		Give: func(t *identityv1.StageTransition, from, to string) {
			t.Order, t.MergedFrom = shift.Below(t.GetOrder(), from, to), shift.Came(t.GetMergedFrom(), from, to)
		},
	}.Kind()
}

// last returns the newest move that is a customer's own, nil without one.
func (b *Book) last(r kv.Reader, customer string) (*identityv1.StageTransition, error) {
	for rec, err := range b.transitions.Scan(r, kv.Query{Prefix: kv.Key{kv.String(customer)}, Reverse: true}) {
		if err != nil || rec.Value.GetMergedFrom() == "" {
			return rec.Value, err
		}
	}
	return nil, nil
}
