package ownership

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
	byDeparted = "departed" // portfolios that others have to take over
	byTime     = "time"     // transfers of an organisation
	byStaff    = "staff"    // transfers from and to somebody
	byCustomer = "customer" // transfers
	byWaiting  = "waiting"  // pending transfers, by recipient
	byPending  = "pending"  // pending transfers, by customer; unique
	byExpiry   = "expiry"   // pending transfers
)

// tables are what a book keeps:
//
//	ownership_periods     (customer, begin time, name)  -> OwnershipPeriod
//	ownership_portfolios  (organisation, owner)         -> Portfolio
//	ownership_transfers   (organisation, name)          -> OwnershipTransfer
//	ownership_policies    (organisation)                -> OwnershipPolicy
//
// A portfolio is apart from the account of its owner, whose etag is for those
// who change the account.
type tables struct {
	periods    *kv.Table[*identityv1.OwnershipPeriod]
	portfolios *kv.Table[*storev1.Portfolio]
	transfers  *kv.Table[*identityv1.OwnershipTransfer]
	// Policies limit the changes of owners.
	Policies *revise.Setting[*identityv1.OwnershipPolicy]
}

func newTables() tables {
	return tables{
		periods: kv.NewTable(kv.TableConfig[*identityv1.OwnershipPeriod]{
			Name: "ownership_periods",
			Key: func(p *identityv1.OwnershipPeriod) kv.Key {
				return kv.Key{kv.String(resource.Parent(p.GetName())), kv.Time(p.GetBeginTime().AsTime()), kv.String(p.GetName())}
			},
		}),
		portfolios: kv.NewTable(kv.TableConfig[*storev1.Portfolio]{
			Name: "ownership_portfolios", Key: func(p *storev1.Portfolio) kv.Key { return key(p.GetOwner()) },
			Indexes: []kv.Index[*storev1.Portfolio]{{Name: byDeparted, Keys: func(p *storev1.Portfolio) []kv.Key {
				if p.GetDepartTime() == nil || p.GetCustomers() == 0 {
					return nil
				}
				return []kv.Key{{kv.String(resource.Parent(p.GetOwner()))}}
			}}},
		}),
		transfers: kv.NewTable(kv.TableConfig[*identityv1.OwnershipTransfer]{
			Name: "ownership_transfers", NotFound: transferNotFound, Exists: "OWNERSHIP_TRANSFER_EXISTS",
			Key: func(t *identityv1.OwnershipTransfer) kv.Key { return key(t.GetName()) }, Indexes: transferIndexes(),
		}),
		Policies: policies(),
	}
}

func transferIndexes() []kv.Index[*identityv1.OwnershipTransfer] {
	made := func(t *identityv1.OwnershipTransfer) kv.Part { return kv.Time(t.GetCreateTime().AsTime()) }
	while := func(keys func(*identityv1.OwnershipTransfer) kv.Key) func(*identityv1.OwnershipTransfer) []kv.Key {
		return func(t *identityv1.OwnershipTransfer) []kv.Key {
			if t.GetState() != pending {
				return nil
			}
			return []kv.Key{keys(t)}
		}
	}
	return []kv.Index[*identityv1.OwnershipTransfer]{
		{Name: byTime, Keys: func(t *identityv1.OwnershipTransfer) []kv.Key {
			return []kv.Key{{kv.String(resource.Parent(t.GetName())), made(t)}}
		}},
		{Name: byStaff, Keys: func(t *identityv1.OwnershipTransfer) []kv.Key {
			keys := []kv.Key{{kv.String(t.GetToOwner()), made(t)}}
			if t.GetFromOwner() != "" {
				keys = append(keys, kv.Key{kv.String(t.GetFromOwner()), made(t)})
			}
			return keys
		}},
		{Name: byCustomer, Keys: func(t *identityv1.OwnershipTransfer) []kv.Key {
			return []kv.Key{{kv.String(t.GetCustomer()), made(t)}}
		}},
		{Name: byWaiting, Keys: while(func(t *identityv1.OwnershipTransfer) kv.Key { return kv.Key{kv.String(t.GetToOwner())} })},
		{Name: byPending, Unique: true, Reason: "OWNERSHIP_TRANSFER_PENDING", Field: "ownership_transfer.customer",
			Keys: while(func(t *identityv1.OwnershipTransfer) kv.Key { return kv.Key{kv.String(t.GetCustomer())} })},
		{Name: byExpiry, Keys: while(func(t *identityv1.OwnershipTransfer) kv.Key { return kv.Key{kv.Time(t.GetExpireTime().AsTime())} })},
	}
}

// Tables returns the raw tables of a book.
func (t tables) Tables() []string {
	return slices.Concat(t.periods.Tables(), t.portfolios.Tables(), t.transfers.Tables(), t.Policies.Tables())
}

func key(name string) kv.Key { return kv.Key{kv.String(resource.Parent(name)), kv.String(name)} }
