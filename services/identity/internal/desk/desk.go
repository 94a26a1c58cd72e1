// Package desk decides who of the staff has which task: who may be given one, who
// takes over from somebody absent or gone, and who is reminded.
//
// It keeps nothing. Tasks are package task's and absences package absence's, which
// know no accounts. Who takes over is found when it is needed, not when an absence
// is planned, so that nobody is given the tasks of another who is not there either:
//
//	absent, and the task is due before the end ─▶ the substitute, or the
//	                                              substitute's own, and so on
//	suspended or deleted ─▶ the same; else who was covered for; else who looks
//	                        after the customer; else who made the task; else nobody
//
// A task that finds nobody keeps its assignee while that one is absent, and has none
// when that one is gone, which is what a list of them is for.
package desk

import (
	"time"

	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/absence"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/delivery"
	"guildhall.dev/services/identity/internal/organization"
	"guildhall.dev/services/identity/internal/task"
	"guildhall.dev/services/identity/internal/workday"
)

// reassignChunk is how many tasks one call of Reassign gives away.
const reassignChunk = 200

// Config says what a Desk needs. All of it is required.
type Config struct {
	Organizations *organization.Book
	Accounts      *account.Book
	Tasks         *task.Book
	Absences      *absence.Book
	Calendars     *workday.Book
	Outbox        *delivery.Book
}

// Desk gives tasks to people. It is safe for concurrent use.
type Desk struct{ cfg Config }

// New returns a desk.
func New(cfg Config) *Desk { return &Desk{cfg} }

// Create makes a task with the name and the caller's fields of t; creator is "" for
// a program. It is due some business days from now where that is said. Errors are
// NotFound (ORGANIZATION_NOT_FOUND, STAFF_MEMBER_NOT_FOUND, CUSTOMER_NOT_FOUND),
// Precondition (ASSIGNEE_NOT_ACTIVE, NO_BUSINESS_DAY) and those of task.Create.
func (d *Desk) Create(tx *change.Tx, t *identityv1.Task, creator string, businessDays *int32) (*identityv1.Task, error) {
	organization := resource.Parent(t.GetName())
	if _, err := d.cfg.Organizations.Get(tx, organization); err != nil {
		return nil, err
	}
	if err := d.checkCustomer(tx, organization, t.GetCustomer()); err != nil {
		return nil, err
	}
	if t.GetAssignee() != "" {
		if err := d.checkAssignee(tx, organization, "task.assignee", t.GetAssignee()); err != nil {
			return nil, err
		}
	}
	if businessDays != nil {
		if err := d.dueIn(tx, t, int(*businessDays)); err != nil {
			return nil, err
		}
	}
	return d.cfg.Tasks.Create(tx, t, creator)
}

// Update changes the masked fields to those of t. Errors are NotFound
// (TASK_NOT_FOUND, CUSTOMER_NOT_FOUND) and those of task.Update.
func (d *Desk) Update(tx *change.Tx, t *identityv1.Task, mask *fieldmaskpb.FieldMask) (*identityv1.Task, error) {
	if err := d.checkCustomer(tx, resource.Parent(t.GetName()), t.GetCustomer()); err != nil {
		return nil, err
	}
	return d.cfg.Tasks.Update(tx, t, mask)
}

func (d *Desk) checkCustomer(r kv.Reader, organization, customer string) error {
	if customer == "" {
		return nil
	}
	if resource.Parent(customer) != organization {
		return errs.InvalidField("task.customer", "PARENT_MISMATCH", "name a customer of the task's organization")
	}
	return d.cfg.Accounts.CheckThere(r, customer)
}

// checkAssignee refuses who cannot have tasks: NotFound (STAFF_MEMBER_NOT_FOUND),
// also for one of another organisation, and Precondition (ASSIGNEE_NOT_ACTIVE), on
// the field.
func (d *Desk) checkAssignee(r kv.Reader, organization, field, staff string) error {
	return d.cfg.Accounts.CheckActing(r, organization, staff, field, "ASSIGNEE_NOT_ACTIVE")
}

// CheckSubstitute refuses who cannot stand in, as checkAssignee does, for "" aside.
func (d *Desk) CheckSubstitute(r kv.Reader, a *identityv1.Absence) error {
	if a.GetSubstitute() == "" {
		return nil
	}
	organization := resource.Parent(resource.Parent(a.GetName()))
	return d.checkAssignee(r, organization, "absence.substitute", a.GetSubstitute())
}

func (d *Desk) dueIn(tx *change.Tx, t *identityv1.Task, n int) error {
	calendar, err := d.cfg.Calendars.Of(tx, resource.Parent(t.GetName()))
	if err != nil {
		return err
	}
	at, err := calendar.After(tx.Time, n)
	t.DueTime = timestamppb.New(at)
	return err
}

// Complete says that a task is done. Errors are those of task.Complete.
func (d *Desk) Complete(tx *change.Tx, name, etag, outcome string) (*identityv1.Task, error) {
	return d.cfg.Tasks.Complete(tx, name, etag, outcome, d.heir(tx))
}

// Cancel says that a task will not be done; skip, that the next of its series will.
// Errors are those of task.Cancel.
func (d *Desk) Cancel(tx *change.Tx, name, etag, outcome string, skip bool) (*identityv1.Task, error) {
	var heir task.Heir
	if skip {
		heir = d.heir(tx)
	}
	return d.cfg.Tasks.Cancel(tx, name, etag, outcome, heir)
}

// heir gives the next of a series to whose it was before somebody stood in.
func (d *Desk) heir(r kv.Reader) task.Heir {
	return func(t *identityv1.Task) (string, error) {
		return d.first(r, func(string) bool { return true }, t.GetCoveredFor(), t.GetAssignee(), t.GetCreator())
	}
}

// Reassign gives a task to somebody. Errors are NotFound (STAFF_MEMBER_NOT_FOUND),
// Precondition (ASSIGNEE_NOT_ACTIVE) and those of task.Assign.
func (d *Desk) Reassign(tx *change.Tx, name, etag, to string) (*identityv1.Task, error) {
	if err := d.checkAssignee(tx, resource.Parent(name), "assignee", to); err != nil {
		return nil, err
	}
	return d.cfg.Tasks.Assign(tx, name, etag, to, "")
}

// ReassignAll gives open tasks of somebody to others in turn, and returns how many
// and whether there are more. Errors are NotFound (STAFF_MEMBER_NOT_FOUND),
// Precondition (ASSIGNEE_NOT_ACTIVE) and Invalid (ASSIGNEE_UNCHANGED).
func (d *Desk) ReassignAll(tx *change.Tx, from string, successors []string) (n int, more bool, err error) {
	if _, err := d.cfg.Accounts.Get(tx, from); err != nil {
		return 0, false, err
	}
	for _, s := range successors {
		if s == from {
			return 0, false, errs.InvalidField("successors", "ASSIGNEE_UNCHANGED", "name others than whose tasks they are")
		}
		if err := d.checkAssignee(tx, resource.Parent(from), "successors", s); err != nil {
			return 0, false, err
		}
	}
	open, err := d.cfg.Tasks.Open(tx, from, time.Time{}, reassignChunk+1)
	if err != nil {
		return 0, false, err
	}
	if len(open) == 0 {
		tx.Unchanged()
	}
	for i, t := range open[:min(len(open), reassignChunk)] {
		if _, err := d.cfg.Tasks.Assign(tx, t.GetName(), "", successors[i%len(successors)], ""); err != nil {
			return n, false, err
		}
		n++
	}
	return n, len(open) > reassignChunk, nil
}
