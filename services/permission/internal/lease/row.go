package lease

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/permission/store/v1"
	"guildhall.dev/services/permission/internal/sequence"
)

const table = "leases" // (id) -> Lease

// Tables returns the raw tables of this package, for kv.Options.
func Tables() []string { return []string{table} }

// row is a lease as the store has it.
type row struct {
	id      string
	beat    uint64
	length  time.Duration
	applied sequence.Vector
}

func (l row) put(tx kv.Tx) error {
	key, err := rowKey(l.id)
	if err != nil {
		return err
	}
	value, err := proto.Marshal(&storev1.Lease{
		Id: l.id, Beat: l.beat, LengthMillis: l.length.Milliseconds(), Applied: l.applied.Proto(),
	})
	if err != nil {
		return fmt.Errorf("encode a lease: %w", err)
	}
	return tx.Put(table, key, value)
}

// readRows returns all leases.
func readRows(r kv.Reader) (rows []row, err error) {
	for item, err := range r.Scan(table, kv.Range{}) {
		if err != nil {
			return nil, err
		}
		l, err := parseRow(item.Value)
		if err != nil {
			return nil, err
		}
		rows = append(rows, l)
	}
	return rows, nil
}

func parseRow(value []byte) (row, error) {
	var m storev1.Lease
	if err := proto.Unmarshal(value, &m); err != nil {
		return row{}, errs.New(errs.Internal, "STORE_CORRUPT", errs.InternalMessage, errs.Cause(fmt.Errorf("lease: %w", err)))
	}
	return row{
		id: m.GetId(), beat: m.GetBeat(), length: time.Duration(m.GetLengthMillis()) * time.Millisecond,
		applied: sequence.FromProto(m.GetApplied()),
	}, nil
}

// sweep deletes the row of a lease unless it has been renewed.
func sweep(tx kv.Tx, id string, beat uint64) error {
	key, err := rowKey(id)
	if err != nil {
		return err
	}
	value, err := tx.Get(table, key)
	if err != nil || value == nil {
		return err
	}
	l, err := parseRow(value)
	if err != nil || l.beat != beat {
		return err
	}
	return tx.Delete(table, key)
}

func remove(tx kv.Tx, id string) error {
	key, err := rowKey(id)
	if err != nil {
		return err
	}
	return tx.Delete(table, key)
}

func rowKey(id string) ([]byte, error) { return kv.Key{kv.String(id)}.Encode(nil, nil, "") }
