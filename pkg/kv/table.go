package kv

import (
	"time"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/errs"
)

// TableConfig declares a Table.
type TableConfig[T proto.Message] struct {
	// Name is the raw table that holds the records. Like the names of
	// indexes it matches [a-z][a-z0-9_]*; Open refuses another.
	Name string
	// Key returns the primary key of a record. It must depend on nothing but
	// the record, and a record's key never changes.
	Key func(T) Key
	// NotFound and Exists are the reasons of those errors, as in
	// "GROUP_NOT_FOUND". Without them they are NOT_FOUND and ALREADY_EXISTS.
	NotFound, Exists string
	// Indexes are the other ways to find a record.
	Indexes []Index[T]
	// Hasher hides the Personal parts of keys. It may be nil when there are none.
	Hasher Hasher
}

// Table is a typed view of one raw table and its indexes: protobuf records
// under a primary key, each with a revision and an etag.
//
// Methods take the Reader or Tx of a transaction of the caller's, so that
// several tables change together. They return errs errors: NotFound, Exists
// and Conflict as each method says, Internal when stored bytes make no sense;
// errors of the engine pass unchanged. A Table holds no state and is safe for
// concurrent use.
type Table[T proto.Message] struct {
	cfg     TableConfig[T]
	indexes []index[T]
}

// NewTable returns the table that cfg declares. It does no I/O: give Tables()
// of every table to the engine's Open.
func NewTable[T proto.Message](cfg TableConfig[T]) *Table[T] {
	if cfg.NotFound == "" {
		cfg.NotFound = "NOT_FOUND"
	}
	if cfg.Exists == "" {
		cfg.Exists = "ALREADY_EXISTS"
	}
	t := &Table[T]{cfg: cfg}
	for _, x := range cfg.Indexes {
		if x.Reason == "" {
			x.Reason = cfg.Exists
		}
		t.indexes = append(t.indexes, index[T]{
			Index: x, table: cfg.Name + "__" + x.Name, hasher: cfg.Hasher,
		})
	}
	return t
}

// Tables returns the raw tables of this table and its indexes.
func (t *Table[T]) Tables() []string {
	names := []string{t.cfg.Name}
	for _, x := range t.indexes {
		names = append(names, x.table)
	}
	return names
}

// RawTables returns the raw tables of several tables, and the one in which
// Migrate keeps its records: what to give to Open.
func RawTables(tables ...interface{ Tables() []string }) []string {
	names := []string{migrationsTable}
	for _, t := range tables {
		names = append(names, t.Tables()...)
	}
	return names
}

// KeyOf returns the primary key of a record.
func (t *Table[T]) KeyOf(v T) Key { return t.cfg.Key(v) }

// Get returns the record of key, or NotFound.
func (t *Table[T]) Get(r Reader, key Key) (Record[T], error) {
	rec, ok, err := t.Find(r, key)
	if err == nil && !ok {
		err = t.notFound()
	}
	return rec, err
}

// Find returns the record of key and whether there is one.
func (t *Table[T]) Find(r Reader, key Key) (Record[T], bool, error) {
	raw, err := t.encode(key)
	if err != nil {
		return Record[T]{}, false, err
	}
	return t.find(r, raw)
}

// GetMany returns the records in the order of the keys, in one round trip. A
// missing one is the zero Record; see Record.Found.
func (t *Table[T]) GetMany(r Reader, keys []Key) ([]Record[T], error) {
	raw := make([][]byte, len(keys))
	for i, k := range keys {
		var err error
		if raw[i], err = t.encode(k); err != nil {
			return nil, err
		}
	}
	return t.getMany(r, raw)
}

// Create stores a new record at revision 1. It returns Exists when the key,
// or the key of a unique index, is taken. The returned record holds v itself.
func (t *Table[T]) Create(tx Tx, v T) (Record[T], error) {
	raw, old, found, err := t.current(tx, v)
	if err != nil {
		return Record[T]{}, err
	}
	if found {
		return Record[T]{}, errs.New(errs.Exists, t.cfg.Exists, "the name is taken")
	}
	return t.write(tx, raw, old, v)
}

