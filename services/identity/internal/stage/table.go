package stage

import (
	"slices"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/revise"
)

// The indexes.
const (
	byIdle    = "idle"    // clocks, by organisation, stage and time
	byPeriods = "periods" // policies under which time moves customers
)

// tables are what a book keeps:
//
//	stage_transitions  (customer, transition time, name)  -> StageTransition
//	stage_clocks       (organisation, customer)           -> StageClock
//	stage_policies     (organisation)                     -> StagePolicy
//	stage_census       (organisation)                     -> StageCensus
//	stage_tallies      (organisation, date, from, to)     -> StageTally
//
// A clock is apart from the account, whose etag is for those who change the
// customer: it moves with each purchase.
type tables struct {
	transitions *kv.Table[*identityv1.StageTransition]
	clocks      *kv.Table[*storev1.StageClock]
	// Policies say what moves customers of an organisation by itself.
	Policies *revise.Setting[*identityv1.StagePolicy]
	census   *kv.Table[*storev1.StageCensus]
	tallies  *kv.Table[*storev1.StageTally]
}

func newTables() tables {
	return tables{
		transitions: kv.NewTable(kv.TableConfig[*identityv1.StageTransition]{
			Name: "stage_transitions",
			Key: func(t *identityv1.StageTransition) kv.Key {
				return kv.Key{kv.String(resource.Parent(t.GetName())), kv.Time(t.GetTransitionTime().AsTime()), kv.String(t.GetName())}
			},
		}),
		clocks: kv.NewTable(kv.TableConfig[*storev1.StageClock]{
			Name: "stage_clocks", Key: func(c *storev1.StageClock) kv.Key { return key(c.GetCustomer()) },
			Indexes: []kv.Index[*storev1.StageClock]{{Name: byIdle, Keys: func(c *storev1.StageClock) []kv.Key {
				return []kv.Key{{kv.String(resource.Parent(c.GetCustomer())), kv.String(Name(c.GetStage())), kv.Time(c.GetIdleSince().AsTime())}}
			}}},
		}),
		Policies: policies(),
		census: kv.NewTable(kv.TableConfig[*storev1.StageCensus]{
			Name: "stage_census", Key: func(c *storev1.StageCensus) kv.Key { return kv.Key{kv.String(c.GetOrganization())} },
		}),
		tallies: kv.NewTable(kv.TableConfig[*storev1.StageTally]{Name: "stage_tallies", Key: tallyKey}),
	}
}

// Tables returns the raw tables of a book.
func (t tables) Tables() []string {
	return slices.Concat(t.transitions.Tables(), t.clocks.Tables(), t.Policies.Tables(), t.census.Tables(), t.tallies.Tables())
}

func key(name string) kv.Key { return kv.Key{kv.String(resource.Parent(name)), kv.String(name)} }

func tallyKey(t *storev1.StageTally) kv.Key {
	return kv.Key{kv.String(t.GetOrganization()), kv.String(t.GetDate()), kv.String(Name(t.GetFromStage())), kv.String(Name(t.GetToStage()))}
}
