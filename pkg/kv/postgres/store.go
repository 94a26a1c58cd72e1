// Package postgres is the kv engine on PostgreSQL: one schema a store, one
// table (key bytea primary key, value bytea) a kv table.
//
// It speaks only SQL that CockroachDB and YugabyteDB know too, so that a
// deployment that outgrows one primary changes its URL and nothing else. It is
// not a place for SQL features: what a service wants to find it declares as an
// index of a kv.Table.
package postgres

import (
	"context"
	"io"

	"github.com/jackc/pgx/v5/pgxpool"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/kv/internal/engine"
	"guildhall.dev/pkg/kv/internal/overlay"
)

// Store is a kv.Store in one schema. Make one with Open.
type Store struct {
	pool    *pgxpool.Pool
	names   []string
	tables  overlay.Tables
	sql     map[string]*statements
	metrics *engine.Metrics
	gate    engine.Gate
	lane    chan struct{} // held by one transaction that keeps losing; see retry.go
}

var _ kv.Store = (*Store)(nil)

const (
	beginView   = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
	beginUpdate = "BEGIN ISOLATION LEVEL SERIALIZABLE"
)

// View implements kv.Store. The snapshot is the one of the first read.
func (s *Store) View(ctx context.Context, fn func(r kv.Reader) error) error {
	return s.retry(ctx, func(ctx context.Context) outcome { return s.view(ctx, fn) })
}

func (s *Store) view(ctx context.Context, fn func(r kv.Reader) error) outcome {
	x, err := s.begin(ctx, beginView)
	if err != nil {
		return outcome{err: err}
	}
	defer x.end()
	tx := overlay.NewTx(ctx, s.tables, x)
	defer tx.Finish()
	err = fn(tx.Reader())
	if x.err != nil {
		return x.failed(err)
	}
	return outcome{err: err}
}

// Update implements kv.Store.
//
// A closure that returns an error has its reads committed like one that
// succeeds: PostgreSQL tells only at commit whether what a serializable
// transaction read could have been, and an error decided on what could not is
// no answer.
func (s *Store) Update(ctx context.Context, fn func(tx kv.Tx) error) error {
	return s.retry(ctx, func(ctx context.Context) outcome { return s.update(ctx, fn) })
}

func (s *Store) update(ctx context.Context, fn func(tx kv.Tx) error) outcome {
	x, err := s.begin(ctx, beginUpdate)
	if err != nil {
		return outcome{err: err}
	}
	defer x.end()
	tx := overlay.NewTx(ctx, s.tables, x)
	defer tx.Finish() // also when fn panics
	err = fn(tx)
	writes := tx.Finish()
	if x.err != nil {
		return x.failed(err)
	}
	if err != nil {
		writes = new(overlay.Layer)
	}
	if o := x.commit(writes); o.err != nil {
		return o
	}
	return outcome{err: err}
}

// Ping implements kv.Store.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.gate.Enter(); err != nil {
		return err
	}
	defer s.gate.Leave()
	if err := s.pool.Ping(ctx); err != nil {
		return s.storeError(ctx, err)
	}
	return nil
}

// Snapshot implements kv.Store. Unlike a View it is not retried: part of it
// may have been written.
func (s *Store) Snapshot(ctx context.Context, w io.Writer) error {
	if err := s.gate.Enter(); err != nil {
		return err
	}
	defer s.gate.Leave()
	return s.view(ctx, func(r kv.Reader) error { return kv.WriteSnapshot(w, s.names, r) }).err
}

// Close implements kv.Store.
func (s *Store) Close() error {
	if s.gate.Shut() {
		s.pool.Close()
	}
	return nil
}
