package account

import (
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/stage"
)

// SetStage moves a customer to another stage, because somebody says so. Errors are
// NotFound (CUSTOMER_NOT_FOUND), Conflict (ETAG_MISMATCH) and Precondition:
// ILLEGAL_STATE for a deleted one, STAGE_MOVE_FORBIDDEN and STAGE_HAS_PURCHASES.
func (b *Book) SetStage(tx *change.Tx, name string, to identityv1.LifecycleStage, etag, actor, reason string) (kv.Record[*storev1.Account], error) {
	old, err := b.changeable(tx, name, etag)
	if err != nil {
		return old, err
	}
	if old.Value.GetStage() == to {
		tx.Unchanged()
		return old, nil
	}
	summary, err := b.cfg.Orders.Summary(tx, name)
	if err != nil {
		return old, err
	}
	if err := stage.Check(old.Value.GetStage(), to, summary.GetPurchaseCount()); err != nil {
		return old, err
	}
	return b.moveStage(tx, old, stage.Move{To: to, Cause: stage.Manual, Actor: actor, Reason: reason})
}

// moveStage gives the customer of a record, which is the present one, the stage
// m.To. Whether that may be has been decided; the fields of m that the customer
// says are set here. Rules of segments do not speak of stages, so that no
// membership follows from it.
func (b *Book) moveStage(tx *change.Tx, old kv.Record[*storev1.Account], m stage.Move) (kv.Record[*storev1.Account], error) {
	now := proto.CloneOf(old.Value)
	m.Customer, m.From, m.Since = now.GetName(), now.GetStage(), now.GetStageTime()
	at, err := b.cfg.Stages.Move(tx, m)
	if err != nil {
		return old, err
	}
	now.Stage, now.StageTime, now.UpdateTime = m.To, at, timestamppb.New(tx.Time)
	if err := b.wind(tx, now, m.Cause == stage.Manual); err != nil {
		return old, err
	}
	return b.customers.Update(tx, now, "")
}

// wind sets the clock of a customer's stage.
func (b *Book) wind(tx kv.Tx, a *storev1.Account, byHand bool) error {
	summary, err := b.cfg.Orders.Summary(tx, a.GetName())
	if err != nil {
		return err
	}
	var bought time.Time
	if last := summary.GetLastOrderTime(); last != nil {
		bought = last.AsTime()
	}
	return b.cfg.Stages.Wind(tx, a.GetName(), a.GetStage(), bought, a.GetStageTime().AsTime(), byHand)
}

// Bought has a customer follow a purchase that was written down, as far as the
// organisation's policy wants it: to another stage, and in any case to a later time
// at which it last bought. A purchase that it has followed changes nothing.
func (b *Book) Bought(tx *change.Tx, customer, order string, at time.Time) error {
	if err := b.cfg.Stages.Bought(tx, customer, at); err != nil {
		return err
	}
	policy, err := b.cfg.Stages.Policies.Of(tx, resource.Parent(customer))
	if err != nil || !policy.GetFollowPurchases() {
		return err
	}
	rec, err := b.Get(tx, customer)
	if err != nil {
		return err
	}
	from, excused := rec.Value.GetStage(), false
	if from == stage.AtRisk || from == stage.Lapsed {
		if excused, err = b.cfg.Stages.Excused(tx, policy, customer, at, tx.Time); err != nil {
			return err
		}
	}
	to := stage.Follows(from, rec.Value.GetStageTime().AsTime(), at, excused)
	if to == from {
		return nil
	}
	_, err = b.moveStage(tx, rec, stage.Move{To: to, Cause: stage.Purchase, Order: order})
	return err
}

// Unbought sets the clock of a customer's stage anew, when an order was deleted. It
// stays in its stage: whether it should have come there somebody has to say.
func (b *Book) Unbought(tx *change.Tx, customer string) error {
	rec, found, err := b.Find(tx, customer)
	if err != nil || !found || deleted(rec.Value) {
		return err
	}
	return b.rewind(tx, rec.Value)
}

// rewind is wind for a customer that is where it was.
func (b *Book) rewind(tx kv.Tx, a *storev1.Account) error {
	byHand, err := b.cfg.Stages.ByHand(tx, a.GetName())
	if err != nil {
		return err
	}
	return b.wind(tx, a, byHand)
}

// Idle returns the names of up to limit customers who move to another stage because
// they have bought nothing for so long.
func (b *Book) Idle(r kv.Reader, now time.Time, limit int) ([]string, error) {
	return b.cfg.Stages.Idle(r, now, limit)
}

// Age has a customer move to another stage if it has bought nothing for so long. A
// customer that bought meanwhile stays where it is.
func (b *Book) Age(tx *change.Tx, name string) error {
	rec, found, err := b.Find(tx, name)
	if err != nil {
		return err
	}
	if !found || deleted(rec.Value) {
		tx.Unchanged()
		return b.cfg.Stages.Unwind(tx, name)
	}
	policy, err := b.cfg.Stages.Policies.Of(tx, resource.Parent(name))
	if err != nil {
		return err
	}
	from := rec.Value.GetStage()
	to, since, err := b.cfg.Stages.Due(tx, policy, name, from, tx.Time)
	if err != nil {
		return err
	}
	if to == from {
		tx.Unchanged()
		return b.rewind(tx, rec.Value)
	}
	_, err = b.moveStage(tx, rec, stage.Move{To: to, Cause: stage.Inactivity, IdleSince: since})
	return err
}

// begin puts a new customer into the first stage.
func (b *Book) begin(tx *change.Tx, a *storev1.Account) error {
	if !CustomerPattern.Matches(a.GetName()) {
		return nil
	}
	a.Stage, a.StageTime = stage.Lead, timestamppb.New(tx.Time)
	return b.cfg.Stages.Count(tx, resource.Parent(a.GetName()), a.GetStage(), 1)
}

// followStage keeps what follows for a customer's stage from a change of state: one
// that is deleted counts no more, and does not age.
func (b *Book) followStage(tx kv.Tx, old, now *storev1.Account) error {
	if !CustomerPattern.Matches(now.GetName()) || deleted(old) == deleted(now) {
		return nil
	}
	organization := resource.Parent(now.GetName())
	if !deleted(now) {
		if err := b.cfg.Stages.Count(tx, organization, now.GetStage(), 1); err != nil {
			return err
		}
		return b.rewind(tx, now)
	}
	if err := b.cfg.Stages.Count(tx, organization, now.GetStage(), -1); err != nil {
		return err
	}
	return b.cfg.Stages.Unwind(tx, now.GetName())
}
