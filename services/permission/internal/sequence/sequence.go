// Package sequence numbers the changes of all organisations, so that a replica
// learns by one cheap read which of them have changed.
//
// Each organisation has a revision of its own (package revision), and there may
// be many thousands: whoever keeps several in memory cannot ask for each. The
// sequence has a fixed number of shards. An organisation's changes count in one
// of them; writers of two organisations meet in one row only when both are in
// one shard, and so no row is every writer's.
//
// A shard keeps its last changes, by number, in a ring of rows that are written
// over: nothing has to be swept. Who comes too late for the ring is told that
// everything in the shard may have changed.
//
// Like a revision a point has a mark, which depends on all changes before it.
// When a store lost its last changes, as in a fail-over to a server that lagged
// behind, numbers are given out a second time; the marks tell.
package sequence

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/shard"
	storev1 "guildhall.dev/proto/gen/guildhall/permission/store/v1"
	"guildhall.dev/services/permission/internal/revision"
)

// Shards is the number of shards. Rows in stores depend on it.
const Shards = 32

// Kept is how many changes a shard keeps.
const Kept = 256

const (
	tableHeads = "sequence_heads" // (shard) -> SequencePoint
	tableRing  = "sequence_ring"  // (shard, number modulo Kept) -> SequenceEntry
)

// Tables returns the raw tables of this package, for kv.Options.
func Tables() []string { return []string{tableHeads, tableRing} }

// Point is a place in one shard; the zero Point is its beginning.
type Point struct {
	Number int64
	Mark   uint64
}

// Vector is a place in each shard. Compare with ==.
type Vector [Shards]Point

// Reached reports whether v has come by the target, where head is the newest
// place there is. A point that is not on the way to head, as far as one can
// tell, has reached nothing.
func (v *Vector) Reached(target, head *Vector) bool {
	for i, p := range v {
		if p.Number < target[i].Number || p.Number > head[i].Number || p.Number == head[i].Number && p != head[i] {
			return false
		}
	}
	return true
}

// Proto returns the vector as it is stored.
func (v *Vector) Proto() []*storev1.SequencePoint {
	points := make([]*storev1.SequencePoint, Shards)
	for i, p := range v {
		points[i] = p.proto()
	}
	return points
}

// FromProto is the inverse of Proto. What is not there is at the beginning.
func FromProto(points []*storev1.SequencePoint) (v Vector) {
	for i, p := range points[:min(len(points), Shards)] {
		v[i] = pointFrom(p)
	}
	return v
}

func (p Point) proto() *storev1.SequencePoint {
	return &storev1.SequencePoint{Number: p.Number, Mark: p.Mark}
}

func pointFrom(m *storev1.SequencePoint) Point {
	return Point{Number: m.GetNumber(), Mark: m.GetMark()}
}

// Of returns the shard of an organisation, as in "organizations/acme".
func Of(organization string) int { return int(shard.Of(organization, Shards)) }

// Append gives the organisations that a transaction has moved on to these
// revisions their places, in that transaction.
func Append(tx kv.Tx, moved map[string]revision.Revision) error {
	var shards []int
	for organization := range moved {
		shards = append(shards, Of(organization))
	}
	slices.Sort(shards)
	shards = slices.Compact(shards)
	heads, err := readHeads(tx, shards)
	if err != nil {
		return err
	}
	for _, organization := range slices.Sorted(maps.Keys(moved)) {
		s := Of(organization)
		p := heads[s].next(organization, moved[organization])
		heads[s] = p
		if err := put(tx, tableRing, ringKey(s, p.Number), &storev1.SequenceEntry{Point: p.proto(), Organization: organization}); err != nil {
			return err
		}
	}
	for _, s := range shards {
		if err := put(tx, tableHeads, headKey(s), heads[s].proto()); err != nil {
			return err
		}
	}
	return nil
}

// next returns the place of a change behind p. Eight bytes of SHA-256 are for
// histories that differ by accident, as in package revision.
func (p Point) next(organization string, v revision.Revision) Point {
	var b []byte
	for _, n := range []uint64{p.Mark, uint64(p.Number), v.Mark, uint64(v.Number)} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	sum := sha256.Sum256(append(b, organization...))
	return Point{Number: p.Number + 1, Mark: binary.BigEndian.Uint64(sum[:])}
}

