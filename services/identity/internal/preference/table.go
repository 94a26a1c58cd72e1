package preference

import (
	"slices"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/revise"
)

// The reasons of what is not there, and of what is.
const (
	notFound = "PREFERENCE_NOT_FOUND"
	exists   = "PREFERENCE_EXISTS"
)

// The indexes of preferences. Topics are hashed in them.
const (
	byTopic  = "topic" // unique for a customer
	byExpiry = "expire_time"
)

// tables are what a book keeps:
//
//	preferences            (customer, name)              -> Preference
//	profiling_choices      (customer)                    -> ProfilingChoice
//	preference_policies    (organisation)                -> PreferencePolicy
//	recommendation_tallies (organisation, month, topic)  -> RecommendationTally
type tables struct {
	preferences *kv.Table[*identityv1.Preference]
	// Choices say of whom nothing is concluded.
	Choices *revise.Setting[*identityv1.ProfilingChoice]
	// Policies say how conclusions fade.
	Policies *revise.Setting[*identityv1.PreferencePolicy]
	tallies  *kv.Table[*storev1.RecommendationTally]
}

func newTables(h kv.Hasher) tables {
	return tables{
		preferences: kv.NewTable(kv.TableConfig[*identityv1.Preference]{
			Name: "preferences", NotFound: notFound, Exists: exists, Hasher: h,
			Key: func(p *identityv1.Preference) kv.Key { return key(p.GetName()) },
			Indexes: []kv.Index[*identityv1.Preference]{
				{Name: byTopic, Unique: true, Keys: func(p *identityv1.Preference) []kv.Key { return []kv.Key{topicKey(p)} }},
				{Name: byExpiry, Keys: func(p *identityv1.Preference) []kv.Key {
					if p.GetExpireTime() == nil {
						return nil
					}
					return []kv.Key{{kv.Time(p.GetExpireTime().AsTime())}}
				}},
			},
		}),
		Choices:  choices(),
		Policies: policies(),
		tallies:  kv.NewTable(kv.TableConfig[*storev1.RecommendationTally]{Name: "recommendation_tallies", Key: tallyKey}),
	}
}

// Tables returns the raw tables of a book.
func (t tables) Tables() []string {
	return slices.Concat(t.preferences.Tables(), t.Choices.Tables(), t.Policies.Tables(), t.tallies.Tables())
}

func key(name string) kv.Key { return kv.Key{kv.String(resource.Parent(name)), kv.String(name)} }

func topicKey(p *identityv1.Preference) kv.Key {
	return topicPrefix(organizationOf(p), p.GetTopic()).With(kv.String(customerOf(p)))
}

func topicPrefix(organization, topic string) kv.Key {
	return kv.Key{kv.String(organization), kv.Personal(topic)}
}

func tallyKey(t *storev1.RecommendationTally) kv.Key {
	return kv.Key{kv.String(t.GetOrganization()), kv.String(t.GetMonth()), kv.String(t.GetTopic())}
}

func customerOf(p *identityv1.Preference) string { return resource.Parent(p.GetName()) }

func organizationOf(p *identityv1.Preference) string { return resource.Parent(customerOf(p)) }
