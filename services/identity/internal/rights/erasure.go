package rights

import (
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	subjectv1 "guildhall.dev/proto/gen/guildhall/subject/v1"
	"guildhall.dev/services/identity/internal/revise"
)

// Due returns the names of erasures whose time has come, at most limit.
func (b *Book) Due(r kv.Reader, now time.Time, limit int) ([]string, error) {
	due, err := b.requests.Due(r, byErase, now, limit)
	return revise.Names(due), err
}

// Running returns the names of erasures that have begun and not ended, the oldest
// first, at most limit, and where to go on behind them, nil at the end.
func (b *Book) Running(r kv.Reader, after []byte, limit int) (names []string, next []byte, err error) {
	return b.names(r, byBegun, after, limit)
}

// Wanted returns the request by which it is known of a customer that it asks to be
// erased, "" when there is none.
func (b *Book) Wanted(r kv.Reader, customer string) (string, error) {
	for rec, err := range b.of(r, customer) {
		if err != nil {
			return "", err
		}
		if open(rec.Value) && rec.Value.GetErasure() != nil {
			return rec.Value.GetName(), nil
		}
	}
	return "", nil
}

// Ready reports whether an erasure waits for its time alone, and that has come.
func (b *Book) Ready(r kv.Reader, name string, now time.Time) (bool, error) {
	rec, found, err := b.requests.Find(r, key(name))
	return found && waits(rec.Value) && !now.Before(rec.Value.GetErasure().GetEraseTime().AsTime()), err
}

// Begin begins an erasure that is Ready. Other requests of the customer have
// nothing to be about any more, and end.
func (b *Book) Begin(tx *change.Tx, name string) error {
	for rec, err := range b.of(tx, CustomerOf(name)) {
		if err != nil {
			return err
		}
		if other := rec.Value.GetName(); open(rec.Value) && other != name {
			if _, err := b.Withdraw(tx, other, ""); err != nil {
				return err
			}
		}
	}
	_, err := b.move(tx, name, "", "erasure_begun", func(q *identityv1.DataSubjectRequest) error {
		q.Erasure.BeginTime = timestamppb.New(tx.Time)
		return nil
	})
	return err
}

// SetHeld keeps whether a legal hold stops the erasure of a customer from beginning.
// One that has begun is not stopped, and whoever puts a hold has seen that there is
// none.
func (b *Book) SetHeld(tx *change.Tx, customer string, held bool) error {
	past := "released"
	if held {
		past = "held"
	}
	for rec, err := range b.of(tx, customer) {
		if err != nil {
			return err
		}
		q := rec.Value
		if !open(q) || q.GetErasure() == nil || begun(q) || q.GetErasure().GetHeld() == held {
			continue
		}
		if _, err := b.move(tx, q.GetName(), "", past, func(q *identityv1.DataSubjectRequest) error {
			q.Erasure.Held = held
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// Receive keeps the receipt of a service, and ends the erasure when it was the last
// of the services that there are. One that is there already stays.
func (b *Book) Receive(tx *change.Tx, name string, receipt *subjectv1.ErasureReceipt, services []string) error {
	_, err := b.move(tx, name, "", "receipt_added", func(q *identityv1.DataSubjectRequest) error {
		if !open(q) || !begun(q) || Received(q, receipt.GetService()) {
			return nil
		}
		q.Erasure.Receipts = append(q.Erasure.Receipts, proto.CloneOf(receipt))
		if !slices.ContainsFunc(services, func(s string) bool { return !Received(q, s) }) {
			q.State, q.EndTime = fulfilled, timestamppb.New(tx.Time)
		}
		return nil
	})
	return err
}

// Received reports whether a service has given its receipt.
func Received(q *identityv1.DataSubjectRequest, service string) bool {
	return slices.ContainsFunc(q.GetErasure().GetReceipts(), func(r *subjectv1.ErasureReceipt) bool { return r.GetService() == service })
}

// Erase removes the words from a customer's requests: that there were some stays,
// with what became of them, as the proof that they were answered.
func (b *Book) Erase(tx *change.Tx, customer string) (more bool, err error) {
	for rec, err := range b.of(tx, customer) {
		if err != nil {
			return false, err
		}
		if _, err := b.move(tx, rec.Value.GetName(), "", "erased", func(q *identityv1.DataSubjectRequest) error {
			q.Note, q.ExtensionReason, q.Answer = "", "", ""
			return nil
		}); err != nil {
			return false, err
		}
	}
	return false, nil
}
