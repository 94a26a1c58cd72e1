package rights

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/kv"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/shift"
)

// Kind is how requests become another account's of the same person. Those that are
// open are answered there, in the time that they had.
func (b *Book) Kind() shift.Kind {
	return shift.Rows[request]{
		Name: "data_subject_requests", Table: b.requests,
		Of:     func(customer string) kv.Query { return kv.Query{Prefix: kv.Key{kv.String(customer)}} },
		Stub:   func(name string, _ *timestamppb.Timestamp) request { return &identityv1.DataSubjectRequest{Name: name} },
		Rename: func(q request, name string) { q.Name = name },
		Give:   func(request, string, string) {},
	}.Kind()
}

// ErasureOpen reports whether a customer has asked to be erased and that has not
// ended, also while it is not known that the customer asks.
func (b *Book) ErasureOpen(r kv.Reader, customer string) (bool, error) {
	for rec, err := range b.of(r, customer) {
		if err != nil || open(rec.Value) && rec.Value.GetKind() == erase {
			return err == nil, err
		}
	}
	return false, nil
}
