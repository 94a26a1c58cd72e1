package kv

import (
	"fmt"
	"strings"
	"time"
)

// Key is a tuple that encodes to bytes in tuple order: the first parts that
// differ decide, and a key sorts before the keys it is a prefix of. Parts of
// one kind order by their value (strings and bytes bytewise, times by
// instant), parts of different kinds by kind, so give a position one kind.
//
// No encoding is a prefix of another unless its tuple is a prefix of the
// other tuple. So a Key is also the way to name a range: all keys that begin
// with these parts. The nil Key begins every key.
type Key []Part

// Part is one element of a Key. Make it with String, Bytes, Uint64, Int64,
// Time or Personal; the zero Part is not valid. Parts compare with ==.
type Part struct {
	kind  partKind
	text  string // String, Bytes, Personal in clear, or a digest
	num   uint64 // Uint64; Int64 and the seconds of Time with the sign flipped
	nanos uint32 // Time
}

// partKind is also the tag byte of the encoding. The values are stored: they
// never change and order the kinds. Tags leave 0x01 free (see tagPrimary) and
// stay below 0xff (see terminator).
type partKind byte

const (
	kindString  partKind = 0x10
	kindBytes   partKind = 0x11
	kindUint64  partKind = 0x20
	kindInt64   partKind = 0x21
	kindTime    partKind = 0x30
	kindDigest  partKind = 0x40
	kindInClear partKind = 0xfe // Personal before it is hashed; never stored
)

// signBit turns the order of signed numbers into that of unsigned ones.
const signBit = 1 << 63

// String is a text part. It may hold any bytes.
func String(s string) Part { return Part{kind: kindString, text: s} }

// Bytes is a binary part; b is copied.
func Bytes(b []byte) Part { return Part{kind: kindBytes, text: string(b)} }

// Uint64 is a number that orders numerically.
func Uint64(n uint64) Part { return Part{kind: kindUint64, num: n} }

// Int64 is a signed number that orders numerically, negatives first.
func Int64(n int64) Part { return Part{kind: kindInt64, num: uint64(n) ^ signBit} }

// Time is an instant that orders by time, to the nanosecond. Zone and
// monotonic reading are dropped.
func Time(t time.Time) Part {
	return Part{kind: kindTime, num: uint64(t.Unix()) ^ signBit, nanos: uint32(t.Nanosecond())}
}

// Personal is a value about a person, such as an e-mail address. The table
// replaces it by a keyed hash when it encodes the key, so that the value is
// neither stored nor ordered in clear: it can be looked up and nothing else.
// Normalise it first (case, spaces); the hash of another spelling is another
// hash.
func Personal[T string | []byte](v T) Part { return Part{kind: kindInClear, text: string(v)} }

// Hasher replaces personal key parts. *seal.Ring is the one in use.
type Hasher interface {
	// Hash returns 16 bytes that depend on the context, the value and a
	// secret key. It is deterministic and safe for concurrent use.
	Hash(context string, value []byte) []byte
}

// Value returns what the part was made from: a string, []byte, uint64, int64
// or time.Time in UTC. It is nil for a personal part, read back or not.
func (p Part) Value() any {
	switch p.kind {
	case kindString:
		return p.text
	case kindBytes:
		return []byte(p.text)
	case kindUint64:
		return p.num
	case kindInt64:
		return int64(p.num ^ signBit)
	case kindTime:
		return time.Unix(int64(p.num^signBit), int64(p.nanos)).UTC()
	}
	return nil
}

// String returns the part for logs. A personal part shows neither value nor hash.
func (p Part) String() string {
	switch v := p.Value().(type) {
	case string:
		return fmt.Sprintf("%q", v)
	case []byte:
		return fmt.Sprintf("%x", v)
	case time.Time:
		return v.Format(time.RFC3339Nano)
	case nil:
		return "personal"
	default:
		return fmt.Sprint(v)
	}
}

// GoString is String, so that %#v in a log shows no personal value either.
func (p Part) GoString() string { return p.String() }

// String returns the key for logs, as in ("acme", 7, personal).
func (k Key) String() string {
	parts := make([]string, len(k))
	for i, p := range k {
		parts[i] = p.String()
	}
	return "(" + strings.Join(parts, ", ") + ")"
}

// GoString is String, for the reason Part.GoString gives.
func (k Key) GoString() string { return k.String() }

// With returns a new key of k's parts and the given ones; k is not changed.
func (k Key) With(parts ...Part) Key {
	out := make(Key, 0, len(k)+len(parts))
	return append(append(out, k...), parts...)
}
