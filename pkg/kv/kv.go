// Package kv is the only storage interface of the suite: named tables of
// ordered byte keys under serializable transactions.
//
// Two engines implement it, bbolt (one file, no server) and PostgreSQL (one
// schema a service); kvtest holds the conformance suite both pass. Every
// service is written once, against this package. It is not a query language:
// what a service wants to find it declares as an index of a Table.
package kv

import (
	"context"
	"io"
	"iter"
)

// Store is an ordered, transactional store. All methods are safe for
// concurrent use.
//
// Errors that a closure returns come back unchanged (errors.Is holds). Errors
// of the engine are errs errors: Unavailable when the store cannot be reached
// or a transaction lost every retry (reason STORE_UNAVAILABLE or
// STORE_CONTENTION), Precondition when it is read-only (STORE_READ_ONLY),
// Exhausted when the disk is full (STORE_FULL); reasons.go lists them all. A
// context that ended is Canceled or DeadlineExceeded, and the context's own
// error under errors.Is.
//
// A closure must not call the Store: on bbolt an Update inside a closure waits
// for itself, on PostgreSQL it takes a second connection. A closure uses its
// Reader or Tx, on its own goroutine, and not after it returns.
type Store interface {
	// View runs fn on a consistent snapshot. The reader must not be used
	// after fn returns. fn may run more than once.
	View(ctx context.Context, fn func(r Reader) error) error

	// Update runs fn in a serializable transaction and, when fn returns nil,
	// makes its writes durable before it returns nil. When fn or the commit
	// fails, no write of it is ever seen. fn may run more than once, so it
	// must be pure: no remote call, clock, randomness, log or channel inside.
	//
	// When Update returns an error because ctx ended, or the connection broke
	// (STORE_OUTCOME_UNKNOWN), while the commit was under way, the writes may
	// or may not have taken effect; callers that retry do so under a request
	// id.
	Update(ctx context.Context, fn func(tx Tx) error) error

	// Ping reports whether the store can serve a read now. It is what
	// readiness asks.
	Ping(ctx context.Context) error

	// Snapshot writes a consistent copy of every table to w, in a format
	// that Restore of the same package reads on either engine.
	Snapshot(ctx context.Context, w io.Writer) error

	// Close waits for running transactions and releases the store.
	Close() error
}

// Reader reads one snapshot. Inside Update it also sees the transaction's own
// writes. Returned slices are the caller's to keep.
type Reader interface {
	// Get returns the value of key, or nil when there is none. A stored empty
	// value is returned as a non-nil empty slice.
	Get(table string, key []byte) ([]byte, error)

	// GetMany returns the values in the order of the keys, nil where there is
	// none, in one round trip.
	GetMany(table string, keys [][]byte) ([][]byte, error)

	// Scan yields the items of the range in key order, or from the end when
	// r.Reverse. The sequence ends at the first error it yields. Stopping
	// early is cheap. It shows the state it began with: the loop's body may
	// read and write the same range.
	Scan(table string, r Range) iter.Seq2[Item, error]
}

// Tx is a Reader that also writes.
type Tx interface {
	Reader
	// Put sets the value of key. The key is 1 to MaxKeySize bytes, the value
	// at most MaxValueSize.
	Put(table string, key, value []byte) error
	// Delete removes key. A missing key is no error.
	Delete(table string, key []byte) error
}

// Item is one key and its value.
type Item struct {
	Key   []byte
	Value []byte
}

// Range selects keys k with Start <= k < End in byte order. A nil Start is the
// first key, a nil End is past the last.
type Range struct {
	Start, End []byte
	Reverse    bool
	// Limit is the most items to yield; zero is all. It lets an engine fetch
	// no more than is read.
	Limit int
}

// Limits on keys and values, the same on both engines. The key bound is below
// PostgreSQL's btree row limit (a third of a page).
const (
	MaxKeySize   = 2000
	MaxValueSize = 16 << 20
)

// Prefix returns the range of all keys that begin with p. A nil or empty
// prefix is the whole table.
func Prefix(p []byte) Range {
	return Range{Start: p, End: PrefixEnd(p)}
}

// PrefixEnd returns the first key after all keys that begin with p, or nil
// when there is none.
func PrefixEnd(p []byte) []byte {
	for i := len(p) - 1; i >= 0; i-- {
		if p[i] != 0xff {
			end := make([]byte, i+1)
			copy(end, p)
			end[i]++
			return end
		}
	}
	return nil
}
