package cache

import (
	"context"
	"iter"
	"slices"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/services/permission/internal/revision"
	"guildhall.dev/services/permission/internal/sequence"
)

// Writes returns the store to make all changes through.
//
// On a store that only this process can open, it brings memory up to date with
// a change before the Update that made it returns. On others with leases, it
// gives the change its place in the sequence, and Update returns when no
// replica answers any more from before it. When that wait is cut off the change
// is durable and Update is Unavailable (REVOCATION_PENDING).
//
// An Update that moves no revision waits as well, for what was committed before
// it: it may be the retry of one whose wait was cut off, and would tell its
// caller that all is done.
func (c *Cache) Writes() kv.Store {
	if !c.exclusive && c.keeper == nil {
		return c.cfg.Store // checks look for themselves
	}
	return &watched{Store: c.cfg.Store, cache: c}
}

type watched struct {
	kv.Store
	cache *Cache
}

// Update implements kv.Store.
func (w *watched) Update(ctx context.Context, fn func(tx kv.Tx) error) error {
	t := &trace{aside: w.cache.cfg.Aside}
	err := w.Store.Update(ctx, func(tx kv.Tx) error {
		t.moved, t.concerned = nil, false
		if err := fn(watchedTx{Tx: tx, trace: t}); err != nil || w.cache.exclusive || t.moved == nil {
			return err
		}
		return sequence.Append(tx, t.moved)
	})
	if w.cache.exclusive {
		w.cache.wrote(ctx, t.moved, err == nil)
		return err
	}
	if err != nil || !t.concerned {
		return err
	}
	return w.cache.keeper.Settle(ctx)
}

// wrote brings journals up to date after a write of this process, on a store
// that has no others.
func (c *Cache) wrote(ctx context.Context, moved map[string]revision.Revision, succeeded bool) {
	for organization := range moved {
		j := c.journal(organization)
		// Most likely a write that failed did nothing. The next check looks.
		if !succeeded || c.catchUp(ctx, j, newest) != nil {
			j.doubts.Add(1)
		}
	}
}

// trace is what a transaction has touched.
type trace struct {
	// aside are tables that no answer about grants depends on.
	aside []string
	// concerned: it touched others too.
	concerned bool
	// moved are the organisations whose revision it moved, and where to.
	moved map[string]revision.Revision
}

func (t *trace) touch(table string) {
	t.concerned = t.concerned || !slices.Contains(t.aside, table)
}

// watchedTx notes what is touched.
type watchedTx struct {
	kv.Tx
	*trace
}

// Get implements kv.Reader.
func (t watchedTx) Get(table string, key []byte) ([]byte, error) {
	t.touch(table)
	return t.Tx.Get(table, key)
}

// GetMany implements kv.Reader.
func (t watchedTx) GetMany(table string, keys [][]byte) ([][]byte, error) {
	t.touch(table)
	return t.Tx.GetMany(table, keys)
}

// Scan implements kv.Reader.
func (t watchedTx) Scan(table string, r kv.Range) iter.Seq2[kv.Item, error] {
	t.touch(table)
	return t.Tx.Scan(table, r)
}

// Put implements kv.Tx.
func (t watchedTx) Put(table string, key, value []byte) error {
	t.touch(table)
	if table == revision.TableHeads {
		if organization, to, ok := revision.Watch(key, value); ok {
			if t.moved == nil {
				t.trace.moved = make(map[string]revision.Revision)
			}
			t.moved[organization] = to
		}
	}
	return t.Tx.Put(table, key, value)
}
