package postgres

import (
	"context"
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/kv/internal/overlay"
)

// session is one transaction on one connection. It is the base that an
// overlay.Tx reads; the writes come at the end, with commit.
//
// BEGIN travels with the first read, or with the writes when there was none,
// and COMMIT with the writes: an Update that reads once takes two round trips,
// one that only writes takes one.
type session struct {
	ctx   context.Context
	store *Store
	conn  *pgxpool.Conn
	begin string
	open  bool  // BEGIN was sent, and nothing ended it yet
	err   error // the first error of the database; the transaction is lost
}

func (s *Store) begin(ctx context.Context, begin string) (*session, error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, s.storeError(ctx, err)
	}
	return &session{ctx: ctx, store: s, conn: conn, begin: begin}, nil
}

// rollbackTime bounds the courtesy of a ROLLBACK to a server that may be gone.
const rollbackTime = 2 * time.Second

// end gives the connection back; the pool destroys one that is still in a
// transaction.
func (x *session) end() {
	if x.open {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(x.ctx), rollbackTime)
		defer cancel()
		_, _ = x.conn.Exec(ctx, "ROLLBACK") // what fails here is destroyed next
	}
	x.conn.Release()
}

// query runs one read and calls each for its rows. It keeps the first error
// and returns what the closure may see of it.
func (x *session) query(each func(pgx.Rows) error, sql string, args ...any) error {
	if x.err == nil {
		x.err = x.read(each, sql, args)
	}
	if x.err != nil {
		return x.store.storeError(x.ctx, x.err)
	}
	return nil
}

func (x *session) read(each func(pgx.Rows) error, sql string, args []any) (err error) {
	if x.open {
		rows, err := x.conn.Query(x.ctx, sql, args...)
		return collect(rows, err, each)
	}
	x.open = true
	batch := new(pgx.Batch)
	batch.Queue(x.begin)
	batch.Queue(sql, args...)
	results := x.conn.SendBatch(x.ctx, batch)
	defer func() { err = errors.Join(err, results.Close()) }()
	if _, err := results.Exec(); err != nil {
		return err
	}
	rows, err := results.Query()
	return collect(rows, err, each)
}

func collect(rows pgx.Rows, err error, each func(pgx.Rows) error) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Get implements kv.Reader.
func (x *session) Get(table string, key []byte) ([]byte, error) {
	var value []byte
	err := x.query(func(rows pgx.Rows) error { return rows.Scan(&value) }, x.store.sql[table].get, key)
	return value, err
}

// GetMany implements kv.Reader.
func (x *session) GetMany(table string, keys [][]byte) ([][]byte, error) {
	found := make(map[string][]byte, len(keys))
	err := x.query(func(rows pgx.Rows) error {
		var key, value []byte
		if err := rows.Scan(&key, &value); err != nil {
			return err
		}
		found[string(key)] = value
		return nil
	}, x.store.sql[table].getMany, keys)
	if err != nil {
		return nil, err
	}
	values := make([][]byte, len(keys))
	seen := make(map[string]bool, len(found))
	for i, key := range keys {
		value := found[string(key)]
		if seen[string(key)] {
			value = slices.Clone(value) // a key asked for twice: each caller's own
		}
		seen[string(key)] = true
		values[i] = value
	}
	return values, nil
}

// Pages of a scan. The first is small, since most scans are; later ones are
// sized by what the items turned out to weigh.
const (
	firstPage = 64
	maxPage   = 1024
	pageBytes = 1 << 20
)

// Scan implements kv.Reader. It reads page by page rather than from one open
// result: the loop's body may read on the same connection, and a long scan
// does not fill memory.
func (x *session) Scan(table string, r kv.Range) iter.Seq2[kv.Item, error] {
	return func(yield func(kv.Item, error) bool) {
		left := r.Limit
		size := firstPage
		for {
			if r.Limit > 0 {
				size = min(size, left)
			}
			page, weight, err := x.page(table, r, size)
			if err != nil {
				yield(kv.Item{}, err)
				return
			}
			if len(page) == size {
				r = rest(r, page[size-1].Key) // before the caller gets hold of the key
			}
			for _, item := range page {
				if !yield(item, nil) {
					return
				}
			}
			left -= len(page)
			if len(page) < size || r.Limit > 0 && left == 0 {
				return
			}
			size = min(maxPage, max(1, pageBytes*len(page)/max(1, weight)))
		}
	}
}

// page reads at most size items from the near end of r.
func (x *session) page(table string, r kv.Range, size int) (items []kv.Item, weight int, err error) {
	sql, args := x.store.sql[table].scan(r, size)
	err = x.query(func(rows pgx.Rows) error {
		var item kv.Item
		if err := rows.Scan(&item.Key, &item.Value); err != nil {
			return err
		}
		items = append(items, item)
		weight += len(item.Key) + len(item.Value)
		return nil
	}, sql, args...)
	return items, weight, err
}

// commit sends all writes and COMMIT in one round trip.
func (x *session) commit(writes *overlay.Layer) outcome {
	if !x.open && writes.Empty() {
		return outcome{}
	}
	start := time.Now()
	batch := new(pgx.Batch)
	if !x.open {
		batch.Queue(x.begin)
	}
	x.store.queueWrites(batch, writes)
	batch.Queue("COMMIT")
	x.open = true
	reached, err := x.send(batch)
	if err == nil {
		x.open = false
		x.store.metrics.Committed(x.ctx, start, 1)
		return outcome{}
	}
	undone := writes.Empty() || nothingSent(err) || !reached && stateOf(err) != ""
	switch {
	case isConflict(err):
		return outcome{err: err, again: conflict}
	case stateOf(err) == codeReadOnly: // this connection's server was the primary once
		return outcome{err: x.store.storeError(x.ctx, err), again: reconnect}
	case !isLost(err), x.ctx.Err() != nil:
		return outcome{err: x.store.storeError(x.ctx, err)}
	case undone:
		return outcome{err: x.store.storeError(x.ctx, err), again: reconnect}
	}
	return outcome{err: unknownOutcome(err)}
}

// send runs the batch up to the first error. reached says whether the last
// statement, the COMMIT, was answered: when the server itself refused an
// earlier one, it never came to it.
func (x *session) send(batch *pgx.Batch) (reached bool, err error) {
	results := x.conn.SendBatch(x.ctx, batch)
	for range batch.Len() - 1 {
		if _, err := results.Exec(); err != nil {
			_ = results.Close() // says the same
			return false, err
		}
	}
	_, err = results.Exec()
	if closeErr := results.Close(); err == nil {
		err = closeErr
	}
	return true, err
}

// failed judges an attempt whose reads met x.err. Nothing of it was written,
// so it may always run again. fnErr is what the closure made of it.
func (x *session) failed(fnErr error) outcome {
	switch {
	case isConflict(x.err):
		return outcome{err: x.err, again: conflict}
	case x.ctx.Err() == nil && isLost(x.err):
		return outcome{err: x.store.storeError(x.ctx, x.err), again: reconnect}
	case fnErr != nil:
		return outcome{err: fnErr}
	}
	return outcome{err: x.store.storeError(x.ctx, x.err)}
}
