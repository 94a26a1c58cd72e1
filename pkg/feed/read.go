package feed

import (
	"context"
	"slices"

	"guildhall.dev/pkg/kv"
	eventv1 "guildhall.dev/proto/gen/guildhall/event/v1"
)

// MaxBatch is the most events of one Read.
const MaxBatch = 500

// maxBatchBytes keeps a batch well below gRPC's limit of 4 MiB a message.
const maxBatchBytes = 1 << 20

// Batch is what one Read returns.
type Batch struct {
	// Events are in order within each partition, and so within each resource.
	Events []*eventv1.Event
	// Cursor is where to go on.
	Cursor string
	// More is set when the feed already had further events.
	More bool
}

// Read returns up to limit events behind the cursor, at most MaxBatch and
// about a mebibyte; it does not wait for any. An empty cursor is the oldest
// event kept, Latest the end. Errors are Invalid (CURSOR_INVALID) and
// OutOfRange (CURSOR_TOO_OLD, CURSOR_UNKNOWN), and those of the store.
func (l *Log) Read(ctx context.Context, cursor string, limit int) (batch Batch, err error) {
	err = l.cfg.Store.View(ctx, func(r kv.Reader) error {
		batch, err = l.ReadIn(r, cursor, limit)
		return err
	})
	return batch, err
}

// ReadIn is Read as the reader sees the feed. When it says that there is
// nothing More, what else the reader shows of the service is the state that
// the events up to Batch.Cursor led to, exactly.
func (l *Log) ReadIn(r kv.Reader, cursor string, limit int) (Batch, error) {
	if limit <= 0 || limit > MaxBatch {
		limit = MaxBatch
	}
	b, err := l.readBounds(r)
	if err != nil {
		return Batch{}, err
	}
	from, err := l.resolve(cursor, b)
	if err != nil {
		return Batch{}, err
	}
	return readBatch(r, from, b.heads, limit)
}

func readBatch(r kv.Reader, from position, heads []uint64, limit int) (Batch, error) {
	slots := share(from.sequences, heads, limit)
	if len(slots) == 0 {
		return Batch{Cursor: from.String()}, nil
	}
	events, sizes, err := readEvents(r, slots)
	if err != nil {
		return Batch{}, err
	}
	bytes, n := 0, 0
	for n < len(events) && (n == 0 || bytes+sizes[n] <= maxBatchBytes) {
		bytes += sizes[n]
		n++
	}
	to := position{feed: from.feed, sequences: slices.Clone(from.sequences)}
	for _, s := range slots[:n] {
		to.sequences[s.partition] = s.sequence
	}
	return Batch{Events: events[:n], Cursor: to.String(), More: !slices.Equal(to.sequences, heads)}, nil
}

// share divides limit among the partitions that have events, so that a busy
// one does not hold up the others. Since sequences have no gaps, the slots of
// events are known without a scan. Each position begins at another partition,
// since a batch that is cut short takes from the first ones only.
func share(from, heads []uint64, limit int) []slot {
	active, read := 0, uint64(0)
	for p := range heads {
		read += from[p]
		if heads[p] > from[p] {
			active++
		}
	}
	var slots []slot
	for i := range heads {
		p := int((read + uint64(i)) % uint64(len(heads)))
		if heads[p] <= from[p] || len(slots) >= limit {
			continue
		}
		// What one partition leaves of its share goes to those after it.
		quota := max(1, (limit-len(slots))/max(1, active))
		active--
		n := min(heads[p]-from[p], uint64(quota))
		for i := range n {
			slots = append(slots, slot{uint32(p), from[p] + 1 + i})
		}
	}
	return slots
}
