package kvtest

import (
	"bytes"
	"iter"
	"maps"
	"slices"

	"guildhall.dev/pkg/kv"
)

// sortedMap is the plainest kv.Tx there can be.
type sortedMap map[string]map[string][]byte

var _ kv.Tx = sortedMap{}

func newSortedMap() sortedMap {
	m := sortedMap{}
	for _, table := range Tables() {
		m[table] = map[string][]byte{}
	}
	return m
}

func (m sortedMap) clone() sortedMap {
	c := sortedMap{}
	for table, items := range m {
		c[table] = maps.Clone(items)
	}
	return c
}

func (m sortedMap) dump() (string, error) {
	var out bytes.Buffer
	err := dumpTo(&out, m)
	return out.String(), err
}

func (m sortedMap) Get(table string, key []byte) ([]byte, error) {
	return bytes.Clone(m[table][string(key)]), nil
}

func (m sortedMap) GetMany(table string, keys [][]byte) ([][]byte, error) {
	values := make([][]byte, len(keys))
	for i, key := range keys {
		values[i] = bytes.Clone(m[table][string(key)])
	}
	return values, nil
}

func (m sortedMap) Scan(table string, r kv.Range) iter.Seq2[kv.Item, error] {
	keys := slices.Sorted(maps.Keys(m[table]))
	if r.Reverse {
		slices.Reverse(keys)
	}
	return func(yield func(kv.Item, error) bool) {
		n := 0
		for _, key := range keys {
			if key < string(r.Start) || r.End != nil && key >= string(r.End) {
				continue
			}
			if !yield(kv.Item{Key: []byte(key), Value: bytes.Clone(m[table][key])}, nil) {
				return
			}
			if n++; n == r.Limit {
				return
			}
		}
	}
}

func (m sortedMap) Put(table string, key, value []byte) error {
	m[table][string(key)] = append([]byte{}, value...)
	return nil
}

func (m sortedMap) Delete(table string, key []byte) error {
	delete(m[table], string(key))
	return nil
}
