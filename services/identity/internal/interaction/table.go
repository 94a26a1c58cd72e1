package interaction

import (
	"slices"
	"strings"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/revise"
)

const notFound = "INTERACTION_NOT_FOUND"

// The indexes of interactions. What is personal in them is hashed.
const (
	byScope    = "scope"       // and start time: see scopes
	byExternal = "external_id" // unique in the organisation, with the source
)

// tables are what a book keeps:
//
//	interactions          (customer, name)  -> Interaction
//	interaction_policies  (organisation)    -> InteractionPolicy
//	interaction_tallies   (scope, month)    -> InteractionTally
type tables struct {
	interactions *kv.Table[*identityv1.Interaction]
	// Policies say for how long organisations correct interactions.
	Policies *revise.Setting[*identityv1.InteractionPolicy]
	tallies  *kv.Table[*storev1.InteractionTally]
}

func newTables(h kv.Hasher) tables {
	return tables{
		interactions: kv.NewTable(kv.TableConfig[*identityv1.Interaction]{
			Name: "interactions", NotFound: notFound, Exists: conflict, Hasher: h,
			Key: func(i *identityv1.Interaction) kv.Key { return key(i.GetName()) },
			Indexes: []kv.Index[*identityv1.Interaction]{
				{Name: byScope, Keys: func(i *identityv1.Interaction) (keys []kv.Key) {
					for _, scope := range scopes(i) {
						keys = append(keys, kv.Key{kv.String(scope), kv.Time(i.GetStartTime().AsTime())})
					}
					return keys
				}},
				{Name: byExternal, Unique: true, Keys: func(i *identityv1.Interaction) []kv.Key {
					if i.GetSource() == "" {
						return nil
					}
					return []kv.Key{externalKey(i)}
				}},
			},
		}),
		Policies: policies(),
		tallies:  kv.NewTable(kv.TableConfig[*storev1.InteractionTally]{Name: "interaction_tallies", Key: tallyKey}),
	}
}

// Tables returns the raw tables of a book.
func (t tables) Tables() []string {
	return slices.Concat(t.interactions.Tables(), t.Policies.Tables(), t.tallies.Tables())
}

func key(name string) kv.Key { return kv.Key{kv.String(resource.Parent(name)), kv.String(name)} }

func tallyKey(t *storev1.InteractionTally) kv.Key {
	return kv.Key{kv.String(t.GetScope()), kv.String(t.GetMonth())}
}

func externalKey(i *identityv1.Interaction) kv.Key {
	return kv.Key{kv.String(organizationOf(i)), kv.String(i.GetSource()), kv.Personal(i.GetExternalId())}
}

func customerOf(i *identityv1.Interaction) string { return resource.Parent(i.GetName()) }

func organizationOf(i *identityv1.Interaction) string { return resource.Parent(customerOf(i)) }

// scopes are what an interaction is listed and counted for: its customer, its
// organisation, and who had it.
func scopes(i *identityv1.Interaction) []string {
	all := []string{customerOf(i), organizationOf(i)}
	if i.GetStaff() != "" {
		all = append(all, i.GetStaff())
	}
	return all
}

// kindName returns a kind as filters spell it: "CALL".
func kindName(k identityv1.Interaction_Kind) string { return strings.TrimPrefix(k.String(), "KIND_") }

// outcomeName returns an outcome as filters spell it: "REACHED".
func outcomeName(o identityv1.Interaction_Outcome) string {
	return strings.TrimPrefix(o.String(), "OUTCOME_")
}
