// Package absence keeps when members of staff are not there, and who stands in for
// them.
//
// It does not know accounts: that somebody is there, who calls it has seen, and
// asks again when it matters, for an account can be disabled afterwards.
package absence

import (
	"time"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/revise"
)

// Pattern is the form of an absence's name.
const Pattern = resource.Pattern("organizations/{organization}/staff/{staff_member}/absences/{absence}")

const notFound = "ABSENCE_NOT_FOUND"

const (
	// most is how many absences somebody has at most, a year of past ones included.
	most = 400
	// longest is how long an absence lasts at most.
	longest = 2 * 366 * 24 * time.Hour
	// keep is how long one is kept after its end.
	keep = 365 * 24 * time.Hour
)

// The indexes.
const (
	byStaff      = "staff" // and end
	byEnd        = "end"
	bySubstitute = "substitute"
)

// Book keeps the absences. It is safe for concurrent use.
type Book struct {
	table *kv.Table[*identityv1.Absence]
}

// New returns a book.
func New() *Book {
	end := func(a *identityv1.Absence) kv.Part { return kv.Time(a.GetEndTime().AsTime()) }
	// (staff, name) -> Absence
	return &Book{kv.NewTable(kv.TableConfig[*identityv1.Absence]{
		Name: "absences", NotFound: notFound, Exists: "ABSENCE_EXISTS",
		Key: func(a *identityv1.Absence) kv.Key { return key(a.GetName()) },
		Indexes: []kv.Index[*identityv1.Absence]{
			{Name: byStaff, Keys: func(a *identityv1.Absence) []kv.Key { return []kv.Key{{kv.String(staffOf(a)), end(a)}} }},
			{Name: byEnd, Keys: func(a *identityv1.Absence) []kv.Key { return []kv.Key{{end(a)}} }},
			{Name: bySubstitute, Keys: func(a *identityv1.Absence) []kv.Key {
				if a.GetSubstitute() == "" {
					return nil
				}
				return []kv.Key{{kv.String(a.GetSubstitute())}}
			}},
		},
	})}
}

// Tables returns the raw tables of a book.
func (b *Book) Tables() []string { return b.table.Tables() }

func staffOf(a *identityv1.Absence) string { return resource.Parent(a.GetName()) }

func key(name string) kv.Key { return kv.Key{kv.String(resource.Parent(name)), kv.String(name)} }

// Get returns an absence. The error is NotFound (ABSENCE_NOT_FOUND).
func (b *Book) Get(r kv.Reader, name string) (*identityv1.Absence, error) {
	rec, err := b.table.Get(r, key(name))
	return revise.View(rec), err
}

// List returns a page of somebody's absences, the one that ends last first, and
// where to go on behind it, nil at the end.
func (b *Book) List(r kv.Reader, staff string, after []byte, limit int) ([]*identityv1.Absence, []byte, error) {
	return revise.Views(b.table.List(r, kv.Query{
		Index: byStaff, Prefix: kv.Key{kv.String(staff)}, Reverse: true, After: after, Limit: limit,
	}))
}

// Create makes an absence with the name and the caller's fields of a. Errors are
// Exists (ABSENCE_EXISTS), Exhausted (ABSENCE_LIMIT), Precondition
// (ABSENCE_OVERLAP) and Invalid (ABSENCE_TIME_INVALID, SUBSTITUTE_INVALID).
func (b *Book) Create(tx *change.Tx, a *identityv1.Absence) (*identityv1.Absence, error) {
	if err := revise.CheckRoom(tx, b.table, kv.Query{Prefix: kv.Key{kv.String(staffOf(a))}}, most,
		"ABSENCE_LIMIT", "somebody has at most %d absences; delete some that are over"); err != nil {
		return nil, err
	}
	return revise.Create(tx, b.table, a, b.rules(tx))
}

// Update changes the masked fields to those of a. Errors are NotFound
// (ABSENCE_NOT_FOUND), Conflict (ETAG_MISMATCH), Precondition (ABSENCE_OVERLAP) and
// Invalid (UPDATE_MASK_INVALID, ABSENCE_TIME_INVALID, SUBSTITUTE_INVALID).
func (b *Book) Update(tx *change.Tx, a *identityv1.Absence, mask *fieldmaskpb.FieldMask) (*identityv1.Absence, error) {
	return revise.Update(tx, b.table, a, mask, b.rules(tx))
}

