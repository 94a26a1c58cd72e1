package merge

import (
	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	subjectv1 "guildhall.dev/proto/gen/guildhall/subject/v1"
)

// chunk is how many rows of the ledger one transaction removes.
const chunk = 500

// Moved keeps which rows of a kind have moved; last says that it was all of the kind.
func (b *Book) Moved(tx *change.Tx, k Known, kind string, rows []*storev1.MovedRow, last bool) error {
	for _, row := range rows {
		row.Merge, row.Kind = k.Record.GetName(), kind
		if _, err := b.rows.Put(tx, row, ""); err != nil {
			return err
		}
	}
	count(k, kind, len(rows))
	if last {
		k.KindsDone++
	}
	_, err := b.put(tx, k, "")
	return err
}

// count adds rows of a kind to what a record says has moved.
func count(k Known, kind string, n int) {
	if n == 0 {
		return
	}
	for _, m := range k.Record.GetMoved() {
		if m.GetKind() == kind {
			m.Count += int64(n)
			return
		}
	}
	k.Record.Moved = append(k.Record.Moved, &subjectv1.MovedKind{Kind: kind, Count: int64(n)})
}

// Rows returns some of the rows that a merge has moved, and not back.
func (b *Book) Rows(r kv.Reader, name string, limit int) ([]*storev1.MovedRow, error) {
	page, err := b.rows.List(r, kv.Query{Prefix: kv.Key{kv.String(name)}, Limit: limit})
	return page.Values(), err
}

// Back keeps that a row is back; there says that it went.
func (b *Book) Back(tx *change.Tx, k Known, row *storev1.MovedRow, there bool) error {
	if there {
		count(k, row.GetKind(), 1)
	}
	_, err := b.rows.Delete(tx, b.rows.KeyOf(row), "")
	return err
}

// Put stores what Back counted.
func (b *Book) Put(tx *change.Tx, k Known) error {
	_, err := b.put(tx, k, "")
	return err
}

// Trim removes some of the ledger of a merge, and reports whether there is more.
func (b *Book) Trim(tx kv.Tx, name string) (more bool, err error) {
	return b.rows.RemoveAll(tx, kv.Query{Prefix: kv.Key{kv.String(name)}, Limit: chunk})
}

// Close makes a merge, whose ledger is gone, one that cannot be undone any more, and
// removes what that took. One that is undone stays so.
func (b *Book) Close(tx *change.Tx, k Known) error {
	event := ""
	if k.Record.GetState() == merged {
		k.Record.State, event = final, FinalType
	}
	empty(k)
	_, err := b.put(tx, k, event)
	return err
}

// Erase removes some of what is personal in the merges of a customer, none of which
// moves, and reports whether there is more: that there were some stays.
func (b *Book) Erase(tx *change.Tx, customer string) (more bool, err error) {
	for rec, err := range b.of(tx, customer) {
		if err != nil {
			return false, err
		}
		k := known(rec)
		if bare := bared(k.Record); proto.Equal(bare, k.Record) && k.Record.GetState() != merged {
			continue
		}
		if more, err := b.Trim(tx, k.Record.GetName()); more || err != nil {
			return more, err
		}
		k.Record = bared(k.Record)
		return true, b.Close(tx, k)
	}
	return false, nil
}

// bared is a record without what it says of a person: that two were one, when, and how
// much has moved, stays.
func bared(r *identityv1.MergeRecord) *identityv1.MergeRecord {
	r = proto.CloneOf(r)
	r.Reason, r.LeftTags, r.Consents, r.JoinedSegments = "", nil, nil, nil
	r.DuplicateFields, r.DifferingFields, r.KeptFields = nil, nil, nil
	return r
}

// Forget removes some of the merges of a customer that is gone for good, and reports
// whether there is more.
func (b *Book) Forget(tx kv.Tx, customer string) (more bool, err error) {
	return b.forget(tx, customer, func(*identityv1.MergeRecord) bool { return true })
}

// ForgetInto is Forget for a tombstone: the merge that made it one stays, which leads to
// it.
func (b *Book) ForgetInto(tx kv.Tx, customer string) (more bool, err error) {
	return b.forget(tx, customer, func(m *identityv1.MergeRecord) bool { return m.GetSurvivor() == customer })
}

func (b *Book) forget(tx kv.Tx, customer string, selects func(*identityv1.MergeRecord) bool) (more bool, err error) {
	for rec, err := range b.of(tx, customer) {
		if err != nil {
			return false, err
		}
		name := rec.Value.GetRecord().GetName()
		if !selects(rec.Value.GetRecord()) {
			continue
		}
		if more, err := b.Trim(tx, name); more || err != nil {
			return more, err
		}
		_, err = b.merges.Delete(tx, key(name), "")
		return true, err
	}
	return false, nil
}