// Update replaces the record with v's key. It returns NotFound when there is
// none, Conflict (ETAG_MISMATCH) when etag is not that of the stored record,
// and Exists when the key of a unique index is taken. An empty etag, and "*",
// match any record.
func (t *Table[T]) Update(tx Tx, v T, etag string) (Record[T], error) {
	raw, old, found, err := t.current(tx, v)
	if err != nil {
		return Record[T]{}, err
	}
	if !found {
		return Record[T]{}, t.notFound()
	}
	if err := old.CheckEtag(etag); err != nil {
		return Record[T]{}, err
	}
	return t.write(tx, raw, old, v)
}

// Put is Update when there is a record with v's key. When there is none, it
// creates one if etag is empty, and returns NotFound for "*" or any other.
func (t *Table[T]) Put(tx Tx, v T, etag string) (Record[T], error) {
	if etag != "" {
		return t.Update(tx, v, etag)
	}
	raw, old, _, err := t.current(tx, v)
	if err != nil {
		return Record[T]{}, err
	}
	return t.write(tx, raw, old, v)
}

// Modify reads the record of key, gives it to change, and stores what change
// made of it. Errors are those of Update, and what change returns. The key
// parts of the record must stay as they are.
func (t *Table[T]) Modify(tx Tx, key Key, etag string, change func(T) error) (Record[T], error) {
	raw, err := t.encode(key)
	if err != nil {
		return Record[T]{}, err
	}
	old, found, err := t.find(tx, raw)
	if err != nil {
		return Record[T]{}, err
	}
	if !found {
		return Record[T]{}, t.notFound()
	}
	if err := old.CheckEtag(etag); err != nil {
		return Record[T]{}, err
	}
	v := proto.CloneOf(old.Value)
	if err := change(v); err != nil {
		return Record[T]{}, err
	}
	now, err := t.encode(t.cfg.Key(v))
	if err != nil {
		return Record[T]{}, err
	}
	if string(now) != string(raw) {
		return Record[T]{}, corrupt("table %s: a change moved a record to another key", t.cfg.Name)
	}
	return t.write(tx, raw, old, v)
}

// Delete removes the record of key and returns what it was. Its errors are
// NotFound and, with an etag, Conflict as in Update.
func (t *Table[T]) Delete(tx Tx, key Key, etag string) (Record[T], error) {
	raw, err := t.encode(key)
	if err != nil {
		return Record[T]{}, err
	}
	old, found, err := t.find(tx, raw)
	if err != nil {
		return Record[T]{}, err
	}
	if !found {
		return Record[T]{}, t.notFound()
	}
	if err := old.CheckEtag(etag); err != nil {
		return Record[T]{}, err
	}
	return old, t.remove(tx, raw, old)
}

// Remove removes the record of key, if there is one, and reports whether there
// was.
func (t *Table[T]) Remove(tx Tx, key Key) (bool, error) {
	raw, err := t.encode(key)
	if err != nil {
		return false, err
	}
	old, found, err := t.find(tx, raw)
	if err != nil || !found {
		return false, err
	}
	return true, t.remove(tx, raw, old)
}

// RemoveAll removes the records that q selects, and reports whether there are more
// of them behind q.Limit, for another transaction.
func (t *Table[T]) RemoveAll(tx Tx, q Query) (more bool, err error) {
	page, err := t.removePage(tx, q)
	return page.Next != nil, err
}

// RemoveDue removes what Due returns, and returns how many that are.
func (t *Table[T]) RemoveDue(tx Tx, indexName string, now time.Time, limit int) (int, error) {
	page, err := t.removePage(tx, due(indexName, now, limit))
	return len(page.Records), err
}

func (t *Table[T]) removePage(tx Tx, q Query) (Page[T], error) {
	page, err := t.List(tx, q)
	if err != nil {
		return Page[T]{}, err
	}
	for _, rec := range page.Records {
		raw, err := t.encode(t.cfg.Key(rec.Value))
		if err != nil {
			return Page[T]{}, err
		}
		if err := t.remove(tx, raw, rec); err != nil {
			return Page[T]{}, err
		}
	}
	return page, nil
}

// remove takes out a record that is stored under raw, and its entries.
func (t *Table[T]) remove(tx Tx, raw []byte, old Record[T]) error {
	for _, x := range t.indexes {
		gone, err := x.entries(old.Value, raw)
		if err != nil {
			return err
		}
		if err := x.replace(tx, raw, gone, nil); err != nil {
			return err
		}
	}
	return tx.Delete(t.cfg.Name, raw)
}

func (t *Table[T]) notFound() error {
	return errs.New(errs.NotFound, t.cfg.NotFound, "the resource does not exist, or is not yours to see")
}
