package feed

import (
	"encoding/binary"

	"guildhall.dev/pkg/b64"
	"guildhall.dev/pkg/errs"
)

// Latest is the cursor of the feed's present end.
const Latest = "latest"

// Reasons of the errors about cursors. The first is Invalid: no server made
// the cursor. The others are OutOfRange: read the resources anew, then go on
// at Latest.
const (
	// ReasonCursorInvalid: the cursor is not one.
	ReasonCursorInvalid = "CURSOR_INVALID"
	// ReasonCursorTooOld: events behind the cursor are past retention.
	ReasonCursorTooOld = "CURSOR_TOO_OLD"
	// ReasonCursorUnknown: the cursor is of another feed, or ahead of this
	// one, as after a restore from a backup.
	ReasonCursorUnknown = "CURSOR_UNKNOWN"
)

// A cursor is, in base64url without padding,
//
//	1 byte     format
//	4 bytes    id of the feed
//	uvarint    number of partitions
//	uvarint…   per partition, the sequence of the last event read
//
// Consumers of other services read it too (see Consumer), so a new format is
// first understood everywhere and only then issued.
const cursorFormat = 1

var cursorEncoding = b64.URL

// position is a decoded cursor. It is a value that is not changed once made.
type position struct {
	feed      feedID
	sequences []uint64
}

// String returns the cursor.
func (p position) String() string {
	b := make([]byte, 0, 1+len(p.feed)+(1+len(p.sequences))*2)
	b = append(append(b, cursorFormat), p.feed[:]...)
	b = binary.AppendUvarint(b, uint64(len(p.sequences)))
	for _, seq := range p.sequences {
		b = binary.AppendUvarint(b, seq)
	}
	return cursorEncoding.EncodeToString(b)
}

// parseCursor is the inverse of String; no other text yields a position.
func parseCursor(s string) (position, error) {
	b, err := cursorEncoding.DecodeString(s)
	if err != nil || len(b) < 1+len(feedID{}) || b[0] != cursorFormat {
		return position{}, badCursor()
	}
	p := position{feed: feedID(b[1:])}
	b = b[1+len(p.feed):]
	n, b, ok := shortUvarint(b)
	if !ok || n == 0 || n > maxPartitions || uint64(len(b)) < n {
		return position{}, badCursor()
	}
	p.sequences = make([]uint64, n)
	for i := range p.sequences {
		if p.sequences[i], b, ok = shortUvarint(b); !ok {
			return position{}, badCursor()
		}
	}
	if len(b) > 0 {
		return position{}, badCursor()
	}
	return p, nil
}

// shortUvarint reads a uvarint in its shortest form, so that each position
// has one cursor.
func shortUvarint(b []byte) (uint64, []byte, bool) {
	v, n := binary.Uvarint(b)
	if n <= 0 || n > 1 && b[n-1] == 0 {
		return 0, nil, false
	}
	return v, b[n:], true
}

// comparable reports whether two positions are of one feed.
func (p position) comparable(q position) bool {
	return p.feed == q.feed && len(p.sequences) == len(q.sequences)
}

// covers reports whether p is at or behind q's place in every partition's
// reading: everything read at q has been read at p.
func (p position) covers(q position) bool {
	if !p.comparable(q) {
		return false
	}
	for i, seq := range q.sequences {
		if p.sequences[i] < seq {
			return false
		}
	}
	return true
}

// merge returns the position at which all that was read at p or q is read.
func (p position) merge(q position) position {
	out := position{feed: p.feed, sequences: make([]uint64, len(p.sequences))}
	for i := range out.sequences {
		out.sequences[i] = max(p.sequences[i], q.sequences[i])
	}
	return out
}

// at returns the sequence of a partition; 0 for one there is not.
func (p position) at(partition uint32) uint64 {
	if int(partition) >= len(p.sequences) {
		return 0
	}
	return p.sequences[partition]
}

// resolve returns the position of a client's cursor.
func (l *Log) resolve(cursor string, b bounds) (position, error) {
	switch cursor {
	case "":
		return position{feed: l.id, sequences: b.floors}, nil
	case Latest:
		return position{feed: l.id, sequences: b.heads}, nil
	}
	p, err := parseCursor(cursor)
	if err != nil {
		return position{}, err
	}
	heads := position{feed: l.id, sequences: b.heads}
	if !heads.covers(p) {
		return position{}, errs.New(errs.OutOfRange, ReasonCursorUnknown,
			"the cursor is not of this feed as it is now; read the resources anew, then start at \"latest\"")
	}
	if !p.covers(position{feed: l.id, sequences: b.floors}) {
		return position{}, errs.New(errs.OutOfRange, ReasonCursorTooOld,
			"events after the cursor are no longer kept; read the resources anew, then start at \"latest\"")
	}
	return p, nil
}

func badCursor() error {
	return errs.InvalidField("cursor", ReasonCursorInvalid, "send the cursor of a response as it came, \"latest\", or none")
}
