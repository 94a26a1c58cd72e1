package kv

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/errs"
)

// Index declares another way to find the records of a table. Its entries are
// written with the record, in the same transaction.
//
// Keys may not change its mind under one Name: entries are removed by the
// keys it gives for the old record. To index differently, add an index under
// a new name, fill it with Table.Reindex in a migration, and drop the old one
// in a later release.
type Index[T proto.Message] struct {
	// Name is the index's own; its raw table is "<table>__<name>".
	Name string
	// Keys returns the keys to find a record by: none, one or several, in any
	// order. It must depend on nothing but the record.
	Keys func(T) []Key
	// Unique allows a key to one record only.
	Unique bool
	// Reason and Field are those of the Exists error of a unique index, as in
	// "EMAIL_TAKEN" and "customer.email". Without a Reason it is the table's.
	Reason, Field string
}

// index is an Index with its raw table. An entry of a unique index is
//
//	index key -> primary key
//
// so that two records with one key collide on one raw key, which serializable
// transactions make safe against races. An entry of any other is
//
//	index key, tagPrimary, primary key -> empty
type index[T proto.Message] struct {
	Index[T]
	table  string
	hasher Hasher
}

func (t *Table[T]) index(name string) (index[T], error) {
	for _, x := range t.indexes {
		if x.Name == name {
			return x, nil
		}
	}
	return index[T]{}, fmt.Errorf("kv: table %s has no index %q", t.cfg.Name, name)
}

func (x index[T]) encode(key Key) ([]byte, error) {
	raw, err := key.Encode(nil, x.hasher, x.table)
	if err != nil {
		return nil, fmt.Errorf("index %s: %w", x.table, err)
	}
	return raw, nil
}

// entries returns the raw keys of the record's entries, sorted, each once.
func (x index[T]) entries(v T, primary []byte) ([]string, error) {
	keys := x.Keys(v)
	if len(keys) == 0 {
		return nil, nil
	}
	out := make([]string, len(keys))
	for i, k := range keys {
		if len(k) == 0 {
			return nil, fmt.Errorf("kv: index %s: an empty key", x.table)
		}
		raw, err := x.encode(k)
		if err != nil {
			return nil, err
		}
		if !x.Unique {
			raw = append(append(raw, tagPrimary), primary...)
		}
		out[i] = string(raw)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// value is what the entries of a record hold.
func (x index[T]) value(primary []byte) []byte {
	if x.Unique {
		return primary
	}
	return []byte{}
}

// primary returns the primary key of an entry.
func (x index[T]) primary(e Item) ([]byte, error) {
	if x.Unique {
		return e.Value, nil
	}
	_, rest, err := decodeParts(e.Key)
	if err != nil || len(rest) < 2 {
		return nil, corrupt("index %s: a malformed entry", x.table)
	}
	return rest[1:], nil
}

// replace turns the entries old of one record into the entries now, both
// sorted, and touches no entry that is in both.
func (x index[T]) replace(tx Tx, primary []byte, old, now []string) error {
	added := without(now, old)
	if x.Unique {
		if err := x.checkFree(tx, primary, added); err != nil {
			return err
		}
	}
	for _, k := range without(old, now) {
		if err := tx.Delete(x.table, []byte(k)); err != nil {
			return err
		}
	}
	for _, k := range added {
		if err := tx.Put(x.table, []byte(k), x.value(primary)); err != nil {
			return err
		}
	}
	return nil
}

// checkFree returns Exists when one of the entries belongs to another record.
func (x index[T]) checkFree(r Reader, primary []byte, entries []string) error {
	if len(entries) == 0 {
		return nil
	}
	keys := make([][]byte, len(entries))
	for i, k := range entries {
		keys[i] = []byte(k)
	}
	owners, err := r.GetMany(x.table, keys)
	if err != nil {
		return err
	}
	for _, owner := range owners {
		if owner == nil || string(owner) == string(primary) {
			continue
		}
		const text = "the value belongs to another resource; send another one"
		if x.Field == "" {
			return errs.New(errs.Exists, x.Reason, text)
		}
		return errs.New(errs.Exists, x.Reason, text, errs.Field(x.Field, x.Reason, text))
	}
	return nil
}

// without returns the elements of a that are not in b; both are sorted.
func without(a, b []string) []string {
	var out []string
	for _, s := range a {
		if _, found := slices.BinarySearch(b, s); !found {
			out = append(out, s)
		}
	}
	return out
}

// Lookup returns the record that has the key in a unique index, or NotFound.
func (t *Table[T]) Lookup(r Reader, indexName string, key Key) (Record[T], error) {
	rec, ok, err := t.FindBy(r, indexName, key)
	if err == nil && !ok {
		err = t.notFound()
	}
	return rec, err
}

// FindBy returns the record that has the key in a unique index, and whether
// there is one.
func (t *Table[T]) FindBy(r Reader, indexName string, key Key) (Record[T], bool, error) {
	x, err := t.index(indexName)
	if err != nil {
		return Record[T]{}, false, err
	}
	if !x.Unique {
		return Record[T]{}, false, fmt.Errorf("kv: index %s is not unique; use List", x.table)
	}
	raw, err := x.encode(key)
	if err != nil {
		return Record[T]{}, false, err
	}
	primary, err := r.Get(x.table, raw)
	if err != nil || primary == nil {
		return Record[T]{}, false, err
	}
	rec, found, err := t.find(r, primary)
	if err == nil && !found {
		err = corrupt("index %s: an entry without a record", x.table)
	}
	return rec, found, err
}
