package feed

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/shard"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
)

// MaxEventSize is the most bytes of an event. A consumer that needs more reads
// the resource.
const MaxEventSize = 32 << 10

// Append adds e to the feed in the transaction of the change it tells of, and
// sets its id, source, partition and sequence. The caller sets the rest, at
// least type, subject and time, and calls Notify when the transaction has
// committed.
//
// Append returns Internal for an event without those fields, one larger than
// MaxEventSize, and one whose data has a set field that is marked as personal
// or secret: a feed outlives the erasure of a person.
func (l *Log) Append(tx kv.Tx, e *eventv1.Event) error {
	if e.GetType() == "" || e.GetSubject() == "" || !e.GetTime().IsValid() {
		return internal("an event needs a type, a subject and a time; this one is of type %q", e.GetType())
	}
	if err := l.checkMarks(e); err != nil {
		return err
	}
	p := shard.Of(e.GetSubject(), l.partitions)
	key, err := headKey(p)
	if err != nil {
		return err
	}
	row, err := tx.Get(tableHeads, key)
	if err != nil {
		return err
	}
	last, err := sequenceOf(row)
	if err != nil {
		return err
	}
	e.Partition, e.Sequence = p, last+1
	e.Id = fmt.Sprintf("%d-%d", p, e.GetSequence())
	e.Source = "//" + l.cfg.Service + ".guildhall.dev"
	if err := putEvent(tx, e); err != nil {
		return err
	}
	return putSequence(tx, key, e.GetSequence())
}

func (l *Log) checkMarks(e *eventv1.Event) error {
	if e.GetData() == nil {
		return nil
	}
	path, err := l.marks.Find(e.GetData())
	if err != nil {
		return internal("the data of an event of type %q: %w", e.GetType(), err)
	}
	if path != "" {
		return internal("the data of an event of type %q sets the marked field %s; events hold no personal data and no secrets", e.GetType(), path)
	}
	return nil
}

func putEvent(tx kv.Tx, e *eventv1.Event) error {
	row, err := proto.Marshal(e)
	if err != nil {
		return internal("encode an event of type %q: %w", e.GetType(), err)
	}
	if len(row) > MaxEventSize {
		return internal("an event of type %q takes %d bytes, more than %d", e.GetType(), len(row), MaxEventSize)
	}
	key, err := eventKey(e.GetPartition(), e.GetSequence())
	if err != nil {
		return err
	}
	return tx.Put(tableEvents, key, row)
}

// internal is a mistake in our code, found at run time.
func internal(format string, args ...any) error {
	return errs.New(errs.Internal, "INTERNAL", errs.InternalMessage, errs.Cause(fmt.Errorf("feed: "+format, args...)))
}
