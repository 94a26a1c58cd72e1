package ownership

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// revise changes the portfolio of an owner, which it makes when there is none.
func (b *Book) revise(tx kv.Tx, owner string, change func(*storev1.Portfolio)) error {
	rec, found, err := b.portfolios.Find(tx, key(owner))
	if err != nil {
		return err
	}
	p := rec.Value
	if !found {
		p = &storev1.Portfolio{Owner: owner}
	}
	change(p)
	_, err = b.portfolios.Put(tx, p, "")
	return err
}

// recount counts a customer out of one portfolio and into another.
func (b *Book) recount(tx *change.Tx, m Move) error {
	if m.Uncounted {
		return nil
	}
	if m.From != "" {
		if err := b.Count(tx, m.From, -1); err != nil {
			return err
		}
	}
	if m.To == "" {
		return nil
	}
	return b.revise(tx, m.To, func(p *storev1.Portfolio) {
		p.Customers++
		if m.HandsOver() {
			p.Received, p.ReceivedDate = received(p, tx.Time)+1, date(tx.Time)
		}
	})
}

// Count counts customers of an owner that come back from deletion, or go.
func (b *Book) Count(tx kv.Tx, owner string, by int64) error {
	return b.revise(tx, owner, func(p *storev1.Portfolio) { p.Customers += by })
}

// Received returns how many customers were handed to somebody on the day of a
// time, in UTC.
func (b *Book) Received(r kv.Reader, owner string, at time.Time) (int32, error) {
	rec, _, err := b.portfolios.Find(r, key(owner))
	return received(rec.Value, at), err
}

func received(p *storev1.Portfolio, at time.Time) int32 {
	if p.GetReceivedDate() != date(at) {
		return 0
	}
	return p.GetReceived()
}

func date(at time.Time) string { return at.UTC().Format(time.DateOnly) }

// Depart keeps that an owner, or somebody who may become one, is not there any
// more. What waits for them is cancelled; that is maxWaiting transfers at most.
func (b *Book) Depart(tx *change.Tx, staff string) error {
	if err := b.revise(tx, staff, func(p *storev1.Portfolio) { p.DepartTime = timestamppb.New(tx.Time) }); err != nil {
		return err
	}
	for rec, err := range b.transfers.Scan(tx, kv.Query{Index: byWaiting, Prefix: kv.Key{kv.String(staff)}}) {
		if err != nil {
			return err
		}
		if _, err := b.close(tx, rec.Value, cancelled, "", true); err != nil {
			return err
		}
	}
	return nil
}

// Return keeps that somebody who had departed is there again.
func (b *Book) Return(tx kv.Tx, staff string) error {
	return b.revise(tx, staff, func(p *storev1.Portfolio) { p.DepartTime = nil })
}

// Departed returns a page of an organisation's owners who have departed and still
// have customers, by name, and where to go on behind it, nil at the end.
func (b *Book) Departed(r kv.Reader, organization string, after []byte, limit int) ([]*identityv1.DepartedOwner, []byte, error) {
	page, err := b.portfolios.List(r, kv.Query{Index: byDeparted, Prefix: kv.Key{kv.String(organization)}, After: after, Limit: limit})
	out := make([]*identityv1.DepartedOwner, len(page.Records))
	for i, rec := range page.Records {
		out[i] = &identityv1.DepartedOwner{
			StaffMember: rec.Value.GetOwner(), DepartTime: rec.Value.GetDepartTime(), CustomerCount: rec.Value.GetCustomers(),
		}
	}
	return out, page.Next, err
}

// ForgetStaff removes what is kept under the name of a member of staff who is gone
// for good and has no customers any more: some of it at a time, and reports
// whether there is more. The periods of customers keep the name, as an audit log
// does.
func (b *Book) ForgetStaff(tx kv.Tx, staff string, limit int) (more bool, err error) {
	n, err := b.removeTransfers(tx, kv.Query{Index: byStaff, Prefix: kv.Key{kv.String(staff)}, Limit: limit})
	if err != nil || n == limit {
		return true, err
	}
	if _, found, err := b.portfolios.Find(tx, key(staff)); err != nil || !found {
		return false, err
	}
	_, err = b.portfolios.Delete(tx, key(staff), "")
	return false, err
}
