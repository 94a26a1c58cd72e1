package kv

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"guildhall.dev/pkg/errs"
)

// errTakenOver ends a migrator that was silent for a lease.
var errTakenOver = errs.New(errs.Unavailable, "STORE_MIGRATION_TAKEN_OVER", "another replica has taken the migration over; restart this one")

func holderKey() []byte { return plainKey(Key{String("holder")}) }
func beatKey() []byte   { return plainKey(Key{String("beat")}) }

// acquire returns when this migrator is the holder, or when another has done
// all there is to do and held is false. It takes over from a holder whose beat
// has not changed for a whole lease on this process's own monotonic clock, so
// wall clocks may differ as they like.
func (m *migrator) acquire(ctx context.Context) (held bool, err error) {
	var seen string
	var since time.Time
	ticker := time.NewTicker(m.poll)
	defer ticker.Stop()
	for {
		expired := !since.IsZero() && time.Since(since) >= m.lease
		beat, mine, err := m.tryHold(ctx, seen, expired)
		if err != nil || mine {
			return mine, err
		}
		if done, err := m.done(ctx); err != nil || done == len(m.steps) {
			return false, err
		}
		if beat != seen || since.IsZero() {
			seen, since = beat, time.Now()
		}
		select {
		case <-ctx.Done():
			return false, errs.New(errs.Unavailable, "STORE_MIGRATING", "another replica is migrating the store", errs.Cause(ctx.Err()))
		case <-ticker.C:
		}
	}
}

// tryHold becomes the holder when there is none, or when the one there is has
// expired with the beat that was seen. It returns the beat it found.
func (m *migrator) tryHold(ctx context.Context, seen string, expired bool) (beat string, mine bool, err error) {
	mark := rand.Text()
	err = m.store.Update(ctx, func(tx Tx) error {
		values, err := tx.GetMany(migrationsTable, [][]byte{holderKey(), beatKey()})
		if err != nil {
			return err
		}
		beat = string(values[1])
		mine = values[0] == nil || (expired && beat == seen)
		if !mine {
			return nil
		}
		if err := tx.Put(migrationsTable, holderKey(), []byte(m.holder)); err != nil {
			return err
		}
		return tx.Put(migrationsTable, beatKey(), []byte(mark))
	})
	return beat, mine && err == nil, err
}

// whileHeld runs fn while it renews the lease beside it, and gives the lease
// up after. fn's context ends when the lease cannot be renewed.
func (m *migrator) whileHeld(ctx context.Context, fn func(context.Context) error) error {
	work, stop := context.WithCancelCause(ctx)
	renewals := make(chan struct{})
	go func() {
		defer close(renewals)
		m.renew(work, stop)
	}()
	err := fn(work)
	if cause := context.Cause(work); err != nil && ctx.Err() == nil && cause != nil {
		err = cause // why fn was stopped, rather than that it was
	}
	stop(nil)
	<-renewals
	return errors.Join(err, m.release(ctx))
}

// renew changes the beat until ctx ends. A failed try is repeated: only a
// holder that has lost the lease stops fn, since nothing else makes its writes
// unsafe.
func (m *migrator) renew(ctx context.Context, stop context.CancelCauseFunc) {
	ticker := time.NewTicker(m.lease / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		mark := rand.Text()
		err := fenced{Store: m.store, holder: m.holder}.Update(ctx, func(tx Tx) error {
			return tx.Put(migrationsTable, beatKey(), []byte(mark))
		})
		if errors.Is(err, errTakenOver) {
			stop(errTakenOver)
			return
		}
	}
}

// release lets the next replica begin at once, also when ctx has ended.
func (m *migrator) release(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), m.lease)
	defer cancel()
	err := fenced{Store: m.store, holder: m.holder}.Update(ctx, func(tx Tx) error {
		if err := tx.Delete(migrationsTable, holderKey()); err != nil {
			return err
		}
		return tx.Delete(migrationsTable, beatKey())
	})
	if errors.Is(err, errTakenOver) {
		return nil // nothing left to release
	}
	return err
}

// fenced is a Store that writes only while its migrator is the holder. The
// check is part of each transaction, so a process that was stopped for longer
// than a lease and goes on cannot write over its successor's work. It reads
// the holder and not the beat, which changes all the time.
type fenced struct {
	Store
	holder string
}

func (f fenced) Update(ctx context.Context, fn func(Tx) error) error {
	return f.Store.Update(ctx, func(tx Tx) error {
		holder, err := tx.Get(migrationsTable, holderKey())
		if err != nil {
			return err
		}
		if string(holder) != f.holder {
			return errTakenOver
		}
		return fn(tx)
	})
}
