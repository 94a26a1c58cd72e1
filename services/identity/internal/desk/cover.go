package desk

import (
	"slices"
	"time"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/delivery"
	"guildhall.dev/services/identity/internal/message"
)

// maxChain is how many substitutes of substitutes are asked for.
const maxChain = 5

// noticeLife is how long it is of use to be reminded of a task.
const noticeLife = 3 * 24 * time.Hour

// Coverable returns the names of at most limit tasks that others have to take over.
func (d *Desk) Coverable(r kv.Reader, now time.Time, limit int) (names []string, err error) {
	take := func(assignee string, before time.Time) (bool, error) {
		open, err := d.cfg.Tasks.Open(r, assignee, before, limit-len(names))
		for _, t := range open {
			names = append(names, t.GetName())
		}
		return len(names) < limit, err
	}
	if err := d.cfg.Tasks.Departed(r, func(staff string) (bool, error) { return take(staff, time.Time{}) }); err != nil || len(names) == limit {
		return names, err
	}
	err = d.cfg.Absences.Current(r, now, func(a *identityv1.Absence) (bool, error) {
		staff := resource.Parent(a.GetName())
		if to, err := d.standIn(r, staff, now); err != nil || to == "" {
			return err == nil, err
		}
		return take(staff, a.GetEndTime().AsTime())
	})
	return names, err
}

// Cover gives a task to who takes over, if somebody has to.
func (d *Desk) Cover(tx *change.Tx, name string) error {
	t, err := d.cfg.Tasks.Get(tx, name)
	if err != nil || t.GetState() != identityv1.Task_STATE_OPEN || t.GetAssignee() == "" {
		return d.nothing(tx, err)
	}
	from := t.GetAssignee()
	here, err := d.here(tx, from)
	if err != nil {
		return err
	}
	if !here {
		return d.takeOver(tx, t)
	}
	a, err := d.cfg.Absences.At(tx, from, tx.Time)
	if err != nil || a == nil || t.GetEffectiveDueTime() == nil || !t.GetEffectiveDueTime().AsTime().Before(a.GetEndTime().AsTime()) {
		return d.nothing(tx, err)
	}
	to, err := d.standIn(tx, from, tx.Time)
	if err != nil || to == "" {
		return d.nothing(tx, err)
	}
	owner := t.GetCoveredFor()
	if owner == "" {
		owner = from
	}
	_, err = d.cfg.Tasks.Assign(tx, name, "", to, owner)
	return err
}

// nothing says that there is nothing to do, or returns the error; that a task is
// gone meanwhile is none.
func (d *Desk) nothing(tx *change.Tx, err error) error {
	if err == nil || errs.Is(err, errs.NotFound) {
		tx.Unchanged()
		return nil
	}
	return err
}

// takeOver gives the task of somebody who is gone to somebody else, or to nobody.
func (d *Desk) takeOver(tx *change.Tx, t *identityv1.Task) error {
	from := t.GetAssignee()
	to, err := d.standIn(tx, from, tx.Time)
	if err != nil {
		return err
	}
	owner := ""
	if t.GetCustomer() != "" {
		rec, _, err := d.cfg.Accounts.Find(tx, t.GetCustomer())
		if err != nil {
			return err
		}
		owner = rec.Value.GetOwner()
	}
	if to, err = d.first(tx, func(n string) bool { return n != from }, to, t.GetCoveredFor(), owner, t.GetCreator()); err != nil {
		return err
	}
	if _, err := d.cfg.Tasks.Assign(tx, t.GetName(), "", to, ""); err != nil {
		return err
	}
	left, err := d.cfg.Tasks.Open(tx, from, time.Time{}, 1)
	if err != nil || len(left) > 0 {
		return err
	}
	return d.cfg.Tasks.Return(tx, from)
}

// first returns the first of some members of staff who is there and may be, "" for
// none.
func (d *Desk) first(r kv.Reader, may func(string) bool, names ...string) (string, error) {
	for _, n := range names {
		here, err := d.here(r, n)
		if err != nil {
			return "", err
		}
		if here && may(n) {
			return n, nil
		}
	}
	return "", nil
}

// here reports whether somebody, "" for nobody, is neither suspended nor gone.
func (d *Desk) here(r kv.Reader, staff string) (bool, error) {
	if staff == "" {
		return false, nil
	}
	rec, found, err := d.cfg.Accounts.Find(r, staff)
	return err == nil && found && account.MayAct(rec.Value), err
}

// standIn returns who stands in for somebody at a time: who is there, and not
// absent; "" for nobody.
func (d *Desk) standIn(r kv.Reader, staff string, at time.Time) (string, error) {
	asked := []string{staff}
	for range maxChain {
		a, err := d.cfg.Absences.At(r, asked[len(asked)-1], at)
		if err != nil {
			return "", err
		}
		last := asked[len(asked)-1]
		if a == nil {
			if here, err := d.here(r, last); err != nil || !here || last == staff {
				return "", err
			}
			return last, nil
		}
		if a.GetSubstitute() == "" || slices.Contains(asked, a.GetSubstitute()) {
			return "", nil
		}
		asked = append(asked, a.GetSubstitute())
	}
	return "", nil
}

// Remind puts the reminder of a task into the outbox, once. It says that there is a
// task and when it is due, and not what it is: a message leaves the suite, and what
// staff write about customers does not.
func (d *Desk) Remind(tx *change.Tx, name string) error {
	t, err := d.cfg.Tasks.Reminded(tx, name)
	if err != nil || t == nil {
		return d.nothing(tx, err)
	}
	rec, found, err := d.cfg.Accounts.Find(tx, t.GetAssignee())
	if err != nil || !found || !account.MayAct(rec.Value) {
		return err
	}
	calendar, err := d.cfg.Calendars.Of(tx, resource.Parent(name))
	if err != nil {
		return err
	}
	at := t.GetRemindTime().AsTime()
	if t.GetEffectiveDueTime() != nil {
		at = t.GetEffectiveDueTime().AsTime()
	}
	_, err = d.cfg.Outbox.Enqueue(tx, delivery.Message{
		Account: rec.Value, Kind: message.TaskReminder, Values: message.Values{message.Time: message.MomentIn(at, calendar.Location())},
		Expire: tx.Time.Add(noticeLife),
	})
	return err
}