// Head returns the newest place, in one round trip.
func Head(r kv.Reader) (Vector, error) {
	shards := make([]int, Shards)
	for i := range shards {
		shards[i] = i
	}
	return readHeads(r, shards)
}

// readHeads returns the newest places of some shards.
func readHeads(r kv.Reader, shards []int) (v Vector, err error) {
	keys := make([][]byte, len(shards))
	for i, s := range shards {
		keys[i] = headKey(s)
	}
	rows, err := r.GetMany(tableHeads, keys)
	if err != nil {
		return v, err
	}
	for i, row := range rows {
		if row == nil {
			continue
		}
		var m storev1.SequencePoint
		if err := proto.Unmarshal(row, &m); err != nil {
			return v, corrupt("a head", err)
		}
		v[shards[i]] = pointFrom(&m)
	}
	return v, nil
}

// Changes are what happened between two places.
type Changes struct {
	// Organizations have changed; each is named once.
	Organizations []string
	// Lost are the shards of which that is not known: any organisation in them
	// may have changed.
	Lost [Shards]bool
}

// Empty reports whether nothing has changed.
func (c *Changes) Empty() bool { return len(c.Organizations) == 0 && !c.AnyLost() }

// AnyLost reports whether of some shard nothing is known.
func (c *Changes) AnyLost() bool { return c.Lost != [Shards]bool{} }

// Since returns what has changed from one place to another that was the newest
// in the same snapshot, in one round trip. A nil from knows nothing: all is
// lost. What is known already is read once more: if it reads differently, the
// store's history was replaced and the shard is lost.
func Since(r kv.Reader, from *Vector, to Vector) (c Changes, err error) {
	var keys [][]byte
	var want []place
	for s := range to {
		switch {
		case from == nil, to[s].Number < from[s].Number, to[s].Number-from[s].Number >= Kept,
			to[s].Number == from[s].Number && to[s] != from[s]:
			c.Lost[s] = true
			continue
		case to[s] == from[s]:
			continue
		}
		for n := max(1, from[s].Number); n <= to[s].Number; n++ {
			keys = append(keys, ringKey(s, n))
			want = append(want, place{shard: s, number: n})
		}
	}
	if len(keys) == 0 {
		return c, nil
	}
	rows, err := r.GetMany(tableRing, keys)
	if err != nil {
		return c, err
	}
	return c, c.collect(from, want, rows)
}

// place is a change that is looked for.
type place struct {
	shard  int
	number int64
}

// collect reads the rows of the ring that were wanted.
func (c *Changes) collect(from *Vector, want []place, rows [][]byte) error {
	changed := make(map[string]bool)
	for i, row := range rows {
		var m storev1.SequenceEntry
		if err := proto.Unmarshal(row, &m); err != nil {
			return corrupt("a change", err)
		}
		at, known := pointFrom(m.GetPoint()), from[want[i].shard]
		switch {
		case at.Number != want[i].number, at.Number == known.Number && at != known:
			c.Lost[want[i].shard] = true
		case at.Number > known.Number:
			changed[m.GetOrganization()] = true
		}
	}
	c.Organizations = slices.Sorted(maps.Keys(changed))
	return nil
}

func put(tx kv.Tx, table string, key []byte, m proto.Message) error {
	row, err := proto.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode a place: %w", err)
	}
	return tx.Put(table, key, row)
}

func headKey(s int) []byte { return encode(kv.Key{kv.Uint64(uint64(s))}) }

func ringKey(s int, number int64) []byte {
	return encode(kv.Key{kv.Uint64(uint64(s)), kv.Uint64(uint64(number % Kept))})
}

// encode encodes a key of numbers, which never fails.
func encode(k kv.Key) []byte {
	b, err := k.Encode(nil, nil, "")
	if err != nil {
		return nil // the store refuses an empty key
	}
	return b
}

func corrupt(what string, err error) error {
	return errs.New(errs.Internal, "STORE_CORRUPT", errs.InternalMessage, errs.Cause(fmt.Errorf("sequence: %s: %w", what, err)))
}
