package segment

import (
	"time"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/revise"
)

const (
	// emptyChunk is how many records of each kind one transaction removes of a
	// deleted segment.
	emptyChunk = 500
	// retryEnding is about how long a large segment takes to be emptied.
	retryEnding = time.Second
)

// Delete removes a segment and returns what it was. One event tells of it; that
// its members are none any more follows. What one transaction cannot remove of
// them, Empty does. Errors are NotFound and Conflict (ETAG_MISMATCH).
func (b *Book) Delete(tx *change.Tx, name, etag string) (*identityv1.Segment, error) {
	deleted, err := revise.Delete(tx, b.segments, key(name), etag, b.revising(tx, nil))
	if err != nil {
		return nil, err
	}
	if _, err := b.endings.Put(tx, &storev1.SegmentEnding{Segment: name}, ""); err != nil {
		return nil, err
	}
	return deleted, b.empty(tx, name)
}

// Endings returns the names of up to limit deleted segments that are not empty
// yet.
func (b *Book) Endings(r kv.Reader, limit int) (names []string, err error) {
	for rec, err := range b.endings.Scan(r, kv.Query{Limit: limit}) {
		if err != nil {
			return nil, err
		}
		names = append(names, rec.Value.GetSegment())
	}
	return names, nil
}

// Empty removes some more of what a deleted segment has left.
func (b *Book) Empty(tx *change.Tx, name string) error {
	tx.Unchanged()
	_, found, err := b.endings.Find(tx, kv.Key{kv.String(name)})
	if err != nil || !found {
		return err // another replica was quicker
	}
	return b.empty(tx, name)
}

func (b *Book) empty(tx kv.Tx, name string) error {
	of := kv.Query{Prefix: kv.Key{kv.String(name)}, Limit: emptyChunk}
	left := false
	for _, remove := range []func() (bool, error){
		func() (bool, error) { return some(tx, b.members, of) },
		func() (bool, error) { return some(tx, b.moves, of) },
		func() (bool, error) { return some(tx, b.dues, of) },
		func() (bool, error) { return some(tx, b.revisions, of) },
		func() (bool, error) { return some(tx, b.evaluations, of) },
	} {
		full, err := remove()
		if err != nil {
			return err
		}
		left = left || full
	}
	if left {
		return nil
	}
	_, err := b.endings.Delete(tx, kv.Key{kv.String(name)}, "")
	return err
}

// some deletes the records that q selects, and reports whether there may be
// more behind its limit.
func some[T proto.Message](tx kv.Tx, t *kv.Table[T], q kv.Query) (more bool, err error) {
	n := 0
	for rec, err := range t.Scan(tx, q) {
		if err != nil {
			return false, err
		}
		if _, err := t.Delete(tx, t.KeyOf(rec.Value), ""); err != nil {
			return false, err
		}
		n++
	}
	return n == q.Limit, nil
}
