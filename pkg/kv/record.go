package kv

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/errs"
)

// Record is a stored value and what the store knows of it.
type Record[T proto.Message] struct {
	Value T
	// Revision counts the writes of the record since it was created, from 1.
	Revision uint64
	// Etag changes with every write (AIP-154). Clients compare it and read
	// nothing into it.
	Etag string
	// Position is where a Scan or List stood: give it to Query.After to go on
	// behind this record. It is nil in any other record.
	Position []byte
}

// Found reports whether there is a record: GetMany marks a missing one with
// the zero Record.
func (r Record[T]) Found() bool { return r.Revision != 0 }

// CheckEtag returns Conflict (ETAG_MISMATCH) when etag is not that of the
// record. An empty etag asks for no check and "*" for any record at all.
func (r Record[T]) CheckEtag(etag string) error {
	if etag == "" || etag == "*" || etag == r.Etag {
		return nil
	}
	const text = "the resource has changed since it was read; read it again, then decide"
	return errs.New(errs.Conflict, "ETAG_MISMATCH", text, errs.Field("etag", "ETAG_MISMATCH", text))
}

// recordFormat is the first byte of a stored record. After it come the
// revision as uvarint and the message.
const recordFormat = 1

// etagSize is in bytes of hash: 16 characters, and a chance of 2^-96 that a
// changed record keeps its etag.
const etagSize = 12

func etagOf(stored []byte) string {
	sum := sha256.Sum256(stored)
	return base64.RawURLEncoding.EncodeToString(sum[:etagSize])
}

// encodeRecord marshals deterministically, so that a record read and written
// unchanged differs in its revision only.
func encodeRecord(v proto.Message, revision uint64) ([]byte, error) {
	b := make([]byte, 1, 1+binary.MaxVarintLen64+proto.Size(v))
	b[0] = recordFormat
	b = binary.AppendUvarint(b, revision)
	return proto.MarshalOptions{Deterministic: true}.MarshalAppend(b, v)
}

func (t *Table[T]) decode(stored []byte) (Record[T], error) {
	if len(stored) == 0 || stored[0] != recordFormat {
		return Record[T]{}, corrupt("table %s: a record of unknown format", t.cfg.Name)
	}
	revision, n := binary.Uvarint(stored[1:])
	if n <= 0 || revision == 0 {
		return Record[T]{}, corrupt("table %s: a record without a revision", t.cfg.Name)
	}
	var zero T
	v, _ := zero.ProtoReflect().New().Interface().(T)
	if err := proto.Unmarshal(stored[1+n:], v); err != nil {
		return Record[T]{}, corrupt("table %s: %w", t.cfg.Name, err)
	}
	return Record[T]{Value: v, Revision: revision, Etag: etagOf(stored)}, nil
}

func (t *Table[T]) encode(key Key) ([]byte, error) {
	raw, err := key.Encode(nil, t.cfg.Hasher, t.cfg.Name)
	if err != nil {
		return nil, fmt.Errorf("table %s: %w", t.cfg.Name, err)
	}
	return raw, nil
}

func (t *Table[T]) find(r Reader, raw []byte) (Record[T], bool, error) {
	stored, err := r.Get(t.cfg.Name, raw)
	if err != nil || stored == nil {
		return Record[T]{}, false, err
	}
	rec, err := t.decode(stored)
	return rec, err == nil, err
}

func (t *Table[T]) getMany(r Reader, raw [][]byte) ([]Record[T], error) {
	values, err := r.GetMany(t.cfg.Name, raw)
	if err != nil {
		return nil, err
	}
	out := make([]Record[T], len(values))
	for i, stored := range values {
		if stored == nil {
			continue
		}
		if out[i], err = t.decode(stored); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// current returns the encoded key of v and the record stored under it.
func (t *Table[T]) current(r Reader, v T) (raw []byte, old Record[T], found bool, err error) {
	if raw, err = t.encode(t.cfg.Key(v)); err == nil {
		old, found, err = t.find(r, raw)
	}
	return raw, old, found, err
}

// write stores v in place of old, which is the zero Record when there is none.
func (t *Table[T]) write(tx Tx, raw []byte, old Record[T], v T) (Record[T], error) {
	for _, x := range t.indexes {
		var gone, come []string
		var err error
		if old.Found() {
			if gone, err = x.entries(old.Value, raw); err != nil {
				return Record[T]{}, err
			}
		}
		if come, err = x.entries(v, raw); err != nil {
			return Record[T]{}, err
		}
		if err := x.replace(tx, raw, gone, come); err != nil {
			return Record[T]{}, err
		}
	}
	stored, err := encodeRecord(v, old.Revision+1)
	if err != nil {
		return Record[T]{}, fmt.Errorf("table %s: encode a record: %w", t.cfg.Name, err)
	}
	if err := tx.Put(t.cfg.Name, raw, stored); err != nil {
		return Record[T]{}, err
	}
	return Record[T]{Value: v, Revision: old.Revision + 1, Etag: etagOf(stored)}, nil
}

// corrupt is the error for stored bytes that this package did not write so.
func corrupt(format string, args ...any) error {
	return errs.New(errs.Internal, "STORE_RECORD_CORRUPT", errs.InternalMessage, errs.Cause(fmt.Errorf("kv: "+format, args...)))
}
