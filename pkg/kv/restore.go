package kv

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"

	"guildhall.dev/pkg/errs"
)

// Bounds of one transaction of Restore.
const (
	restoreItems = 1000
	restoreBytes = 4 << 20
)

// Restore fills the empty store s from a snapshot that Snapshot of either
// engine wrote. tables are those that s was opened with. Nobody else may use s
// meanwhile.
//
// It is Precondition (STORE_NOT_EMPTY) when any table holds an item, Invalid
// (STORE_SNAPSHOT) when r is no snapshot, is damaged or cut off, or holds a
// table that is not declared. When Restore fails it empties the store again;
// only a crash half-way leaves items behind.
func Restore(ctx context.Context, s Store, tables []string, r io.Reader) error {
	if err := requireEmpty(ctx, s, tables); err != nil {
		return err
	}
	err := restore(ctx, s, tables, &snapshotReader{in: bufio.NewReaderSize(r, 64<<10), sum: sha256.New()})
	if err == nil {
		return nil
	}
	return errors.Join(err, empty(context.WithoutCancel(ctx), s, tables))
}

func requireEmpty(ctx context.Context, s Store, tables []string) error {
	return s.View(ctx, func(r Reader) error {
		for _, table := range tables {
			for _, err := range r.Scan(table, Range{Limit: 1}) {
				if err != nil {
					return err
				}
				return errs.New(errs.Precondition, ReasonNotEmpty,
					"the store holds data: restore into a new folder or schema")
			}
		}
		return nil
	})
}

type restoreItem struct {
	table string
	Item
}

// restore puts the items of a snapshot, a bounded number in each transaction.
func restore(ctx context.Context, s Store, tables []string, in *snapshotReader) error {
	if err := in.begin(); err != nil {
		return err
	}
	var chunk []restoreItem
	size := 0
	for item, err := range in.items(tables) {
		if err != nil {
			return err
		}
		chunk = append(chunk, item)
		size += len(item.Key) + len(item.Value)
		if len(chunk) < restoreItems && size < restoreBytes {
			continue
		}
		if err := putAll(ctx, s, chunk); err != nil {
			return err
		}
		chunk, size = chunk[:0], 0
	}
	return putAll(ctx, s, chunk)
}

func putAll(ctx context.Context, s Store, items []restoreItem) error {
	return s.Update(ctx, func(tx Tx) error {
		for _, item := range items {
			if err := tx.Put(item.table, item.Key, item.Value); err != nil {
				return err
			}
		}
		return nil
	})
}

// empty deletes every item, a bounded number in each transaction.
func empty(ctx context.Context, s Store, tables []string) error {
	for _, table := range tables {
		for more := true; more; {
			err := s.Update(ctx, func(tx Tx) error {
				more = false
				for item, err := range tx.Scan(table, Range{Limit: restoreItems}) {
					if err != nil {
						return err
					}
					if err := tx.Delete(table, item.Key); err != nil {
						return err
					}
					more = true
				}
				return nil
			})
			if err != nil {
				return fmt.Errorf("empty %s after a failed restore: %w", table, err)
			}
		}
	}
	return nil
}

// snapshotReader parses a snapshot. It trusts no length it reads.
type snapshotReader struct {
	in  *bufio.Reader
	sum hash.Hash
}

func badSnapshot(format string, args ...any) error {
	return errs.New(errs.Invalid, ReasonSnapshot,
		"this is no whole snapshot of this store: take another copy, and use the version that wrote it",
		errs.Cause(fmt.Errorf(format, args...)))
}

func (d *snapshotReader) begin() error {
	magic, err := d.take(len(snapshotMagic))
	if err != nil || string(magic) != snapshotMagic {
		return badSnapshot("first line is not %q", snapshotMagic)
	}
	return nil
}

// items yields what the snapshot holds and, when the end does not fit what
// came before, an error as the last.
func (d *snapshotReader) items(declared []string) func(func(restoreItem, error) bool) {
	return func(yield func(restoreItem, error) bool) {
		var item restoreItem // the last one read
		var count uint64
		for {
			tag, err := d.take(1)
			if err != nil {
				yield(restoreItem{}, badSnapshot("after %d items: %w", count, err))
				return
			}
			switch tag[0] {
			case tagTable:
				item, err = d.table(item, declared)
			case tagItem:
				if item, err = d.item(item); err == nil {
					count++
					if !yield(item, nil) {
						return
					}
				}
			case tagEnd:
				if err := d.end(count); err != nil {
					yield(restoreItem{}, err)
				}
				return
			default:
				err = badSnapshot("unknown record %q", tag)
			}
			if err != nil {
				yield(restoreItem{}, err)
				return
			}
		}
	}
}

func (d *snapshotReader) table(last restoreItem, declared []string) (restoreItem, error) {
	name, err := d.field(MaxNameSize)
	if err != nil {
		return restoreItem{}, err
	}
	table := string(name)
	if table <= last.table || !slices.Contains(declared, table) {
		return restoreItem{}, badSnapshot("table %q is out of order or not declared", table)
	}
	return restoreItem{table: table}, nil
}

func (d *snapshotReader) item(last restoreItem) (restoreItem, error) {
	key, err := d.field(MaxKeySize)
	if err != nil {
		return restoreItem{}, err
	}
	value, err := d.field(MaxValueSize)
	if err != nil {
		return restoreItem{}, err
	}
	if last.table == "" || bytes.Compare(key, last.Key) <= 0 {
		return restoreItem{}, badSnapshot("item outside a table or out of order")
	}
	return restoreItem{table: last.table, Item: Item{Key: key, Value: value}}, nil
}

func (d *snapshotReader) end(count uint64) error {
	said, err := d.uvarint()
	if err != nil {
		return err
	}
	want := d.sum.Sum(nil)
	got, err := d.take(len(want))
	if err != nil || said != count || !bytes.Equal(got, want) {
		return badSnapshot("checksum or number of items differs")
	}
	if _, err := d.in.ReadByte(); !errors.Is(err, io.EOF) {
		return badSnapshot("bytes after the end")
	}
	return nil
}

func (d *snapshotReader) field(limit int) ([]byte, error) {
	n, err := d.uvarint()
	if err != nil {
		return nil, err
	}
	if n > uint64(limit) {
		return nil, badSnapshot("field of %d bytes", n)
	}
	p, err := d.take(int(n))
	if err != nil {
		return nil, badSnapshot("field: %w", err)
	}
	return p, nil
}

// take reads n bytes into the checksum. Memory grows with what arrives, not
// with what a length promises.
func (d *snapshotReader) take(n int) ([]byte, error) {
	var buf bytes.Buffer
	if _, err := io.CopyN(&buf, d.in, int64(n)); err != nil {
		return nil, err
	}
	d.sum.Write(buf.Bytes())
	return buf.Bytes(), nil
}

func (d *snapshotReader) uvarint() (uint64, error) {
	var raw []byte
	for len(raw) < binary.MaxVarintLen64 {
		b, err := d.take(1)
		if err != nil {
			return 0, badSnapshot("length: %w", err)
		}
		if raw = append(raw, b[0]); b[0] < 0x80 {
			n, size := binary.Uvarint(raw)
			if size != len(raw) {
				break
			}
			return n, nil
		}
	}
	return 0, badSnapshot("length is no uvarint")
}
