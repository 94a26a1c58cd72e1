package bolt

import (
	"context"
	"fmt"
	"slices"
	"time"

	bbolt "go.etcd.io/bbolt"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/kv/internal/engine"
	"guildhall.dev/pkg/kv/internal/overlay"
)

// Bounds of one batch. They cap the memory that overlays take and the time the
// first caller of a batch waits for the last.
const (
	maxBatchUpdates = 1024
	maxBatchBytes   = 32 << 20
)

// Update implements kv.Store. A closure runs on the caller's own goroutine,
// when the committer gives it the turn, so that a panic or runtime.Goexit in
// it is the caller's affair. A caller whose ctx ends while it waits is dropped;
// once its closure has run it always learns the true outcome.
//
// Update must not be called inside a closure of the same store: it would wait
// for its own turn to end.
func (s *Store) Update(ctx context.Context, fn func(tx kv.Tx) error) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.gate.Leave()
	u := &update{ctx: ctx, turn: make(chan *overlay.Tx, 1), done: make(chan error, 1)}
	s.queue.push(u)
	var tx *overlay.Tx
	select {
	case tx = <-u.turn:
	case <-ctx.Done():
		if u.take() {
			return engine.Context(ctx)
		}
		tx = <-u.turn
	case err := <-u.done:
		return err // the batch could not begin
	}
	if err := s.runTurn(tx, fn); err != nil {
		// The closure may have decided on what others of the batch wrote. If
		// those writes came to nothing, so did its reason.
		if failed := <-u.done; failed != nil {
			return failed
		}
		return err
	}
	return <-u.done
}

// runTurn runs fn and hands the turn back, whichever way fn ends.
func (s *Store) runTurn(tx *overlay.Tx, fn func(tx kv.Tx) error) (err error) {
	accepted := false
	defer func() {
		tx.Finish()
		s.ran <- accepted
	}()
	err = fn(tx)
	accepted = err == nil
	return err
}

// commitLoop is the committer: it takes whatever waits, commits it, and takes
// whatever came meanwhile. No timer: under load batches grow by themselves,
// and a lone writer never waits for company.
func (s *Store) commitLoop() {
	defer s.stopped.Done()
	for s.queue.wait() {
		b := batch{store: s, start: time.Now()}
		err := b.run()
		for _, u := range b.members {
			u.done <- err
		}
	}
}

// batch is what one bbolt transaction commits.
type batch struct {
	store   *Store
	start   time.Time
	tx      *bbolt.Tx
	writes  overlay.Layer
	members []*update
	changed int // members whose closures were accepted
}

// run carries out one batch and returns the fate of all its members. A panic
// is bbolt's, on a damaged page; it ends the store, not the process.
func (b *batch) run() (err error) {
	s := b.store
	defer func() {
		if p := recover(); p != nil {
			err = s.fail(fmt.Errorf("bbolt: %v", p))
			b.abandon()
		}
	}()
	if err := s.failure(); err != nil {
		b.members = s.queue.drain()
		return err
	}
	if b.tx, err = s.db.Begin(true); err != nil {
		b.members = s.queue.drain()
		return engine.Unavailable(err)
	}
	for b.collect(s.queue.drain()) {
	}
	if b.writes.Empty() {
		return b.tx.Rollback()
	}
	return b.commit()
}

// abandon lets go of a transaction that panicked, so that Close does not wait
// for it. Rolling back may meet the same damage.
func (b *batch) abandon() {
	defer func() { _ = recover() }()
	if b.tx != nil {
		b.tx.Rollback() // the store takes no more writes either way
	}
}

// collect gives each update its turn and reports whether the batch has room
// for those that came meanwhile.
func (b *batch) collect(waiting []*update) bool {
	s := b.store
	base := overlay.Merged{Base: reader{b.tx}, Layer: &b.writes}
	for _, u := range waiting {
		if u.ctx.Err() != nil || !u.take() {
			continue // its caller sees the context end
		}
		tx := overlay.NewTx(u.ctx, s.tables, base)
		b.members = append(b.members, u)
		u.turn <- tx
		if <-s.ran {
			b.changed++
			b.writes.Merge(tx.Finish())
		}
	}
	return len(waiting) > 0 && len(b.members) < maxBatchUpdates && b.writes.Bytes() < maxBatchBytes
}

// commit applies the writes in key order, which fills bbolt's pages well, and
// makes them durable.
func (b *batch) commit() error {
	before := b.tx.ID() - 1
	if err := b.apply(); err != nil {
		b.tx.Rollback() // the error is the one that counts
		return b.store.commitError(before, err)
	}
	if err := b.tx.Commit(); err != nil { // rolls back by itself
		return b.store.commitError(before, err)
	}
	b.store.metrics.Committed(context.Background(), b.start, b.changed)
	return nil
}

func (b *batch) apply() error {
	tables := b.writes.Tables()
	slices.Sort(tables)
	for _, table := range tables {
		bucket := b.tx.Bucket([]byte(table))
		for key, w := range b.writes.All(table) {
			var err error
			if w.Deleted {
				err = bucket.Delete([]byte(key))
			} else {
				err = bucket.Put([]byte(key), w.Value)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}
