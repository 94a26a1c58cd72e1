// Package handover decides who may look after which customer, and gives customers
// from one member of staff to another: at once (Assign), when the recipient agrees
// (Propose, Accept), from somebody who has left (Inherit), and back when the
// customer does not want its new owner (Refuse).
//
// It keeps nothing. Who looks after a customer is in the customer's account, and
// what follows from that is package ownership's; the states of a transfer are
// drawn there. The limits are those of WeCom: how many customers somebody is
// handed in a day, and how long a customer that was handed over stays where it is.
// They hold between owners who are there. A first owner takes a customer from
// nobody, and whoever has left must not keep one waiting.
package handover

import (
	"fmt"
	"time"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/ownership"
)

// inheritChunk is how many customers of somebody who has left one call gives away.
const inheritChunk = 200

// Book makes hand-overs. It is safe for concurrent use.
type Book struct {
	accounts   *account.Book
	ownerships *ownership.Book
}

// New returns a book.
func New(accounts *account.Book, ownerships *ownership.Book) *Book {
	return &Book{accounts: accounts, ownerships: ownerships}
}

// Assign gives a customer an owner, "" for none, and records it if that changed
// anything. It writes nothing when it refuses. Errors are NotFound
// (CUSTOMER_NOT_FOUND, STAFF_MEMBER_NOT_FOUND), Conflict (ETAG_MISMATCH),
// Precondition (CUSTOMER_NOT_ACTIVE, OWNER_NOT_ACTIVE, OWNERSHIP_COOL_DOWN) and
// Exhausted (OWNER_DAILY_LIMIT).
func (b *Book) Assign(tx *change.Tx, customer, owner, etag string, by ownership.By) (kv.Record[*storev1.Account], error) {
	rec, err := b.customer(tx, customer, etag)
	if err != nil {
		return rec, err
	}
	if rec.Value.GetOwner() == owner {
		tx.Unchanged()
		return rec, nil
	}
	move := ownership.Move{To: owner, Cause: ownership.Released, By: by}
	if owner != "" {
		if err := b.CheckRecipient(tx, "owner", owner); err != nil {
			return rec, err
		}
		if move.Cause, err = b.cause(tx, rec.Value, owner, ownership.Assigned); err != nil {
			return rec, err
		}
	}
	return b.accounts.SetOwner(tx, rec, move)
}

// customer returns a customer that is not deleted.
func (b *Book) customer(r kv.Reader, name, etag string) (kv.Record[*storev1.Account], error) {
	rec, err := b.accounts.Get(r, name)
	if err != nil {
		return rec, err
	}
	if err := rec.CheckEtag(etag); err != nil {
		return rec, err
	}
	if rec.Value.GetDeleteTime() != nil {
		return rec, notActive("the customer is deleted; undelete it first")
	}
	return rec, nil
}

// CheckRecipient refuses who cannot become an owner: Precondition
// (OWNER_NOT_ACTIVE), on the field, and NotFound (STAFF_MEMBER_NOT_FOUND).
func (b *Book) CheckRecipient(r kv.Reader, field, staff string) error {
	rec, err := b.accounts.Get(r, staff)
	if err == nil && !account.CanLogIn(rec.Value) {
		const text = "only an active member of staff can look after customers"
		err = errs.New(errs.Precondition, "OWNER_NOT_ACTIVE", text, errs.Field(field, "OWNER_NOT_ACTIVE", text))
	}
	return err
}

// cause returns why a customer may go to another owner: as given when it comes
// from an owner who is there, or from nobody. Errors are Precondition
// (CUSTOMER_NOT_ACTIVE, OWNERSHIP_COOL_DOWN) and Exhausted (OWNER_DAILY_LIMIT).
func (b *Book) cause(tx *change.Tx, c *storev1.Account, to string, given identityv1.OwnershipCause) (identityv1.OwnershipCause, error) {
	departed, err := b.departed(tx, c.GetOwner())
	if err != nil || departed {
		return ownership.Inherited, err
	}
	if !account.MayAct(c) {
		return 0, notActive("the customer is suspended; enable it first")
	}
	if c.GetOwner() == "" {
		return given, b.checkReleased(tx, c, tx.Time)
	}
	if err := b.checkCoolDown(tx, c, tx.Time); err != nil {
		return 0, err
	}
	return given, b.checkDay(tx, to, tx.Time)
}

// checkReleased refuses a customer that somebody let go of a short while ago: else
// to let go first would be the way around the limits. The first owner, and who
// follows one that the customer declined or that is gone, waits for nothing.
func (b *Book) checkReleased(r kv.Reader, c *storev1.Account, now time.Time) error {
	last, err := b.ownerships.Last(r, c.GetName())
	if err != nil || last.GetEndCause() != ownership.Released {
		return err
	}
	return b.checkSince(r, c, last.GetEndTime().AsTime(), now)
}

