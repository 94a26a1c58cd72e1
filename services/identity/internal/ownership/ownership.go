// Package ownership keeps who of the staff looked after which customer and when,
// how many customers each has, and the transfers that wait for an answer.
//
// Who looks after a customer now is in its account, for it is a part of the
// customer; package account writes it and tells this package (Move), which
// keeps what follows from it. Who may be given whom, and when, is package
// handover's.
//
// A customer is somebody's for a period. Periods of one customer do not overlap:
//
//	        assigned                  another owner
//	NONE ─────────────▶ OWNED by a ──────────────────▶ OWNED by b
//	 ▲                   │      ▲                        │     │
//	 └───────────────────┘      └────────────────────────┘     │
//	 ▲ released, declined         declined by the customer,    │
//	 │ or the owner purged        in time and while a is there │
//	 └─────────────────────────────────────────────────────────┘
//
// An owner who is disabled or deleted has departed: the customers stay on record
// as theirs, so that they are found and none is lost when thousands cannot be
// changed in one transaction, until others take over or the account is purged.
package ownership

import (
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// Types of events about owners, on the customer.
const (
	AssignedType = "guildhall.identity.ownership.assigned.v1"
	DeclinedType = "guildhall.identity.ownership.declined.v1"
	ReleasedType = "guildhall.identity.ownership.released.v1"
)

// The causes, for short.
const (
	Assigned    = identityv1.OwnershipCause_OWNERSHIP_CAUSE_ASSIGNED
	Transferred = identityv1.OwnershipCause_OWNERSHIP_CAUSE_TRANSFERRED
	Inherited   = identityv1.OwnershipCause_OWNERSHIP_CAUSE_INHERITED
	Declined    = identityv1.OwnershipCause_OWNERSHIP_CAUSE_DECLINED
	Released    = identityv1.OwnershipCause_OWNERSHIP_CAUSE_RELEASED
	Purged      = identityv1.OwnershipCause_OWNERSHIP_CAUSE_PURGED
	Merged      = identityv1.OwnershipCause_OWNERSHIP_CAUSE_MERGED
)

// Book keeps periods, portfolios, transfers and policies. It is safe for
// concurrent use.
type Book struct{ tables }

// New returns a book.
func New() *Book { return &Book{newTables()} }

// By is who does something, and what they say about it.
type By struct {
	// Actor is an account, or the service.
	Actor string
	// OnBehalfOf is the account for which the actor acts; "" for itself.
	OnBehalfOf string
	Note       string
}

// Move is that a customer gets another owner.
type Move struct {
	Customer string
	// From and To are owners that differ; "" is none.
	From, To string
	Cause    identityv1.OwnershipCause
	By       By
	// Transfer is the one that leads to it; "" for none.
	Transfer string
	// Uncounted says that the customer is deleted, and so in nobody's count.
	Uncounted bool
}

// HandsOver reports whether one owner who is there gives the customer to another:
// what counts toward the recipient's day.
func (m Move) HandsOver() bool {
	return m.From != "" && m.To != "" && (m.Cause == Assigned || m.Cause == Transferred)
}

// Move keeps that a customer gets another owner, tells of it, and cancels a
// transfer that has nothing to be about any more. Whether that may be has been
// decided.
func (b *Book) Move(tx *change.Tx, m Move) error {
	at, err := b.end(tx, m)
	if err != nil {
		return err
	}
	deadline, err := b.begin(tx, m, at)
	if err != nil {
		return err
	}
	if err := b.recount(tx, m); err != nil {
		return err
	}
	if err := b.cancelOf(tx, m.Customer, m.Transfer); err != nil {
		return err
	}
	tx.Record(change.Change{
		Resource: m.Customer, Type: eventOf(m), ChangedFields: []string{"owner"}, OnBehalfOf: m.By.OnBehalfOf,
		Data: &identityv1.OwnershipChanged{
			Customer: m.Customer, Owner: m.To, PreviousOwner: m.From, Cause: m.Cause, Transfer: m.Transfer, DeclineDeadline: deadline,
		},
	})
	return nil
}

func eventOf(m Move) string {
	switch {
	case m.Cause == Declined:
		return DeclinedType
	case m.To == "":
		return ReleasedType
	}
	return AssignedType
}

// end ends the period that a customer is in, if it is in one, and returns when
// the next begins: now, but behind the last. A transaction that lost to another
// and was made again would else come before it.
func (b *Book) end(tx *change.Tx, m Move) (time.Time, error) {
	last, err := b.Last(tx, m.Customer)
	if err != nil || last == nil {
		return tx.Time, err
	}
	at := tx.Time
	for _, before := range []*timestamppb.Timestamp{last.GetBeginTime(), last.GetEndTime()} {
		if next := before.AsTime().Add(time.Microsecond); before != nil && next.After(at) {
			at = next
		}
	}
	if last.GetEndTime() != nil {
		return at, nil
	}
	ended := proto.CloneOf(last)
	ended.EndTime, ended.EndCause = timestamppb.New(at), m.Cause
	_, err = b.periods.Update(tx, ended, "")
	return at, err
}

// begin begins a period, unless the customer has no owner from now on, and returns
// until when the customer can decline the owner.
func (b *Book) begin(tx *change.Tx, m Move, at time.Time) (deadline *timestamppb.Timestamp, err error) {
	if m.To == "" {
		return nil, nil
	}
	policy, err := b.Policies.Of(tx, resource.Parent(m.Customer))
	if err != nil {
		return nil, err
	}
	// Whom a customer goes back to it has known: there is no second way back.
	if within := policy.GetDeclineWithin().AsDuration(); within > 0 && m.Cause != Declined {
		deadline = timestamppb.New(at.Add(within))
	}
	_, err = b.periods.Create(tx, &identityv1.OwnershipPeriod{
		Name: m.Customer + "/ownershipPeriods/" + tx.NewID(), Owner: m.To, PreviousOwner: m.From, Cause: m.Cause,
		Note: m.By.Note, Actor: m.By.Actor, Transfer: m.Transfer, BeginTime: timestamppb.New(at), DeclineDeadline: deadline,
	})
	return deadline, err
}

// Last returns the newest period of a customer's own, ended or not; nil for none.
func (b *Book) Last(r kv.Reader, customer string) (*identityv1.OwnershipPeriod, error) {
	for rec, err := range b.periods.Scan(r, kv.Query{Prefix: kv.Key{kv.String(customer)}, Reverse: true}) {
		if err != nil || rec.Value.GetMergedFrom() == "" {
			return rec.Value, err
		}
	}
	return nil, nil
}

// Periods returns a page of the periods of a customer, the newest first, and
// where to go on behind it, nil at the end.
func (b *Book) Periods(r kv.Reader, customer string, after []byte, limit int) ([]*identityv1.OwnershipPeriod, []byte, error) {
	page, err := b.periods.List(r, kv.Query{Prefix: kv.Key{kv.String(customer)}, Reverse: true, After: after, Limit: limit})
	out := make([]*identityv1.OwnershipPeriod, len(page.Records))
	for i, rec := range page.Records {
		out[i] = rec.Value
	}
	return out, page.Next, err
}

// View returns who looks after a customer by its newest period, nil for none.
func View(customer string, last *identityv1.OwnershipPeriod, etag string) *identityv1.Ownership {
	o := &identityv1.Ownership{Name: customer + "/ownership", Etag: etag}
	switch {
	case last == nil:
	case last.GetEndTime() != nil:
		o.PreviousOwner, o.Cause, o.BeginTime = last.GetOwner(), last.GetEndCause(), last.GetEndTime()
	default:
		o.Owner, o.PreviousOwner, o.Cause = last.GetOwner(), last.GetPreviousOwner(), last.GetCause()
		o.BeginTime, o.DeclineDeadline = last.GetBeginTime(), last.GetDeclineDeadline()
	}
	return o
}

// ForgetCustomer removes all that is kept of a deleted customer that is gone for
// good.
func (b *Book) ForgetCustomer(tx kv.Tx, customer string) error {
	for rec, err := range b.periods.Scan(tx, kv.Query{Prefix: kv.Key{kv.String(customer)}}) {
		if err != nil {
			return err
		}
		if _, err := b.periods.Delete(tx, b.periods.KeyOf(rec.Value), ""); err != nil {
			return err
		}
	}
	_, err := b.removeTransfers(tx, kv.Query{Index: byCustomer, Prefix: kv.Key{kv.String(customer)}})
	return err
}
