package postgres

import (
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/kv/internal/overlay"
)

// statements are the SQL of one table. They are few and never change, so each
// connection prepares them once.
type statements struct {
	create, get, getMany, put, remove      string
	forward, forwardTo, backward, backFrom string
}

func newStatements(schema, table string) *statements {
	t := pgx.Identifier{schema, table}.Sanitize()
	scan := "SELECT key, value FROM " + t + " WHERE key >= $1"
	return &statements{
		create:  "CREATE TABLE IF NOT EXISTS " + t + " (key bytea PRIMARY KEY, value bytea NOT NULL)",
		get:     "SELECT value FROM " + t + " WHERE key = $1",
		getMany: "SELECT key, value FROM " + t + " WHERE key = ANY($1::bytea[])",
		put: "INSERT INTO " + t + " (key, value) SELECT * FROM unnest($1::bytea[], $2::bytea[])" +
			" ON CONFLICT (key) DO UPDATE SET value = excluded.value",
		remove:    "DELETE FROM " + t + " WHERE key = ANY($1::bytea[])",
		forward:   scan + " ORDER BY key LIMIT $2",
		forwardTo: scan + " AND key < $2 ORDER BY key LIMIT $3",
		backward:  scan + " ORDER BY key DESC LIMIT $2",
		backFrom:  scan + " AND key < $2 ORDER BY key DESC LIMIT $3",
	}
}

// scan returns the statement for the first size items of r.
func (s *statements) scan(r kv.Range, size int) (sql string, args []any) {
	start := r.Start
	if start == nil {
		start = []byte{} // nil would be NULL, which no key is at or after
	}
	switch {
	case r.End == nil && r.Reverse:
		return s.backward, []any{start, size}
	case r.End == nil:
		return s.forward, []any{start, size}
	case r.Reverse:
		return s.backFrom, []any{start, r.End, size}
	}
	return s.forwardTo, []any{start, r.End, size}
}

// rest returns what is left of r when last was read.
func rest(r kv.Range, last []byte) kv.Range {
	if r.Reverse {
		r.End = slices.Clone(last)
	} else {
		r.Start = append(slices.Clone(last), 0) // the next key there can be
	}
	return r
}

// A statement holds no more than this, so that no message grows to the
// protocol's limit.
const (
	maxStatementKeys  = 4096
	maxStatementBytes = 8 << 20
)

// queueWrites adds the writes to batch, tables and keys in order, so that two
// transactions that write the same rows lock them in the same order.
func (s *Store) queueWrites(batch *pgx.Batch, writes *overlay.Layer) {
	tables := writes.Tables()
	slices.Sort(tables)
	for _, table := range tables {
		w := writer{batch: batch, sql: s.sql[table]}
		for key, write := range writes.All(table) {
			w.add([]byte(key), write)
		}
		w.flush()
	}
}

// writer gathers the writes of one table into few statements.
type writer struct {
	batch        *pgx.Batch
	sql          *statements
	keys, values [][]byte
	removed      [][]byte
	bytes        int
}

func (w *writer) add(key []byte, write overlay.Write) {
	if write.Deleted {
		w.removed = append(w.removed, key)
	} else {
		w.keys, w.values = append(w.keys, key), append(w.values, write.Value)
	}
	w.bytes += len(key) + len(write.Value)
	if len(w.keys)+len(w.removed) >= maxStatementKeys || w.bytes >= maxStatementBytes {
		w.flush()
	}
}

func (w *writer) flush() {
	if len(w.keys) > 0 {
		w.batch.Queue(w.sql.put, w.keys, w.values)
	}
	if len(w.removed) > 0 {
		w.batch.Queue(w.sql.remove, w.removed)
	}
	*w = writer{batch: w.batch, sql: w.sql}
}

func createSchema(name string) string {
	return fmt.Sprintf("CREATE SCHEMA IF NOT EXISTS %s", pgx.Identifier{name}.Sanitize())
}
