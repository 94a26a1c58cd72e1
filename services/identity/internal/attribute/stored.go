package attribute

import (
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/errs"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// Bounds of the attributes of one customer: so many, and so large together,
// since a page of customers has to stay small enough to be sent.
const (
	MaxOfCustomer = 50
	maxBytes      = 4 << 10
)

// Store returns the attributes as an account keeps them: the values that are new
// or other than in old checked, and each where its definition wants it. Errors
// are those of Check, on the field "<field>.<id>" as in "customer.attributes.points",
// and Invalid (CLASSIFICATION_LIMIT).
func (d Definitions) Store(field string, values map[string]*identityv1.AttributeValue, old map[string]*storev1.Attribute) (map[string]*storev1.Attribute, error) {
	out := make(map[string]*storev1.Attribute, len(values))
	for _, id := range slices.Sorted(maps.Keys(values)) {
		v := values[id]
		if had := old[id]; had != nil && proto.Equal(Value(had), v) {
			out[id] = had // it may have been set under other bounds
			continue
		}
		if err := d.Check(field+"."+id, id, v); err != nil {
			return nil, err
		}
		if d[id].GetPersonalData() {
			out[id] = &storev1.Attribute{PersonalValue: v}
		} else {
			out[id] = &storev1.Attribute{Value: v}
		}
	}
	return out, CheckSize(field, out)
}

// Value returns the value of a stored attribute.
func Value(a *storev1.Attribute) *identityv1.AttributeValue {
	if a.GetPersonalValue() != nil {
		return a.GetPersonalValue()
	}
	return a.GetValue()
}

// Values returns stored attributes as the API shows them; nil for none.
func Values(stored map[string]*storev1.Attribute) map[string]*identityv1.AttributeValue {
	if len(stored) == 0 {
		return nil
	}
	out := make(map[string]*identityv1.AttributeValue, len(stored))
	for id, a := range stored {
		out[id] = Value(a)
	}
	return out
}

// CheckSize refuses more attributes than a customer has. The error is Invalid
// (CLASSIFICATION_LIMIT) on the field.
func CheckSize(field string, stored map[string]*storev1.Attribute) error {
	size := 0
	for id, a := range stored {
		size += len(id) + proto.Size(Value(a))
	}
	if len(stored) > MaxOfCustomer || size > maxBytes {
		return errs.InvalidField(field, "CLASSIFICATION_LIMIT",
			fmt.Sprintf("a customer has at most %d attributes, and %d bytes of them", MaxOfCustomer, maxBytes))
	}
	return nil
}
