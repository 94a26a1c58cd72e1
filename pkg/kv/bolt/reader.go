package bolt

import (
	"bytes"
	"iter"

	bbolt "go.etcd.io/bbolt"

	"guildhall.dev/pkg/kv"
)

// reader reads the committed state that a bbolt transaction sees. overlay.Tx
// has checked tables and context by then. Everything is copied: bbolt's slices
// point into the mapped file and die with the transaction.
type reader struct{ tx *bbolt.Tx }

// Get implements kv.Reader.
func (r reader) Get(table string, key []byte) ([]byte, error) {
	return clone(r.tx.Bucket([]byte(table)).Get(key)), nil
}

// GetMany implements kv.Reader.
func (r reader) GetMany(table string, keys [][]byte) ([][]byte, error) {
	b := r.tx.Bucket([]byte(table))
	values := make([][]byte, len(keys))
	for i, key := range keys {
		values[i] = clone(b.Get(key))
	}
	return values, nil
}

// Scan implements kv.Reader.
func (r reader) Scan(table string, rng kv.Range) iter.Seq2[kv.Item, error] {
	return func(yield func(kv.Item, error) bool) {
		c := r.tx.Bucket([]byte(table)).Cursor()
		key, value := first(c, rng)
		for n := 1; key != nil && inside(key, rng); n++ {
			if !yield(kv.Item{Key: clone(key), Value: clone(value)}, nil) || n == rng.Limit {
				return
			}
			if rng.Reverse {
				key, value = c.Prev()
			} else {
				key, value = c.Next()
			}
		}
	}
}

// first moves c to the item a scan of rng begins with, if any is left.
func first(c *bbolt.Cursor, rng kv.Range) (key, value []byte) {
	if !rng.Reverse {
		return c.Seek(rng.Start) // a nil Start is the first key
	}
	if rng.End == nil {
		return c.Last()
	}
	if key, _ := c.Seek(rng.End); key == nil {
		return c.Last()
	}
	return c.Prev() // End itself is outside
}

func inside(key []byte, rng kv.Range) bool {
	if rng.Reverse {
		return bytes.Compare(key, rng.Start) >= 0
	}
	return rng.End == nil || bytes.Compare(key, rng.End) < 0
}

// clone keeps nil apart from empty.
func clone(b []byte) []byte {
	if b == nil {
		return nil
	}
	return append([]byte{}, b...)
}
