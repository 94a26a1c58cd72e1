package task

import (
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/recurrence"
	"guildhall.dev/services/identity/internal/revise"
)

// maxSnooze is how far ahead a reminder is put off at most.
const maxSnooze = 366 * 24 * time.Hour

// Heir says whose the next of a series is.
type Heir func(*identityv1.Task) (string, error)

// Complete says that a task is done, and makes the next of its series; of one that
// is done it changes nothing. Errors are NotFound (TASK_NOT_FOUND), Conflict
// (ETAG_MISMATCH), Precondition (TASK_ENDED, NO_BUSINESS_DAY), and those of the heir.
func (b *Book) Complete(tx *change.Tx, name, etag, outcome string, heir Heir) (*identityv1.Task, error) {
	return b.end(tx, name, etag, ending{to: done, past: "completed", outcome: outcome, heir: heir})
}

// Cancel says that a task will not be done; with an heir, the next of its series
// is. Errors are those of Complete.
func (b *Book) Cancel(tx *change.Tx, name, etag, outcome string, heir Heir) (*identityv1.Task, error) {
	return b.end(tx, name, etag, ending{to: cancelled, past: "cancelled", outcome: outcome, heir: heir})
}

// ending is how a task ends. Without an heir its series ends too.
type ending struct {
	to            identityv1.Task_State
	past, outcome string
	heir          Heir
}

func (b *Book) end(tx *change.Tx, name, etag string, how ending) (*identityv1.Task, error) {
	rec, err := b.tasks.Get(tx, key(name))
	if err != nil {
		return nil, err
	}
	if rec.Value.GetState() == how.to {
		tx.Unchanged()
		return revise.View(rec), nil
	}
	if err := rec.CheckEtag(etag); err != nil {
		return nil, err
	}
	if rec.Value.GetState() != open {
		return nil, ended()
	}
	now := proto.CloneOf(rec.Value)
	now.State, now.Outcome, now.EndTime = how.to, how.outcome, timestamppb.New(tx.Time)
	var next *identityv1.Task
	if how.heir != nil {
		if next, err = b.next(tx, now); err != nil {
			return nil, err
		}
		now.NextTask = next.GetName()
	}
	out, err := b.write(tx, now, how.past, "state")
	if err != nil || next == nil {
		return out, err
	}
	if next.Assignee, err = how.heir(now); err != nil {
		return nil, err
	}
	if _, err := b.tasks.Create(tx, next); err != nil {
		return nil, err
	}
	tx.Record(change.Change{Resource: next.GetName(), Type: event + ".created.v1", ChangedFields: change.ChangedFields(nil, next), Data: told(next, "")})
	return out, nil
}

// next returns the task behind one of a series, nil at its end. Occurrences that
// have passed are left out: nobody can do them any more.
func (b *Book) next(tx *change.Tx, t *identityv1.Task) (*identityv1.Task, error) {
	if t.GetRecurrence() == "" {
		return nil, nil
	}
	organization := resource.Parent(t.GetName())
	calendar, err := b.calendars.Of(tx, organization)
	if err != nil {
		return nil, err
	}
	rule, err := recurrence.Parse("task.recurrence", t.GetRecurrence())
	if err != nil {
		return nil, err
	}
	at, n, ok := rule.Next(t.GetDueTime().AsTime().In(calendar.Location()), int(t.GetOccurrence()), tx.Time)
	if !ok {
		return nil, nil
	}
	next := &identityv1.Task{
		Name: organization + "/tasks/" + tx.NewID(), Title: t.GetTitle(), Notes: t.GetNotes(), Customer: t.GetCustomer(), Related: t.GetRelated(),
		DueTime: timestamppb.New(at), DayOffRule: t.GetDayOffRule(), RemindBefore: t.GetRemindBefore(), Priority: t.GetPriority(),
		State: open, Recurrence: t.GetRecurrence(), Occurrence: int32(n), Creator: t.GetCreator(),
		CreateTime: timestamppb.New(tx.Time), UpdateTime: timestamppb.New(tx.Time),
	}
	return next, b.complete(tx, &identityv1.Task{}, next)
}

