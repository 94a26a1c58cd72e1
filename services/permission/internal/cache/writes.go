package cache

import (
	"context"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/services/permission/internal/revision"
)

// Writes returns the store to make all changes through. On a store that only
// this process can open, it brings memory up to date with a change before the
// Update that made it returns; on others, checks look for themselves and it is
// the store as it is.
func (c *Cache) Writes() kv.Store {
	if !c.exclusive {
		return c.cfg.Store
	}
	return &watched{Store: c.cfg.Store, cache: c}
}

type watched struct {
	kv.Store
	cache *Cache
}

// Update implements kv.Store.
func (w *watched) Update(ctx context.Context, fn func(tx kv.Tx) error) error {
	var moved map[string]bool
	err := w.Store.Update(ctx, func(tx kv.Tx) error {
		moved = nil
		return fn(watchedTx{Tx: tx, moved: &moved})
	})
	for organization := range moved {
		j := w.cache.journal(organization)
		if err != nil {
			// Most likely nothing happened. The next check looks.
			j.doubts.Add(1)
			continue
		}
		if w.cache.catchUp(ctx, j, newest) != nil {
			j.doubts.Add(1)
		}
	}
	return err
}

// watchedTx notes which organisations' revisions are written.
type watchedTx struct {
	kv.Tx
	moved *map[string]bool
}

// Put implements kv.Tx.
func (t watchedTx) Put(table string, key, value []byte) error {
	if table == revision.TableHeads {
		if organization, ok := revision.Watch(key); ok {
			if *t.moved == nil {
				*t.moved = make(map[string]bool)
			}
			(*t.moved)[organization] = true
		}
	}
	return t.Tx.Put(table, key, value)
}
