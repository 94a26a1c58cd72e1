package seal

import (
	"context"
	"iter"

	"guildhall.dev/pkg/kv"
)

// Overhead is how many bytes longer a sealed value is: a format byte, the key
// id, a nonce of 192 bits and a tag of 128.
const Overhead = 1 + 4 + 24 + 16

// Wrap returns s with every value sealed before it reaches s and opened when
// it comes back. Keys pass as they are: hash what is personal in them
// (kv.Personal). Ping, Snapshot and Close are those of s, so a snapshot holds
// sealed values and is read only with this ring's keyset.
//
// A sealed value is longer by Overhead bytes, so the largest value is that much
// below kv.MaxValueSize. Besides the errors of s, reads return Precondition
// (STORE_UNREADABLE) for a value of another keyset, and Internal
// (STORE_TAMPERED) for one that was changed or moved.
func (r *Ring) Wrap(s kv.Store) kv.Store { return &store{Store: s, ring: r} }

type store struct {
	kv.Store
	ring *Ring
}

// Unwrap returns the store below; see kv.Exclusive.
func (s *store) Unwrap() kv.Store { return s.Store }

func (s *store) View(ctx context.Context, fn func(kv.Reader) error) error {
	return s.Store.View(ctx, func(r kv.Reader) error {
		return fn(reader{inner: r, ring: s.ring})
	})
}

func (s *store) Update(ctx context.Context, fn func(kv.Tx) error) error {
	return s.Store.Update(ctx, func(t kv.Tx) error {
		return fn(tx{reader: reader{inner: t, ring: s.ring}, inner: t})
	})
}

type reader struct {
	inner kv.Reader
	ring  *Ring
}

func (r reader) Get(table string, key []byte) ([]byte, error) {
	sealed, err := r.inner.Get(table, key)
	if err != nil {
		return nil, err
	}
	return r.ring.open(table, key, sealed)
}

func (r reader) GetMany(table string, keys [][]byte) ([][]byte, error) {
	values, err := r.inner.GetMany(table, keys)
	if err != nil {
		return nil, err
	}
	for i, sealed := range values {
		if values[i], err = r.ring.open(table, keys[i], sealed); err != nil {
			return nil, err
		}
	}
	return values, nil
}

func (r reader) Scan(table string, rng kv.Range) iter.Seq2[kv.Item, error] {
	return func(yield func(kv.Item, error) bool) {
		for item, err := range r.inner.Scan(table, rng) {
			if err == nil {
				item.Value, err = r.ring.open(table, item.Key, item.Value)
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

type tx struct {
	reader
	inner kv.Tx
}

func (t tx) Put(table string, key, value []byte) error {
	sealed, err := t.ring.seal(table, key, value)
	if err != nil {
		return err
	}
	return t.inner.Put(table, key, sealed)
}

func (t tx) Delete(table string, key []byte) error { return t.inner.Delete(table, key) }
