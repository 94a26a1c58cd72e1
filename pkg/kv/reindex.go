package kv

import (
	"bytes"
	"context"
	"slices"
)

// reindexChunk bounds the records of one transaction of Reindex: small enough
// that writers beside it seldom have to retry.
const reindexChunk = 128

// Reindex makes the entries of one index what the records say: it adds the
// missing ones, then removes those that no record has. Run it in a migration
// when an index is added to a table that has records. It works in bounded
// transactions beside writers that know the index, and can be run again after
// an interruption. Two records with one key in a unique index end it with the
// index's Exists error.
func (t *Table[T]) Reindex(ctx context.Context, s Store, indexName string) error {
	x, err := t.index(indexName)
	if err != nil {
		return err
	}
	if err := inChunks(ctx, s, t.cfg.Name, func(tx Tx, items []Item) error {
		return t.addEntries(tx, x, items)
	}); err != nil {
		return err
	}
	return inChunks(ctx, s, x.table, func(tx Tx, items []Item) error {
		return t.dropStrays(tx, x, items)
	})
}

// inChunks runs fn on all items of a raw table, a transaction a chunk.
func inChunks(ctx context.Context, s Store, table string, fn func(Tx, []Item) error) error {
	rng := Range{Limit: reindexChunk}
	for {
		var items []Item
		err := s.Update(ctx, func(tx Tx) error {
			items = nil
			for item, err := range tx.Scan(table, rng) {
				if err != nil {
					return err
				}
				items = append(items, item)
			}
			return fn(tx, items)
		})
		if err != nil || len(items) < reindexChunk {
			return err
		}
		rng.Start = append(bytes.Clone(items[len(items)-1].Key), 0)
	}
}

func (t *Table[T]) addEntries(tx Tx, x index[T], records []Item) error {
	for _, item := range records {
		rec, err := t.decode(item.Value)
		if err != nil {
			return err
		}
		entries, err := x.entries(rec.Value, item.Key)
		if err != nil {
			return err
		}
		missing, err := x.missing(tx, item.Key, entries)
		if err != nil {
			return err
		}
		// A stray entry of a record that is gone may hold the key of a unique
		// index; it gives way, a live one does not.
		if x.Unique {
			if err := t.evictStrays(tx, x, missing); err != nil {
				return err
			}
		}
		if err := x.replace(tx, item.Key, nil, missing); err != nil {
			return err
		}
	}
	return nil
}

// missing returns the entries that are not there, or that belong to another
// record.
func (x index[T]) missing(r Reader, primary []byte, entries []string) ([]string, error) {
	if len(entries) == 0 {
		return nil, nil
	}
	keys := make([][]byte, len(entries))
	for i, e := range entries {
		keys[i] = []byte(e)
	}
	values, err := r.GetMany(x.table, keys)
	if err != nil {
		return nil, err
	}
	var out []string
	for i, v := range values {
		if v == nil || !bytes.Equal(v, x.value(primary)) {
			out = append(out, entries[i])
		}
	}
	return out, nil
}

func (t *Table[T]) evictStrays(tx Tx, x index[T], entries []string) error {
	for _, e := range entries {
		owner, err := tx.Get(x.table, []byte(e))
		if err != nil {
			return err
		}
		if owner == nil {
			continue
		}
		if err := t.dropStrays(tx, x, []Item{{Key: []byte(e), Value: owner}}); err != nil {
			return err
		}
	}
	return nil
}

// dropStrays removes the entries that their record does not have.
func (t *Table[T]) dropStrays(tx Tx, x index[T], entries []Item) error {
	strays, err := t.strays(tx, x, entries)
	if err != nil {
		return err
	}
	for _, e := range strays {
		if err := tx.Delete(x.table, e.Key); err != nil {
			return err
		}
	}
	return nil
}

// strays returns those of the entries that their record does not have.
func (t *Table[T]) strays(r Reader, x index[T], entries []Item) ([]Item, error) {
	if len(entries) == 0 {
		return nil, nil
	}
	var out, wellFormed []Item
	var primaries [][]byte
	for _, e := range entries {
		primary, err := x.primary(e)
		if err != nil {
			out = append(out, e)
			continue
		}
		wellFormed = append(wellFormed, e)
		primaries = append(primaries, primary)
	}
	records, err := t.getMany(r, primaries)
	if err != nil {
		return nil, err
	}
	for i, rec := range records {
		var want []string
		if rec.Found() {
			if want, err = x.entries(rec.Value, primaries[i]); err != nil {
				return nil, err
			}
		}
		if !slices.Contains(want, string(wellFormed[i].Key)) {
			out = append(out, wellFormed[i])
		}
	}
	return out, nil
}
