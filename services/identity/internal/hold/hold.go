// Package hold keeps legal holds: orders that the data of a customer must not go
// away.
//
//	   created            lifted
//	──────────▶ ACTIVE ───────────▶ LIFTED
//	               └──────────────▶ EXPIRED
//	                  expire time
//
// That a customer is held is kept with its account too, where purge and erasure
// look, and with its requests for erasure, which wait: each change here makes those
// in its transaction. That is why this centre knows the others, and none of them
// knows it. A hold that has ended stays, since that there was one may be asked.
package hold

import (
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/filter"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/revise"
	"guildhall.dev/services/identity/internal/rights"
)

// Pattern is the form of a hold's name.
const Pattern = resource.Pattern("organizations/{organization}/legalHolds/{legal_hold}")

const (
	notFound = "LEGAL_HOLD_NOT_FOUND"
	event    = "guildhall.identity.legal_hold."
	// most is how many holds a customer can have in force.
	most = 100
)

// The states of a hold, for short.
const (
	active  = identityv1.LegalHold_STATE_ACTIVE
	lifted  = identityv1.LegalHold_STATE_LIFTED
	expired = identityv1.LegalHold_STATE_EXPIRED
)

// The indexes of holds.
const (
	byTime     = "time"     // organisation
	byCustomer = "customer" // customer, state
	byState    = "state"    // organisation, state
	byExpiry   = "expiry"   // of those in force that have an end
)

// Book keeps holds. It is safe for concurrent use.
//
//	legal_holds  (organization, name) -> LegalHold
type Book struct {
	table    *kv.Table[*identityv1.LegalHold]
	accounts *account.Book
	requests *rights.Book
}

// New returns a book.
func New(accounts *account.Book, requests *rights.Book) *Book {
	return &Book{accounts: accounts, requests: requests, table: kv.NewTable(kv.TableConfig[*identityv1.LegalHold]{
		Name: "legal_holds", NotFound: notFound, Exists: "LEGAL_HOLD_EXISTS",
		Key: func(h *identityv1.LegalHold) kv.Key { return key(h.GetName()) },
		Indexes: []kv.Index[*identityv1.LegalHold]{
			{Name: byTime, Keys: func(h *identityv1.LegalHold) []kv.Key {
				return []kv.Key{{kv.String(resource.Parent(h.GetName())), made(h)}}
			}},
			{Name: byCustomer, Keys: func(h *identityv1.LegalHold) []kv.Key {
				c := kv.String(h.GetCustomer())
				return []kv.Key{{c, kv.String(""), made(h)}, {c, kv.String(stateName(h.GetState())), made(h)}}
			}},
			{Name: byState, Keys: func(h *identityv1.LegalHold) []kv.Key {
				return []kv.Key{{kv.String(resource.Parent(h.GetName())), kv.String(stateName(h.GetState())), made(h)}}
			}},
			{Name: byExpiry, Keys: func(h *identityv1.LegalHold) []kv.Key {
				if h.GetState() != active || h.GetExpireTime() == nil {
					return nil
				}
				return []kv.Key{{kv.Time(h.GetExpireTime().AsTime())}}
			}},
		},
	})}
}

func key(name string) kv.Key { return kv.Key{kv.String(resource.Parent(name)), kv.String(name)} }

func made(h *identityv1.LegalHold) kv.Part { return kv.Time(h.GetCreateTime().AsTime()) }

func stateName(s identityv1.LegalHold_State) string { return strings.TrimPrefix(s.String(), "STATE_") }

// Tables returns the raw tables of a book.
func (b *Book) Tables() []string { return b.table.Tables() }

// Get returns a hold. The error is NotFound (LEGAL_HOLD_NOT_FOUND).
func (b *Book) Get(r kv.Reader, name string) (*identityv1.LegalHold, error) {
	rec, found, err := b.table.Find(r, key(name))
	if err == nil && !found {
		err = errs.NotFoundName(notFound, name)
	}
	return revise.View(rec), err
}

// ParseFilter reads the filter of a list. The error is Invalid (FILTER_INVALID).
func ParseFilter(text string) (filter.Terms, error) {
	terms, err := filter.Parse(text, filter.Field{Name: "customer", Type: filter.String},
		filter.Field{Name: "state", Type: filter.Enum, Values: []string{stateName(active), stateName(lifted), stateName(expired)}})
	if err == nil && len(terms) > 1 {
		err = errs.InvalidField("filter", "FILTER_INVALID", "send a condition on customer or on state, not on both")
	}
	return terms, err
}

// List returns a page of an organisation's holds, the newest first, and where to go
// on behind it, nil at the end.
func (b *Book) List(r kv.Reader, organization string, terms filter.Terms, after []byte, limit int) ([]*identityv1.LegalHold, []byte, error) {
	q := kv.Query{Index: byTime, Prefix: kv.Key{kv.String(organization)}, Reverse: true, After: after, Limit: limit}
	if t, ok := terms.Lookup("customer"); ok {
		if resource.Parent(t.Text) != organization {
			return nil, nil, nil
		}
		q.Index, q.Prefix = byCustomer, kv.Key{kv.String(t.Text), kv.String("")}
	}
	if t, ok := terms.Lookup("state"); ok {
		q.Index, q.Prefix = byState, q.Prefix.With(kv.String(t.Text))
	}
	return revise.Views(b.table.List(r, q))
}

