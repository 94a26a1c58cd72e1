// Package overlay keeps the writes of a transaction beside the snapshot it
// reads, and merges the two on the way out.
//
// Both engines run closures this way, for different reasons: bbolt so that a
// closure that fails leaves no trace in the batch it shares a commit with,
// PostgreSQL so that all writes go to the server in one round trip.
package overlay

import (
	"iter"

	"github.com/tidwall/btree"
)

// Write is one pending change of a key.
type Write struct {
	Value   []byte // nil when Deleted, else not nil
	Deleted bool
}

// Layer is a set of writes, the last one of each key. It is for one goroutine
// at a time. The zero value is empty and ready.
type Layer struct {
	tables map[string]*btree.Map[string, Write]
	bytes  int
}

// Put records a write; it copies key and value.
func (l *Layer) Put(table string, key, value []byte) {
	l.set(table, string(key), Write{Value: append([]byte{}, value...)})
}

// Delete records a deletion, also of a key that is not there.
func (l *Layer) Delete(table string, key []byte) {
	l.set(table, string(key), Write{Deleted: true})
}

func (l *Layer) set(table, key string, w Write) {
	t := l.tables[table]
	if t == nil {
		if l.tables == nil {
			l.tables = make(map[string]*btree.Map[string, Write], 4)
		}
		t = new(btree.Map[string, Write])
		l.tables[table] = t
	}
	old, replaced := t.Set(key, w)
	l.bytes += len(w.Value)
	if replaced {
		l.bytes -= len(old.Value)
	} else {
		l.bytes += len(key)
	}
}

// Get returns the write of key, if there is one. Its value must not be
// changed.
func (l *Layer) Get(table string, key []byte) (Write, bool) {
	t := l.tables[table]
	if t == nil {
		return Write{}, false
	}
	return t.Get(string(key))
}

// Empty reports whether nothing was written.
func (l *Layer) Empty() bool { return len(l.tables) == 0 }

// Bytes is the size of the keys and values held.
func (l *Layer) Bytes() int { return l.bytes }

// Len is the number of keys written in table.
func (l *Layer) Len(table string) int {
	if t := l.tables[table]; t != nil {
		return t.Len()
	}
	return 0
}

// Merge adds the writes of other over those of l. other is not used again.
func (l *Layer) Merge(other *Layer) {
	if l.Empty() {
		*l = *other
		return
	}
	for name, t := range other.tables {
		for key, w := range t.Scan {
			l.set(name, key, w)
		}
	}
}

// Tables returns the names of the tables with writes, in no order.
func (l *Layer) Tables() []string {
	names := make([]string, 0, len(l.tables))
	for name := range l.tables {
		names = append(names, name)
	}
	return names
}

// All yields the writes of table in key order. Values must not be changed.
func (l *Layer) All(table string) iter.Seq2[string, Write] {
	return func(yield func(string, Write) bool) {
		if t := l.tables[table]; t != nil {
			t.Scan(yield)
		}
	}
}

// walk returns a cursor over the writes of table in [start, end), in the order
// of a scan. Writes made afterwards are not seen by it: the tree is copied,
// which costs nothing until one of the two is written.
func (l *Layer) walk(table string, start, end []byte, reverse bool) *cursor {
	c := &cursor{start: start, end: end, reverse: reverse}
	t := l.tables[table]
	if t == nil {
		return c
	}
	c.iter = t.Copy().Iter()
	switch {
	case !reverse:
		c.ok = c.iter.Seek(string(start))
	case end == nil:
		c.ok = c.iter.Last()
	case c.iter.Seek(string(end)):
		c.ok = c.iter.Prev() // end itself is outside
	default:
		c.ok = c.iter.Last()
	}
	c.clip()
	return c
}

type cursor struct {
	iter       btree.MapIter[string, Write]
	ok         bool // a write is at hand
	start, end []byte
	reverse    bool
}

func (c *cursor) key() []byte  { return []byte(c.iter.Key()) }
func (c *cursor) write() Write { return c.iter.Value() }

func (c *cursor) next() {
	if c.reverse {
		c.ok = c.iter.Prev()
	} else {
		c.ok = c.iter.Next()
	}
	c.clip()
}

// clip ends the walk at the far bound.
func (c *cursor) clip() {
	if !c.ok {
		return
	}
	if c.reverse {
		c.ok = c.iter.Key() >= string(c.start)
	} else {
		c.ok = c.end == nil || c.iter.Key() < string(c.end)
	}
}
