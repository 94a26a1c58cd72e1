package kv

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"
)

// verifyFaults is the most faults that Verify names.
const verifyFaults = 20

// errEnough ends a verification that has found enough.
var errEnough = errors.New("enough faults")

// Verify checks, on one snapshot, that every record reads and has all its
// index entries, and that every entry has its record. The error names the
// first faults by table and key, never by value; it is for tests and
// operators. A long table makes a long read transaction.
func (t *Table[T]) Verify(ctx context.Context, s Store) error {
	var faults []error
	err := s.View(ctx, func(r Reader) error {
		faults = nil
		v := &verifier[T]{t: t, r: r, faults: &faults}
		if err := v.chunks(t.cfg.Name, v.records); err != nil {
			return err
		}
		if v.damaged {
			return nil // entries of records that do not decode cannot be judged
		}
		for _, x := range t.indexes {
			if err := v.chunks(x.table, func(items []Item) error { return v.entries(x, items) }); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	return errors.Join(faults...)
}

type verifier[T proto.Message] struct {
	t      *Table[T]
	r      Reader
	faults *[]error
	// damaged: a record did not decode.
	damaged bool
}

func (v *verifier[T]) chunks(table string, check func([]Item) error) error {
	rng := Range{Limit: maxChunk}
	for {
		var items []Item
		for item, err := range v.r.Scan(table, rng) {
			if err != nil {
				return err
			}
			items = append(items, item)
		}
		if err := check(items); err != nil || len(items) < maxChunk {
			return err
		}
		rng.Start = append(bytes.Clone(items[len(items)-1].Key), 0)
	}
}

func (v *verifier[T]) records(items []Item) error {
	for _, item := range items {
		rec, err := v.t.decode(item.Value)
		if err != nil {
			v.damaged = true
			if err := v.fault(v.t.cfg.Name, item.Key, "a record that does not decode"); err != nil {
				return err
			}
			continue
		}
		for _, x := range v.t.indexes {
			entries, err := x.entries(rec.Value, item.Key)
			if err != nil {
				return err
			}
			missing, err := x.missing(v.r, item.Key, entries)
			if err != nil {
				return err
			}
			for _, m := range missing {
				if err := v.fault(x.table, []byte(m), "no entry for a record"); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (v *verifier[T]) entries(x index[T], items []Item) error {
	strays, err := v.t.strays(v.r, x, items)
	if err != nil {
		return err
	}
	for _, e := range strays {
		if err := v.fault(x.table, e.Key, "an entry that its record does not have"); err != nil {
			return err
		}
	}
	return nil
}

func (v *verifier[T]) fault(table string, raw []byte, what string) error {
	key, _, err := decodeParts(raw)
	if err != nil {
		key = Key{Bytes(raw)}
	}
	*v.faults = append(*v.faults, fmt.Errorf("kv: table %s, key %v: %s", table, key, what))
	if len(*v.faults) >= verifyFaults {
		return errEnough
	}
	return nil
}