// write stores a task that was changed in another way than by Update, and records
// it. It takes the task over.
func (b *Book) write(tx *change.Tx, now *identityv1.Task, past string, fields ...string) (*identityv1.Task, error) {
	now.UpdateTime = timestamppb.New(tx.Time)
	rec, err := b.tasks.Update(tx, now, "")
	if err != nil {
		return nil, err
	}
	tx.Record(change.Change{Resource: now.GetName(), Type: event + "." + past + ".v1", ChangedFields: fields, Data: told(now, "")})
	return revise.View(rec), nil
}

// opened returns a copy of a task that is open. Errors are NotFound
// (TASK_NOT_FOUND), Conflict (ETAG_MISMATCH) and Precondition (TASK_ENDED).
func (b *Book) opened(r kv.Reader, name, etag string) (*identityv1.Task, error) {
	rec, err := b.tasks.Get(r, key(name))
	if err != nil {
		return nil, err
	}
	if err := rec.CheckEtag(etag); err != nil {
		return nil, err
	}
	if rec.Value.GetState() != open {
		return nil, ended()
	}
	return proto.CloneOf(rec.Value), nil
}

// Snooze reminds of a task at another time. Errors are NotFound (TASK_NOT_FOUND),
// Conflict (ETAG_MISMATCH), Precondition (TASK_ENDED) and Invalid
// (SNOOZE_TIME_INVALID).
func (b *Book) Snooze(tx *change.Tx, name, etag string, until time.Time) (*identityv1.Task, error) {
	now, err := b.opened(tx, name, etag)
	if err != nil {
		return nil, err
	}
	if !until.After(tx.Time) || until.Sub(tx.Time) > maxSnooze {
		return nil, errs.InvalidField("until", "SNOOZE_TIME_INVALID", "send a time to come, within a year")
	}
	now.RemindTime, now.RemindedTime = timestamppb.New(until), nil
	now.SnoozeCount++
	return b.write(tx, now, "snoozed", "remind_time", "snooze_count")
}

// Assign gives a task to somebody, "" for nobody, who stands in for somebody else
// or for none. Whether that may be has been decided. Errors are NotFound
// (TASK_NOT_FOUND), Conflict (ETAG_MISMATCH) and Precondition (TASK_ENDED).
func (b *Book) Assign(tx *change.Tx, name, etag, to, coveredFor string) (*identityv1.Task, error) {
	now, err := b.opened(tx, name, etag)
	if err != nil {
		return nil, err
	}
	before := now.GetAssignee()
	if before == to {
		tx.Unchanged()
		return b.Get(tx, name)
	}
	now.Assignee, now.CoveredFor, now.UpdateTime = to, coveredFor, timestamppb.New(tx.Time)
	rec, err := b.tasks.Update(tx, now, "")
	if err != nil {
		return nil, err
	}
	tx.Record(change.Change{Resource: name, Type: event + ".reassigned.v1", ChangedFields: []string{"assignee"}, Data: told(now, before)})
	return revise.View(rec), nil
}

// Remindable returns the names of at most limit tasks to remind of.
func (b *Book) Remindable(r kv.Reader, now time.Time, limit int) ([]string, error) {
	due, err := b.tasks.Due(r, byRemind, now, limit)
	return revise.Names(due), err
}

// Reminded says that the reminder of a task is made, and returns the task; nil when
// there is nothing to remind of any more.
func (b *Book) Reminded(tx *change.Tx, name string) (*identityv1.Task, error) {
	rec, found, err := b.tasks.Find(tx, key(name))
	if err != nil || !found || !reminds(rec.Value) || tx.Time.Before(rec.Value.GetRemindTime().AsTime()) {
		return nil, err
	}
	now := proto.CloneOf(rec.Value)
	now.RemindedTime = timestamppb.New(tx.Time)
	if _, err := b.tasks.Update(tx, now, ""); err != nil {
		return nil, err
	}
	tx.Record(change.Change{
		Resource: name, Type: event + ".reminded.v1", ChangedFields: []string{"reminded_time"}, Data: told(now, ""), Covered: true,
	})
	return now, nil
}
