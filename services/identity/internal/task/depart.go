package task

import (
	"time"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

const customer = resource.Pattern("organizations/{organization}/customers/{customer}")

// forgetChunk is how many tasks one transaction removes or rewrites.
const forgetChunk = 200

// Open returns up to limit open tasks of somebody, those due first; with a time,
// only those due before it.
func (b *Book) Open(r kv.Reader, assignee string, before time.Time, limit int) ([]*identityv1.Task, error) {
	q := kv.Query{Index: byState, Prefix: kv.Key{kv.String(assignee), kv.String(stateName(open))}, Limit: limit}
	if !before.IsZero() {
		q.Until = kv.Key{kv.Time(before)}
	}
	page, err := b.tasks.List(r, q)
	return page.Values(), err
}

// Depart keeps that an assignee is not there any more, if others have to take over.
func (b *Book) Depart(tx kv.Tx, staff string) error {
	open, err := b.Open(tx, staff, time.Time{}, 1)
	if err != nil || len(open) == 0 {
		return err
	}
	_, err = b.departures.Put(tx, &storev1.DepartedAssignee{StaffMember: staff}, "")
	return err
}

// Return keeps that there is nothing to take over from somebody any more, or that
// they are there again.
func (b *Book) Return(tx kv.Tx, staff string) error {
	_, err := b.departures.Remove(tx, kv.Key{kv.String(staff)})
	return err
}

// Departed calls each with everybody from whom others have to take over, until it
// returns false.
func (b *Book) Departed(r kv.Reader, each func(staff string) (bool, error)) error {
	for rec, err := range b.departures.Scan(r, kv.Query{}) {
		if err != nil {
			return err
		}
		if goOn, err := each(rec.Value.GetStaffMember()); err != nil || !goOn {
			return err
		}
	}
	return nil
}

// Forget removes the tasks about a customer who is gone for good, or the name of a
// member of staff from tasks: whoever gets it later is somebody else. It does some
// at a time, and reports whether there are more, for another transaction.
func (b *Book) Forget(tx kv.Tx, account string) (more bool, err error) {
	if customer.Matches(account) {
		return b.tasks.RemoveAll(tx, kv.Query{Index: byScope, Prefix: kv.Key{kv.String(account)}, Limit: forgetChunk})
	}
	named, err := b.tasks.List(tx, kv.Query{Index: byPerson, Prefix: kv.Key{kv.String(account)}, Limit: forgetChunk})
	if err != nil {
		return false, err
	}
	for _, rec := range named.Records {
		if _, err := b.tasks.Update(tx, without(rec.Value, account), ""); err != nil {
			return false, err
		}
	}
	if named.Next != nil {
		return true, nil
	}
	return false, b.Return(tx, account)
}

// without returns a task that does not name somebody.
func without(t *identityv1.Task, staff string) *identityv1.Task {
	out := proto.CloneOf(t)
	for _, field := range []*string{&out.Assignee, &out.Creator, &out.CoveredFor} {
		if *field == staff {
			*field = ""
		}
	}
	return out
}