// Delete removes an absence and returns what it was. Errors are NotFound
// (ABSENCE_NOT_FOUND) and Conflict (ETAG_MISMATCH).
func (b *Book) Delete(tx *change.Tx, name, etag string) (*identityv1.Absence, error) {
	return revise.Delete(tx, b.table, key(name), etag, b.rules(tx))
}

func (b *Book) rules(tx *change.Tx) revise.Rules[*identityv1.Absence] {
	return revise.Rules[*identityv1.Absence]{
		Event:  "guildhall.identity.absence",
		Fields: []string{"start_time", "end_time", "substitute"},
		Follow: func(_, now *identityv1.Absence) error { return b.check(tx, now) },
	}
}

func (b *Book) check(r kv.Reader, a *identityv1.Absence) error {
	start, end := a.GetStartTime().AsTime(), a.GetEndTime().AsTime()
	if a.GetStartTime() == nil || a.GetEndTime() == nil || !start.Before(end) || end.Sub(start) > longest {
		return errs.InvalidField("absence.end_time", "ABSENCE_TIME_INVALID", "send a start_time and a later end_time, within two years")
	}
	if a.GetSubstitute() == staffOf(a) {
		return errs.InvalidField("absence.substitute", "SUBSTITUTE_INVALID", "nobody stands in for themselves; name a colleague, or nobody")
	}
	for rec, err := range b.table.Scan(r, kv.Query{Index: byStaff, Prefix: kv.Key{kv.String(staffOf(a))}, From: kv.Key{kv.Time(start.Add(1))}}) {
		if err != nil {
			return err
		}
		if rec.Value.GetName() != a.GetName() && rec.Value.GetStartTime().AsTime().Before(end) {
			return errs.New(errs.Precondition, "ABSENCE_OVERLAP", "there is another absence in that time; change that one",
				errs.Meta("absence", rec.Value.GetName()))
		}
	}
	return nil
}

// At returns the absence that somebody is in at a time, nil for none.
func (b *Book) At(r kv.Reader, staff string, at time.Time) (*identityv1.Absence, error) {
	for rec, err := range b.table.Scan(r, kv.Query{
		Index: byStaff, Prefix: kv.Key{kv.String(staff)}, From: kv.Key{kv.Time(at.Add(1))}, Limit: 1,
	}) {
		if err != nil || rec.Value.GetStartTime().AsTime().After(at) {
			return nil, err
		}
		return rec.Value, nil
	}
	return nil, nil
}

// Current calls each with every absence that a time is in, until it returns false.
func (b *Book) Current(r kv.Reader, at time.Time, each func(*identityv1.Absence) (bool, error)) error {
	for rec, err := range b.table.Scan(r, kv.Query{Index: byEnd, From: kv.Key{kv.Time(at.Add(1))}}) {
		if err != nil {
			return err
		}
		if rec.Value.GetStartTime().AsTime().After(at) {
			continue
		}
		if goOn, err := each(rec.Value); err != nil || !goOn {
			return err
		}
	}
	return nil
}

// Forget removes the absences of a member of staff who is gone for good, and the
// name from those in which they were to stand in: at most limit of each. It reports
// whether there may be more.
func (b *Book) Forget(tx kv.Tx, staff string, limit int) (more bool, err error) {
	more, err = b.table.RemoveAll(tx, kv.Query{Prefix: kv.Key{kv.String(staff)}, Limit: limit})
	if err != nil {
		return false, err
	}
	others, err := b.table.List(tx, kv.Query{Index: bySubstitute, Prefix: kv.Key{kv.String(staff)}, Limit: limit})
	if err != nil {
		return false, err
	}
	for _, rec := range others.Records {
		if _, err := b.table.Modify(tx, key(rec.Value.GetName()), "", func(a *identityv1.Absence) error {
			a.Substitute = ""
			return nil
		}); err != nil {
			return false, err
		}
	}
	return more || others.Next != nil, nil
}

// Sweep removes absences that ended a year ago, and returns how many.
func (b *Book) Sweep(tx kv.Tx, now time.Time, limit int) (int, error) {
	return b.table.RemoveDue(tx, byEnd, now.Add(-keep), limit)
}
