package overlay

import (
	"context"
	"iter"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/kv/internal/engine"
)

// Tables is the set of declared tables.
type Tables map[string]bool

// NewTables returns the set of names.
func NewTables(names []string) Tables {
	t := make(Tables, len(names))
	for _, name := range names {
		t[name] = true
	}
	return t
}

// Tx is the kv.Tx of both engines: it checks what it is asked, reads its own
// writes over the base, and keeps the writes for the engine to commit. Like
// every kv.Tx it is for one goroutine.
type Tx struct {
	ctx    context.Context
	tables Tables
	merged Merged
	writes Layer
	done   bool
}

var _ kv.Tx = (*Tx)(nil)

// NewTx returns a transaction over base. Every read fails once ctx has ended.
func NewTx(ctx context.Context, tables Tables, base kv.Reader) *Tx {
	t := &Tx{ctx: ctx, tables: tables}
	t.merged = Merged{Base: base, Layer: &t.writes}
	return t
}

// Reader returns the transaction without its writing half, for View.
func (t *Tx) Reader() kv.Reader { return struct{ kv.Reader }{t} }

// Finish ends the transaction: every use after it fails. It returns the
// writes.
func (t *Tx) Finish() *Layer {
	t.done = true
	return &t.writes
}

// Get implements kv.Reader.
func (t *Tx) Get(table string, key []byte) ([]byte, error) {
	if err := t.check(table); err != nil {
		return nil, err
	}
	if !storable(key) {
		return nil, nil
	}
	return t.merged.Get(table, key)
}

// GetMany implements kv.Reader.
func (t *Tx) GetMany(table string, keys [][]byte) ([][]byte, error) {
	if err := t.check(table); err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, nil
	}
	return t.merged.GetMany(table, keys)
}

// Scan implements kv.Reader.
func (t *Tx) Scan(table string, r kv.Range) iter.Seq2[kv.Item, error] {
	return func(yield func(kv.Item, error) bool) {
		err := t.check(table)
		if err == nil && r.Limit < 0 {
			err = engine.Misuse("kv: scan of %s with limit %d", table, r.Limit)
		}
		if err != nil {
			yield(kv.Item{}, err)
			return
		}
		for item, err := range t.merged.Scan(table, r) {
			if err == nil {
				err = t.check(table)
			}
			if err != nil {
				yield(kv.Item{}, err)
				return
			}
			if !yield(item, nil) {
				return
			}
		}
	}
}

// Put implements kv.Tx.
func (t *Tx) Put(table string, key, value []byte) error {
	if err := t.check(table); err != nil {
		return err
	}
	if !storable(key) {
		return errs.New(errs.Invalid, kv.ReasonKeySize, "a name or identifier is empty or too long to be stored")
	}
	if len(value) > kv.MaxValueSize {
		return errs.New(errs.Invalid, kv.ReasonValueSize, "a record is larger than 16 MiB")
	}
	t.writes.Put(table, key, value)
	return nil
}

// Delete implements kv.Tx.
func (t *Tx) Delete(table string, key []byte) error {
	if err := t.check(table); err != nil {
		return err
	}
	if storable(key) {
		t.writes.Delete(table, key)
	}
	return nil
}

func (t *Tx) check(table string) error {
	if t.done {
		return engine.Misuse("kv: transaction on %s used after its closure returned", table)
	}
	if !t.tables[table] {
		return engine.Misuse("kv: table %q is not among the declared tables", table)
	}
	return engine.Context(t.ctx)
}

// storable reports whether a key of that size can be in a store at all.
func storable(key []byte) bool { return len(key) > 0 && len(key) <= kv.MaxKeySize }
