package overlay

import (
	"bytes"
	"iter"

	"guildhall.dev/pkg/kv"
)

// Merged reads a layer over a base, the layer's writes winning. It checks
// nothing: Tx does.
type Merged struct {
	Base  kv.Reader
	Layer *Layer
}

// Get implements kv.Reader.
func (m Merged) Get(table string, key []byte) ([]byte, error) {
	w, ok := m.Layer.Get(table, key)
	if !ok {
		return m.Base.Get(table, key)
	}
	return own(w), nil
}

// GetMany implements kv.Reader. Only keys the layer does not know are asked of
// the base.
func (m Merged) GetMany(table string, keys [][]byte) ([][]byte, error) {
	if m.Layer.Len(table) == 0 {
		return m.Base.GetMany(table, keys)
	}
	values := make([][]byte, len(keys))
	var missing [][]byte
	var places []int
	for i, key := range keys {
		if w, ok := m.Layer.Get(table, key); ok {
			values[i] = own(w)
			continue
		}
		missing, places = append(missing, key), append(places, i)
	}
	if len(missing) == 0 {
		return values, nil
	}
	found, err := m.Base.GetMany(table, missing)
	if err != nil {
		return nil, err
	}
	for i, place := range places {
		values[place] = found[i]
	}
	return values, nil
}

// Scan implements kv.Reader. It yields what was written before it began, not
// what the loop's body writes.
func (m Merged) Scan(table string, r kv.Range) iter.Seq2[kv.Item, error] {
	return func(yield func(kv.Item, error) bool) {
		if m.Layer.Len(table) == 0 {
			m.Base.Scan(table, r)(yield)
			return
		}
		m.scan(table, r, yield)
	}
}

func (m Merged) scan(table string, r kv.Range, yield func(kv.Item, error) bool) {
	writes := m.Layer.walk(table, r.Start, r.End, r.Reverse)
	left := r.Limit // meaningless when zero: no limit
	emit := func(item kv.Item) bool {
		more := yield(item, nil)
		left--
		return more && left != 0
	}
	// Each write hides at most one item of the base, so this many are enough.
	base := r
	if r.Limit > 0 {
		base.Limit += m.Layer.Len(table)
	}
	for item, err := range m.Base.Scan(table, base) {
		if err != nil {
			yield(kv.Item{}, err)
			return
		}
		for writes.ok && before(writes.key(), item.Key, r.Reverse) {
			if w := writes.write(); !w.Deleted && !emit(kv.Item{Key: writes.key(), Value: own(w)}) {
				return
			}
			writes.next()
		}
		if writes.ok && bytes.Equal(writes.key(), item.Key) {
			w := writes.write()
			writes.next()
			if w.Deleted {
				continue
			}
			item.Value = own(w)
		}
		if !emit(item) {
			return
		}
	}
	for ; writes.ok; writes.next() {
		if w := writes.write(); !w.Deleted && !emit(kv.Item{Key: writes.key(), Value: own(w)}) {
			return
		}
	}
}

// before reports whether a comes before b in the order of the scan.
func before(a, b []byte, reverse bool) bool {
	c := bytes.Compare(a, b)
	return c < 0 && !reverse || c > 0 && reverse
}

// own returns the value of a write as the caller's own.
func own(w Write) []byte {
	if w.Deleted {
		return nil
	}
	return append([]byte{}, w.Value...)
}
