package kv

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"io"
	"slices"
)

// A snapshot is the same bytes from either engine: a magic line, records, and
// a checksum.
//
//	"guildhall-kv-snapshot 1\n"
//	'T' <uvarint length> <table name>                       begins a table
//	'I' <uvarint length> <key> <uvarint length> <value>     an item of it, in key order
//	'E' <uvarint number of items> <SHA-256 of all before>   the end
//
// Values are what the layer above stored, so a sealed store has a sealed
// snapshot. The checksum finds damage; it is no protection against forgery.
const snapshotMagic = "guildhall-kv-snapshot 1\n"

const (
	tagTable = 'T'
	tagItem  = 'I'
	tagEnd   = 'E'
)

// WriteSnapshot writes all tables that r reads to w, sorted by name. It is
// what the engines' Snapshot is made of. Errors of w and r come back as they
// are.
func WriteSnapshot(w io.Writer, tables []string, r Reader) error {
	e := snapshotWriter{out: bufio.NewWriterSize(w, 64<<10), sum: sha256.New()}
	e.write([]byte(snapshotMagic))
	names := slices.Clone(tables)
	slices.Sort(names)
	for _, name := range names {
		e.write([]byte{tagTable})
		e.field([]byte(name))
		for item, err := range r.Scan(name, Range{}) {
			if err != nil {
				return err
			}
			e.write([]byte{tagItem})
			e.field(item.Key)
			e.field(item.Value)
			e.items++
			if e.err != nil {
				return e.err
			}
		}
	}
	e.write([]byte{tagEnd})
	e.uvarint(e.items)
	e.write(e.sum.Sum(nil))
	if e.err != nil {
		return e.err
	}
	return e.out.Flush()
}

// snapshotWriter keeps the first error, so that its callers ask once.
type snapshotWriter struct {
	out   *bufio.Writer
	sum   hash.Hash
	items uint64
	err   error
}

func (e *snapshotWriter) write(p []byte) {
	if e.err != nil {
		return
	}
	e.sum.Write(p)
	_, e.err = e.out.Write(p)
}

func (e *snapshotWriter) uvarint(n uint64) { e.write(binary.AppendUvarint(nil, n)) }

func (e *snapshotWriter) field(p []byte) {
	e.uvarint(uint64(len(p)))
	e.write(p)
}