// Create puts a hold with the name, customer, reason and expire_time of asked.
// Errors are NotFound (CUSTOMER_NOT_FOUND), Precondition (CUSTOMER_ERASED), Exists
// (LEGAL_HOLD_EXISTS), Exhausted (LEGAL_HOLD_LIMIT) and Invalid
// (HOLD_TIME_INVALID).
func (b *Book) Create(tx *change.Tx, asked *identityv1.LegalHold, creator string) (*identityv1.LegalHold, error) {
	if asked.GetExpireTime() != nil && !tx.Time.Before(asked.GetExpireTime().AsTime()) {
		return nil, errs.InvalidField("legal_hold.expire_time", "HOLD_TIME_INVALID", "a hold ends in the future, or not by itself")
	}
	if err := revise.CheckRoom(tx, b.table, inForce(asked.GetCustomer()), most, "LEGAL_HOLD_LIMIT", "a customer can have %d legal holds in force"); err != nil {
		return nil, err
	}
	if err := b.set(tx, asked.GetCustomer(), true); err != nil {
		return nil, err
	}
	h := &identityv1.LegalHold{
		Name: asked.GetName(), Customer: asked.GetCustomer(), Reason: asked.GetReason(), ExpireTime: asked.GetExpireTime(), State: active,
		Creator: creator, CreateTime: timestamppb.New(tx.Time), UpdateTime: timestamppb.New(tx.Time),
	}
	rec, err := b.table.Create(tx, h)
	if err != nil {
		return nil, err
	}
	tx.Record(change.Change{Resource: h.GetName(), Type: event + "created.v1", ChangedFields: change.ChangedFields(nil, h)})
	return revise.View(rec), nil
}

// Lift ends a hold. Errors are NotFound (LEGAL_HOLD_NOT_FOUND), Conflict
// (ETAG_MISMATCH) and Precondition (LEGAL_HOLD_ENDED).
func (b *Book) Lift(tx *change.Tx, name, etag, lifter string) (*identityv1.LegalHold, error) {
	rec, err := b.table.Get(tx, key(name))
	if err != nil {
		return nil, err
	}
	if err := rec.CheckEtag(etag); err != nil {
		return nil, err
	}
	switch rec.Value.GetState() {
	case lifted:
		tx.Unchanged()
		return revise.View(rec), nil
	case expired:
		return nil, errs.New(errs.Precondition, "LEGAL_HOLD_ENDED", "the hold has ended by itself")
	}
	return b.end(tx, rec.Value, lifted, lifter)
}

// Expirable returns the names of holds whose time is over, at most limit.
func (b *Book) Expirable(r kv.Reader, now time.Time, limit int) ([]string, error) {
	due, err := b.table.Due(r, byExpiry, now, limit)
	return revise.Names(due), err
}

// Expire ends a hold whose time is over; one that ended meanwhile is left alone.
func (b *Book) Expire(tx *change.Tx, name string) error {
	rec, found, err := b.table.Find(tx, key(name))
	if err != nil {
		return err
	}
	if !found || rec.Value.GetState() != active || tx.Time.Before(rec.Value.GetExpireTime().AsTime()) {
		tx.Unchanged()
		return nil
	}
	_, err = b.end(tx, rec.Value, expired, "")
	return err
}

// end ends a hold, and with the last of a customer what it kept from happening.
func (b *Book) end(tx *change.Tx, old *identityv1.LegalHold, state identityv1.LegalHold_State, lifter string) (*identityv1.LegalHold, error) {
	h := proto.CloneOf(old)
	h.State, h.Lifter = state, lifter
	h.UpdateTime, h.EndTime = timestamppb.New(tx.Time), timestamppb.New(tx.Time)
	rec, err := b.table.Update(tx, h, "")
	if err != nil {
		return nil, err
	}
	tx.Record(change.Change{Resource: h.GetName(), Type: event + strings.ToLower(stateName(state)) + ".v1", ChangedFields: change.ChangedFields(old, h)})
	q := inForce(h.GetCustomer())
	q.Limit = 1
	if left, err := b.table.Count(tx, q); err != nil || left > 0 {
		return revise.View(rec), err
	}
	return revise.View(rec), b.set(tx, h.GetCustomer(), false)
}

func inForce(customer string) kv.Query {
	return kv.Query{Index: byCustomer, Prefix: kv.Key{kv.String(customer), kv.String(stateName(active))}}
}

// set keeps where it counts whether a customer is held.
func (b *Book) set(tx *change.Tx, customer string, held bool) error {
	if err := b.accounts.SetHold(tx, customer, held); err != nil {
		return err
	}
	return b.requests.SetHeld(tx, customer, held)
}

// Erase removes the words from the holds of a customer, which have all ended, else
// it would not be erased.
func (b *Book) Erase(tx *change.Tx, customer string) (more bool, err error) {
	for rec, err := range b.table.Scan(tx, kv.Query{Index: byCustomer, Prefix: kv.Key{kv.String(customer), kv.String("")}}) {
		if err != nil {
			return false, err
		}
		if rec.Value.GetReason() == "" {
			continue
		}
		h := proto.CloneOf(rec.Value)
		h.Reason = ""
		if _, err := b.table.Update(tx, h, ""); err != nil {
			return false, err
		}
		tx.Record(change.Change{Resource: h.GetName(), Type: event + "erased.v1", ChangedFields: []string{"reason"}})
	}
	return false, nil
}
