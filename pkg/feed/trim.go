package feed

import (
	"context"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/kv"
)

// trimBatch is the most events one transaction of Trim removes.
const trimBatch = 500

// Trim removes the events that are past retention and returns how many they
// were. A partition keeps everything from its first younger event on, so a
// cursor stays exact. Replicas may trim at once.
func (l *Log) Trim(ctx context.Context) (int, error) {
	before := l.cfg.Clock().Add(-l.cfg.Retention)
	due, err := l.overdue(ctx, before)
	if err != nil {
		return 0, err
	}
	total := 0
	for _, head := range due {
		for {
			n, err := l.trimPartition(ctx, head, before)
			total += n
			if err != nil {
				return total, err
			}
			if n < trimBatch {
				break
			}
		}
	}
	return total, nil
}

// overdue returns the last slots of the partitions whose oldest event is past
// retention.
func (l *Log) overdue(ctx context.Context, before time.Time) ([]slot, error) {
	var due []slot
	err := l.cfg.Store.View(ctx, func(r kv.Reader) error {
		due = nil
		b, err := l.readBounds(r)
		if err != nil {
			return err
		}
		var oldest []slot
		for p := range b.heads {
			if b.heads[p] > b.floors[p] {
				oldest = append(oldest, slot{uint32(p), b.floors[p] + 1})
			}
		}
		events, _, err := readEvents(r, oldest)
		for _, e := range events {
			if e.GetTime().AsTime().Before(before) {
				due = append(due, slot{e.GetPartition(), b.heads[e.GetPartition()]})
			}
		}
		return err
	})
	return due, err
}

// trimPartition removes one batch of events up to head. It does not read the
// head row, which writers of the partition change all the time.
func (l *Log) trimPartition(ctx context.Context, head slot, before time.Time) (int, error) {
	trimmed := 0
	err := l.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		trimmed = 0
		key, err := floorKey(head.partition)
		if err != nil {
			return err
		}
		row, err := tx.Get(tableHeads, key)
		if err != nil {
			return err
		}
		floor, err := sequenceOf(row)
		if err != nil {
			return err
		}
		var slots []slot
		for seq := floor + 1; seq <= head.sequence && len(slots) < trimBatch; seq++ {
			slots = append(slots, slot{head.partition, seq})
		}
		events, _, err := readEvents(tx, slots)
		if err != nil {
			return err
		}
		for _, e := range events {
			if !e.GetTime().AsTime().Before(before) {
				break
			}
			trimmed++
		}
		return dropEvents(tx, key, slots[:trimmed])
	})
	return trimmed, err
}

// dropEvents removes the oldest events of a partition and moves its floor.
func dropEvents(tx kv.Tx, floor []byte, slots []slot) error {
	for _, s := range slots {
		key, err := eventKey(s.partition, s.sequence)
		if err != nil {
			return err
		}
		if err := tx.Delete(tableEvents, key); err != nil {
			return err
		}
	}
	if len(slots) == 0 {
		return nil
	}
	return putSequence(tx, floor, slots[len(slots)-1].sequence)
}

// keptSince returns a time since when everything is in the feed: the epoch when
// nothing was ever removed. Nothing that a read before the call has missed is younger.
func (l *Log) keptSince(ctx context.Context) (*timestamppb.Timestamp, error) {
	since, kept := time.Unix(0, 0), l.cfg.Clock().Add(-l.cfg.Retention)
	err := l.cfg.Store.View(ctx, func(r kv.Reader) error {
		b, err := l.readBounds(r)
		if slices.ContainsFunc(b.floors, func(seq uint64) bool { return seq > 0 }) {
			since = kept
		}
		return err
	})
	return timestamppb.New(since), err
}
