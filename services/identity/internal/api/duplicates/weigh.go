package duplicates

import (
	"context"
	"maps"
	"slices"

	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/api"
	"guildhall.dev/services/identity/internal/duplicate"
	"guildhall.dev/services/identity/internal/likeness"
)

// mayGet is what lets a caller know of a customer.
const mayGet = "identity.customers.get"

// The classes of data that are compared, as the fields of Customer have them. A test
// holds the two against each other.
const (
	classContact  = "contact"
	classIdentity = "identity"
	classNote     = "note"
)

// classOf returns the class of data that a field is of, "" of none.
func classOf(field identityv1.DuplicateEvidence_Field) string {
	switch field {
	case identityv1.DuplicateEvidence_FIELD_EMAIL, identityv1.DuplicateEvidence_FIELD_PHONE:
		return classContact
	case identityv1.DuplicateEvidence_FIELD_COUNTRY:
		return ""
	default:
		return classIdentity
	}
}

// look asks what the caller sees of all who are in pairs, and of others.
func (s server) look(ctx context.Context, pairs []duplicate.Pair, others ...string) (map[string]api.Hidden, error) {
	names := make(map[string]bool)
	for _, name := range others {
		names[name] = true
	}
	for _, p := range pairs {
		names[p.First.Value.GetName()], names[p.Second.Value.GetName()] = true, true
	}
	if len(names) == 0 {
		return nil, nil
	}
	return s.Seen(ctx, mayGet, slices.Sorted(maps.Keys(names)), classContact, classIdentity)
}

// weigh returns what a caller may know of what speaks for a pair, and how much that
// is. It is 0 of a pair of which the caller does not see both.
func weigh(p duplicate.Pair, seen map[string]api.Hidden) ([]*identityv1.DuplicateEvidence, float64) {
	first, one := seen[p.First.Value.GetName()]
	second, other := seen[p.Second.Value.GetName()]
	if !one || !other {
		return nil, 0
	}
	evidence := slices.DeleteFunc(slices.Clone(p.Evidence), func(e *identityv1.DuplicateEvidence) bool {
		return hides(first, e.GetField()) || hides(second, e.GetField())
	})
	return evidence, likeness.Score(evidence)
}

func hides(h api.Hidden, field identityv1.DuplicateEvidence_Field) bool { return h[classOf(field)] }
