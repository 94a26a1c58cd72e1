// Package bolt is the kv engine on one bbolt file: no server, one process.
//
// bbolt takes one writer at a time and pays two disk flushes for each commit,
// so Updates that wait are run one after the other and committed together
// (commit.go). It is not for several processes: the second one to open the
// file is told so.
package bolt

import (
	"context"
	"io"
	"os"
	"sync"

	bbolt "go.etcd.io/bbolt"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/kv/internal/engine"
	"guildhall.dev/pkg/kv/internal/overlay"
)

// Store is a kv.Store in one file. Make one with Open.
type Store struct {
	db      *bbolt.DB
	file    *os.File // bbolt's, for asking the system about it
	names   []string
	tables  overlay.Tables
	metrics *engine.Metrics
	gate    engine.Gate
	queue   queue
	ran     chan bool      // the closure at work tells the committer it is over
	stopped sync.WaitGroup // the committer

	mu     sync.Mutex
	failed error // set once: a write was lost, no further one is taken
}

var _ kv.Store = (*Store)(nil)

// View implements kv.Store. A View that runs for long keeps bbolt from using
// freed pages again, so the file grows meanwhile.
func (s *Store) View(ctx context.Context, fn func(r kv.Reader) error) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.gate.Leave()
	snapshot, err := s.db.Begin(false)
	if err != nil {
		return engine.Unavailable(err)
	}
	defer snapshot.Rollback() // of a read: releases its pages, cannot fail
	tx := overlay.NewTx(ctx, s.tables, reader{snapshot})
	defer tx.Finish()
	return fn(tx.Reader())
}

// Exclusive says that no other process has the file open; see kv.Exclusive.
func (s *Store) Exclusive() bool { return true }

// Ping implements kv.Store.
func (s *Store) Ping(ctx context.Context) error {
	return s.View(ctx, func(kv.Reader) error { return s.failure() })
}

// Snapshot implements kv.Store.
func (s *Store) Snapshot(ctx context.Context, w io.Writer) error {
	return s.View(ctx, func(r kv.Reader) error { return kv.WriteSnapshot(w, s.names, r) })
}

// Close implements kv.Store. Updates that were waiting are still carried out.
func (s *Store) Close() error {
	if !s.gate.Shut() {
		return nil
	}
	s.queue.close()
	s.stopped.Wait()
	if err := s.db.Close(); err != nil {
		return engine.Unavailable(err)
	}
	return nil
}

func (s *Store) enter(ctx context.Context) error {
	if err := engine.Context(ctx); err != nil {
		return err
	}
	return s.gate.Enter()
}

func (s *Store) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// fail makes every later Update return an error. After a lost flush nobody
// knows what the disk holds, so going on would acknowledge writes on top of
// ones that may not be there.
func (s *Store) fail(cause error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed == nil {
		s.failed = errs.New(errs.Unavailable, kv.ReasonFailed,
			"the store lost a write and takes no more: check the disk, then restart the server", errs.Cause(cause))
	}
	return s.failed
}
