// Package revision numbers the states of an organisation's grants and logs
// which names each change touched.
//
// Whoever keeps something read from the tables of this service keeps the
// revision it was read at beside it. It is good for as long as the log shows
// no later change that touched its name; so a cache needs no message to be
// right, and no deletion that could come too early or too late. The log knows
// names, not grants: it says what to read again, not what is there now.
//
// A number alone does not name a state. After a restore from a backup numbers
// are given out a second time, and a copy that outlived the restore (in Redis)
// would pass for one of the new history. So each revision also has a mark that
// depends on the whole history up to it, and two states are the same only if
// both agree.
package revision

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/permission/store/v1"
)

// Kept is how many changes of an organisation the log keeps. What was read
// longer ago than that is read again.
const Kept = 16384

// Tables. TableHeads is exported for those who watch a store for changes.
const (
	TableHeads = "revision_heads" // (organisation) -> Revision
	tableLog   = "revision_log"   // (organisation, number) -> Change
)

// Tables returns the raw tables of this package, for kv.Options.
func Tables() []string { return []string{TableHeads, tableLog} }

// Revision is a state of an organisation's grants. The zero Revision is that
// of an organisation in which nothing was ever granted. Compare with ==.
type Revision struct {
	// Number counts the organisation's changes.
	Number int64
	// Mark depends on all changes up to this one.
	Mark uint64
}

// Proto returns the revision as it is stored.
func (v Revision) Proto() *storev1.Revision {
	return &storev1.Revision{Number: v.Number, Mark: v.Mark}
}

// FromProto is the inverse of Proto; nil gives the zero Revision.
func FromProto(m *storev1.Revision) Revision {
	return Revision{Number: m.GetNumber(), Mark: m.GetMark()}
}

// Change is one entry of the log.
type Change struct {
	Revision Revision
	// Touched are the names of accounts, teams, classes of accounts and roles
	// whose meaning changed.
	Touched []string
}

// Bump moves the organisation on by one revision in the transaction of a
// change that touches the names, and returns the new one. The time is that of
// the change: it goes into the mark.
func Bump(tx kv.Tx, organization string, at time.Time, touched ...string) (Revision, error) {
	last, err := Head(tx, organization)
	if err != nil {
		return Revision{}, err
	}
	next := Revision{Number: last.Number + 1, Mark: mark(last, at, touched)}
	entry, err := proto.Marshal(&storev1.Change{Revision: next.Proto(), Touched: touched})
	if err != nil {
		return Revision{}, fmt.Errorf("encode a change: %w", err)
	}
	key, err := logKey(organization, next.Number)
	if err != nil {
		return Revision{}, err
	}
	if err := tx.Put(tableLog, key, entry); err != nil {
		return Revision{}, err
	}
	if err := trim(tx, organization, next.Number-Kept); err != nil {
		return Revision{}, err
	}
	return next, putHead(tx, organization, next)
}

// trim removes the entry that the newest one pushes out: one in, one out, so
// that no sweep is needed.
func trim(tx kv.Tx, organization string, number int64) error {
	if number < 1 {
		return nil
	}
	key, err := logKey(organization, number)
	if err != nil {
		return err
	}
	return tx.Delete(tableLog, key)
}

// Head returns the organisation's present revision.
func Head(r kv.Reader, organization string) (Revision, error) {
	heads, err := Heads(r, []string{organization})
	if err != nil {
		return Revision{}, err
	}
	return heads[0], nil
}

// Heads returns the present revisions of several organisations, in their
// order, in one round trip.
func Heads(r kv.Reader, organizations []string) ([]Revision, error) {
	keys := make([][]byte, len(organizations))
	for i, o := range organizations {
		var err error
		if keys[i], err = headKey(o); err != nil {
			return nil, err
		}
	}
	rows, err := r.GetMany(TableHeads, keys)
	if err != nil {
		return nil, err
	}
	heads := make([]Revision, len(rows))
	for i, row := range rows {
		if row == nil {
			continue
		}
		var m storev1.Revision
		if err := proto.Unmarshal(row, &m); err != nil {
			return nil, corrupt("a head", err)
		}
		heads[i] = FromProto(&m)
	}
	return heads, nil
}

// Since returns the changes behind the number, oldest first. complete is false
// when some of them are no longer in the log; then nothing that was read at
// the number can be kept.
func Since(r kv.Reader, organization string, number int64) (changes []Change, complete bool, err error) {
	start, err := logKey(organization, number+1)
	if err != nil {
		return nil, false, err
	}
	prefix, err := headKey(organization)
	if err != nil {
		return nil, false, err
	}
	for item, err := range r.Scan(tableLog, kv.Range{Start: start, End: kv.PrefixEnd(prefix)}) {
		if err != nil {
			return nil, false, err
		}
		var m storev1.Change
		if err := proto.Unmarshal(item.Value, &m); err != nil {
			return nil, false, corrupt("a log entry", err)
		}
		changes = append(changes, Change{Revision: FromProto(m.GetRevision()), Touched: m.GetTouched()})
	}
	if len(changes) > 0 {
		return changes, changes[0].Revision.Number == number+1, nil
	}
	head, err := Head(r, organization)
	return nil, head.Number <= number, err
}

// Watch returns what a write to TableHeads does: which organisation it moves
// on, and where to. ok is false for a row that is not of this package.
func Watch(key, value []byte) (organization string, to Revision, ok bool) {
	parts, err := kv.DecodeKey(key)
	if err != nil || len(parts) != 1 {
		return "", Revision{}, false
	}
	var m storev1.Revision
	if proto.Unmarshal(value, &m) != nil {
		return "", Revision{}, false
	}
	organization, ok = parts[0].Value().(string)
	return organization, FromProto(&m), ok
}

func putHead(tx kv.Tx, organization string, v Revision) error {
	row, err := proto.Marshal(v.Proto())
	if err != nil {
		return fmt.Errorf("encode a revision: %w", err)
	}
	key, err := headKey(organization)
	if err != nil {
		return err
	}
	return tx.Put(TableHeads, key, row)
}

func headKey(organization string) ([]byte, error) {
	return kv.Key{kv.String(organization)}.Encode(nil, nil, "")
}

func logKey(organization string, number int64) ([]byte, error) {
	return kv.Key{kv.String(organization), kv.Int64(number)}.Encode(nil, nil, "")
}

// mark chains the change to the history before it. Eight bytes of SHA-256 are
// for histories that differ by accident, not for an attacker: whoever can
// write the store needs no collision.
func mark(last Revision, at time.Time, touched []string) uint64 {
	h := sha256.New()
	var n [8]byte
	for _, v := range []uint64{last.Mark, uint64(last.Number), uint64(at.UnixNano())} {
		binary.BigEndian.PutUint64(n[:], v)
		h.Write(n[:])
	}
	for _, name := range touched {
		h.Write([]byte(name))
		h.Write([]byte{0})
	}
	return binary.BigEndian.Uint64(h.Sum(nil))
}

func corrupt(what string, err error) error {
	return errs.New(errs.Internal, "STORE_CORRUPT", errs.InternalMessage, errs.Cause(fmt.Errorf("revision: %s: %w", what, err)))
}
