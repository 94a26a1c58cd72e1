// Package task keeps what the staff of an organisation have to do.
//
//	create      complete
//	──────▶ OPEN ──────▶ DONE        makes the next, when the task recurs
//	         │ ▲
//	         │ └ snooze, reassign, update
//	         └─────────▶ CANCELLED   ends what recurs, or skips this one
//	           cancel
//
// Both ends are for good, so that the next of a series is made once. When a task is
// due is kept twice: as planned, from which the next of a series is counted, and as
// the working calendar moves it off days off, by which it is listed and overdue.
//
// The package does not know accounts. Who may have a task, and who takes over from
// whom, is package desk's; it tells this one of an assignee who left (Depart), and
// account calls Forget for those who are gone for good.
package task

import (
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/recurrence"
	"guildhall.dev/services/identity/internal/revise"
	"guildhall.dev/services/identity/internal/workday"
)

// Pattern is the form of a task's name.
const Pattern = resource.Pattern("organizations/{organization}/tasks/{task}")

// event is what the types of events about tasks begin with.
const event = "guildhall.identity.task"

// The states of a task, for short.
const (
	open      = identityv1.Task_STATE_OPEN
	done      = identityv1.Task_STATE_DONE
	cancelled = identityv1.Task_STATE_CANCELLED
)

// horizon is how far from now a task is due at most.
const horizon = 10 * 366 * 24 * time.Hour

// Book keeps the tasks. It is safe for concurrent use.
type Book struct {
	tables
	calendars *workday.Book
}

// New returns a book.
func New(calendars *workday.Book) *Book { return &Book{newTables(), calendars} }

// Get returns a task. The error is NotFound (TASK_NOT_FOUND).
func (b *Book) Get(r kv.Reader, name string) (*identityv1.Task, error) {
	rec, found, err := b.tasks.Find(r, key(name))
	if err == nil && !found {
		err = NotFound(name)
	}
	return revise.View(rec), err
}

// NotFound is the refusal of a task that is not there, or not for the caller.
func NotFound(name string) error { return errs.NotFoundName(notFound, name) }

// Create makes a task with the name and the caller's fields of t, which somebody,
// "" for a program, makes for its assignee. Errors are Exists (TASK_EXISTS), those
// of Update, and none of NotFound.
func (b *Book) Create(tx *change.Tx, t *identityv1.Task, creator string) (*identityv1.Task, error) {
	rules := b.rules(tx)
	follow := rules.Follow
	rules.Follow = func(_, now *identityv1.Task) error {
		now.State, now.Creator = open, creator
		return follow(&identityv1.Task{}, now)
	}
	return revise.Create(tx, b.tasks, t, rules)
}

// Update changes the masked fields to those of t. Errors are NotFound
// (TASK_NOT_FOUND), Conflict (ETAG_MISMATCH), Precondition (TASK_ENDED,
// NO_BUSINESS_DAY) and Invalid: UPDATE_MASK_INVALID, TASK_TITLE_MISSING,
// DUE_TIME_MISSING, DUE_TIME_INVALID, RECURRENCE_INVALID.
func (b *Book) Update(tx *change.Tx, t *identityv1.Task, mask *fieldmaskpb.FieldMask) (*identityv1.Task, error) {
	return revise.Update(tx, b.tasks, t, mask, b.rules(tx))
}

// Delete removes a task and returns what it was. Errors are NotFound
// (TASK_NOT_FOUND) and Conflict (ETAG_MISMATCH).
func (b *Book) Delete(tx *change.Tx, name, etag string) (*identityv1.Task, error) {
	return revise.Delete(tx, b.tasks, key(name), etag, b.rules(tx))
}

func (b *Book) rules(tx *change.Tx) revise.Rules[*identityv1.Task] {
	return revise.Rules[*identityv1.Task]{
		Event:  event,
		Data:   func(t *identityv1.Task) proto.Message { return told(t, "") },
		Fields: []string{"title", "notes", "customer", "related", "due_time", "day_off_rule", "remind_before", "priority", "recurrence"},
		Fixed:  []string{"assignee"},
		Follow: func(old, now *identityv1.Task) error {
			if now.GetState() != open {
				return ended()
			}
			return b.complete(tx, old, now)
		},
	}
}

// complete refuses what is no task, and sets what follows from when it is due.
func (b *Book) complete(tx *change.Tx, old, now *identityv1.Task) error {
	if now.GetTitle() == "" {
		return errs.InvalidField("task.title", "TASK_TITLE_MISSING", "say what is to be done")
	}
	if err := checkDue(tx.Time, now); err != nil {
		return err
	}
	if now.GetRecurrence() == "" {
		now.Occurrence = 0
	} else {
		now.Occurrence = max(now.GetOccurrence(), 1)
	}
	moved := !proto.Equal(old.GetDueTime(), now.GetDueTime()) || old.GetDayOffRule() != now.GetDayOffRule()
	if moved {
		if err := b.move(tx, now); err != nil {
			return err
		}
	}
	if moved || !proto.Equal(old.GetRemindBefore(), now.GetRemindBefore()) {
		now.RemindTime, now.RemindedTime = nil, nil
		if before := now.GetRemindBefore(); before != nil {
			now.RemindTime = timestamppb.New(now.GetEffectiveDueTime().AsTime().Add(-before.AsDuration()))
		}
	}
	return nil
}

// checkDue refuses a time that no task is due at, and what needs one without it.
func checkDue(now time.Time, t *identityv1.Task) error {
	const missing = "DUE_TIME_MISSING"
	if due := t.GetDueTime(); due != nil {
		if d := due.AsTime().Sub(now).Abs(); d > horizon {
			return errs.InvalidField("task.due_time", "DUE_TIME_INVALID", "send a time within ten years of now")
		}
	} else if t.GetRemindBefore() != nil {
		return errs.InvalidField("task.remind_before", missing, "set due_time too: the reminder is counted from it")
	} else if t.GetRecurrence() != "" {
		return errs.InvalidField("task.recurrence", missing, "set due_time too: it is the first of the series")
	}
	if t.GetRecurrence() == "" {
		return nil
	}
	_, err := recurrence.Parse("task.recurrence", t.GetRecurrence())
	return err
}

// move sets when a task is due, off days off.
func (b *Book) move(r kv.Reader, t *identityv1.Task) error {
	t.EffectiveDueTime = nil
	if t.GetDueTime() == nil {
		return nil
	}
	calendar, err := b.calendars.Of(r, resource.Parent(t.GetName()))
	if err != nil {
		return err
	}
	at, err := calendar.Move(t.GetDueTime().AsTime(), t.GetDayOffRule())
	t.EffectiveDueTime = timestamppb.New(at)
	return err
}

func told(t *identityv1.Task, before string) *identityv1.TaskChanged {
	return &identityv1.TaskChanged{Assignee: t.GetAssignee(), PreviousAssignee: before, Customer: t.GetCustomer()}
}

func ended() error {
	return errs.New(errs.Precondition, "TASK_ENDED", "the task is done or cancelled; make another")
}
