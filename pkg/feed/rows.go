package feed

import (
	"encoding/binary"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/kv"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
)

// metaFormat is the first byte of the meta row. After it come the id of the
// feed and the number of partitions as uvarint.
const metaFormat = 1

var metaKey = kv.Key{kv.String("feed")}

// openMeta returns what the meta row says, or writes it.
func openMeta(tx kv.Tx, fresh feedID, partitions uint32) (feedID, uint32, error) {
	key, err := encode(metaKey)
	if err != nil {
		return feedID{}, 0, err
	}
	row, err := tx.Get(tableMeta, key)
	if err != nil {
		return feedID{}, 0, err
	}
	if row == nil {
		row = append([]byte{metaFormat}, fresh[:]...)
		row = binary.AppendUvarint(row, uint64(partitions))
		return fresh, partitions, tx.Put(tableMeta, key, row)
	}
	if len(row) < 1+len(fresh)+1 || row[0] != metaFormat {
		return feedID{}, 0, corrupt("a meta row of unknown format")
	}
	n, used := binary.Uvarint(row[1+len(fresh):])
	if used <= 0 || n == 0 || n > maxPartitions {
		return feedID{}, 0, corrupt("a meta row with %d partitions", n)
	}
	return feedID(row[1 : 1+len(fresh)]), uint32(n), nil
}

// encode is Key.Encode for keys without personal parts.
func encode(k kv.Key) ([]byte, error) { return k.Encode(nil, nil, "") }

// headKey is the row of the last event of a partition, floorKey that of the
// last one trimmed. They are rows of their own, so that trimming does not
// disturb writers.
func headKey(p uint32) ([]byte, error) {
	return encode(kv.Key{kv.String("head"), kv.Uint64(uint64(p))})
}

func floorKey(p uint32) ([]byte, error) {
	return encode(kv.Key{kv.String("floor"), kv.Uint64(uint64(p))})
}

func eventKey(p uint32, seq uint64) ([]byte, error) {
	return encode(kv.Key{kv.Uint64(uint64(p)), kv.Uint64(seq)})
}

// sequenceOf reads a head or floor row; a missing one is 0.
func sequenceOf(row []byte) (uint64, error) {
	switch len(row) {
	case 0:
		return 0, nil
	case 8:
		return binary.BigEndian.Uint64(row), nil
	}
	return 0, corrupt("a sequence of %d bytes", len(row))
}

func putSequence(tx kv.Tx, key []byte, seq uint64) error {
	return tx.Put(tableHeads, key, binary.BigEndian.AppendUint64(nil, seq))
}

// bounds are, per partition, the last event trimmed and the last one there is.
type bounds struct{ floors, heads []uint64 }

// readBounds reads all heads and floors in one round trip.
func (l *Log) readBounds(r kv.Reader) (bounds, error) {
	n := int(l.partitions)
	keys := make([][]byte, 2*n)
	for p := range n {
		var err error
		if keys[p], err = headKey(uint32(p)); err != nil {
			return bounds{}, err
		}
		if keys[n+p], err = floorKey(uint32(p)); err != nil {
			return bounds{}, err
		}
	}
	rows, err := r.GetMany(tableHeads, keys)
	if err != nil {
		return bounds{}, err
	}
	all := make([]uint64, 2*n)
	for i, row := range rows {
		if all[i], err = sequenceOf(row); err != nil {
			return bounds{}, err
		}
	}
	return bounds{heads: all[:n], floors: all[n:]}, nil
}

// slot is where an event is.
type slot struct {
	partition uint32
	sequence  uint64
}

// readEvents reads the events of the slots in one round trip. That one of them
// is missing is a fault of the store: sequences have no gaps.
func readEvents(r kv.Reader, slots []slot) ([]*eventv1.Event, []int, error) {
	keys := make([][]byte, len(slots))
	for i, s := range slots {
		var err error
		if keys[i], err = eventKey(s.partition, s.sequence); err != nil {
			return nil, nil, err
		}
	}
	rows, err := r.GetMany(tableEvents, keys)
	if err != nil {
		return nil, nil, err
	}
	events, sizes := make([]*eventv1.Event, len(rows)), make([]int, len(rows))
	for i, row := range rows {
		if row == nil {
			return nil, nil, corrupt("event %d-%d is missing", slots[i].partition, slots[i].sequence)
		}
		events[i], sizes[i] = new(eventv1.Event), len(row)
		if err := proto.Unmarshal(row, events[i]); err != nil {
			return nil, nil, corrupt("event %d-%d: %w", slots[i].partition, slots[i].sequence, err)
		}
	}
	return events, sizes, nil
}