// departed reports whether an owner, "" for none, is not there any more.
func (b *Book) departed(r kv.Reader, owner string) (bool, error) {
	if owner == "" {
		return false, nil
	}
	rec, found, err := b.accounts.Find(r, owner)
	return !found || !account.CanLogIn(rec.Value), err
}

// checkCoolDown refuses a customer that was handed over a short while ago.
func (b *Book) checkCoolDown(r kv.Reader, c *storev1.Account, now time.Time) error {
	last, err := b.ownerships.Last(r, c.GetName())
	if err != nil || last.GetPreviousOwner() == "" {
		return err
	}
	return b.checkSince(r, c, last.GetBeginTime().AsTime(), now)
}

// checkSince refuses a customer unless the cool-down has passed since a time.
func (b *Book) checkSince(r kv.Reader, c *storev1.Account, since, now time.Time) error {
	policy, err := b.ownerships.Policies.Of(r, resource.Parent(c.GetName()))
	if err != nil {
		return err
	}
	wait := policy.GetCoolDown().AsDuration()
	ready := since.Add(wait)
	if wait <= 0 || !now.Before(ready) {
		return nil
	}
	return errs.New(errs.Precondition, "OWNERSHIP_COOL_DOWN",
		"the customer was handed over or let go a short while ago and stays as it is until "+ready.UTC().Format(time.RFC3339),
		errs.Meta("ready_time", ready.UTC().Format(time.RFC3339)))
}

// checkDay refuses one customer more than somebody may be handed in a day.
func (b *Book) checkDay(r kv.Reader, to string, now time.Time) error {
	policy, err := b.ownerships.Policies.Of(r, resource.Parent(to))
	if err != nil {
		return err
	}
	n, err := b.ownerships.Received(r, to, now)
	if err != nil || n < policy.GetDailyLimit() {
		return err
	}
	return errs.New(errs.Exhausted, "OWNER_DAILY_LIMIT",
		fmt.Sprintf("a member of staff can be handed %d customers a day, and has been today; try again after midnight UTC", policy.GetDailyLimit()))
}

// Inherit gives customers of an owner who has left to others, in turn, and returns
// how many and whether there are more. Errors are NotFound
// (STAFF_MEMBER_NOT_FOUND) and Precondition (OWNER_NOT_DEPARTED, OWNER_NOT_ACTIVE).
func (b *Book) Inherit(tx *change.Tx, owner string, successors []string, by ownership.By) (n int, more bool, err error) {
	rec, err := b.accounts.Get(tx, owner)
	if err != nil {
		return 0, false, err
	}
	if account.CanLogIn(rec.Value) {
		return 0, false, errs.New(errs.Precondition, "OWNER_NOT_DEPARTED",
			"the owner is active; disable or delete the account first, or assign the customers to others one by one")
	}
	for _, s := range successors {
		if err := b.CheckRecipient(tx, "successors", s); err != nil {
			return 0, false, err
		}
	}
	owned, err := b.accounts.Owned(tx, owner, inheritChunk+1)
	if err != nil {
		return 0, false, err
	}
	if len(owned) == 0 {
		tx.Unchanged()
	}
	for i, c := range owned[:min(len(owned), inheritChunk)] {
		to := successors[i%len(successors)]
		if _, err := b.accounts.SetOwner(tx, c, ownership.Move{To: to, Cause: ownership.Inherited, By: by}); err != nil {
			return n, false, err
		}
		n++
	}
	return n, len(owned) > inheritChunk, nil
}

// Refuse gives a customer that does not want its new owner back to the one before,
// or to nobody when there was none or who was has left. Errors are NotFound
// (CUSTOMER_NOT_FOUND), Conflict (ETAG_MISMATCH) and Precondition
// (CUSTOMER_NOT_ACTIVE, DECLINE_WINDOW_OVER).
func (b *Book) Refuse(tx *change.Tx, customer, etag string, by ownership.By) (kv.Record[*storev1.Account], error) {
	rec, err := b.customer(tx, customer, etag)
	if err != nil {
		return rec, err
	}
	last, err := b.ownerships.Last(tx, customer)
	if err != nil {
		return rec, err
	}
	deadline := last.GetDeclineDeadline()
	if deadline == nil || last.GetEndTime() != nil || !tx.Time.Before(deadline.AsTime()) {
		return rec, errs.New(errs.Precondition, "DECLINE_WINDOW_OVER", "the owner is not new any more; ask for another instead")
	}
	back := last.GetPreviousOwner()
	departed, err := b.departed(tx, back)
	if err != nil {
		return rec, err
	}
	if departed {
		back = ""
	}
	return b.accounts.SetOwner(tx, rec, ownership.Move{To: back, Cause: ownership.Declined, By: by})
}

func notActive(message string) error {
	return errs.New(errs.Precondition, "CUSTOMER_NOT_ACTIVE", message)
}
