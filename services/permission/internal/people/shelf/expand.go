package shelf

import (
	"bytes"
	"encoding/binary"
	"iter"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
)

// Budget is how many records and lines Expand looks at for one page, so that a
// page of few lines among many that are left out costs no more than another.
const Budget = 5000

// Line is one of the lines that a record expands to.
type Line[L any] struct {
	// Key orders the lines of a record and tells them apart.
	Key   string
	Value L
	// Skip leaves the line out.
	Skip bool
}

// Expand pages through a list of lists: the lines that each record of a scan
// expands to, in their order. scan begins behind a position; lines yields the
// lines of a record whose keys are greater than the one given, "" for all of
// them. A page is short, or empty, when its budget is used up: the end is where
// there is no next position. Lines that appear or go meanwhile disturb no
// others.
func Expand[R proto.Message, L any](after []byte, limit int,
	scan func(after []byte) iter.Seq2[kv.Record[R], error],
	lines func(rec R, behind string) iter.Seq2[Line[L], error],
) (page []L, next []byte, err error) {
	at, err := decodePlace(after)
	if err != nil {
		return nil, nil, err
	}
	before, seen := at.before, 0
	for rec, err := range scan(before) {
		if err != nil {
			return nil, nil, err
		}
		last := ""
		if bytes.Equal(rec.Position, at.record) {
			last = at.line
		}
		for line, err := range lines(rec.Value, last) {
			if err != nil {
				return nil, nil, err
			}
			if len(page) == limit || seen >= Budget {
				return page, place{before: before, record: rec.Position, line: last}.encode(), nil
			}
			seen++
			last = line.Key
			if !line.Skip {
				page = append(page, line.Value)
			}
		}
		before = rec.Position
		if seen++; seen >= Budget {
			return page, place{before: before}.encode(), nil
		}
	}
	return page, nil, nil
}

// place is where a page of Expand ended: behind a line of a record, and behind
// the record before that one, because a scan goes on behind a record only.
type place struct {
	before, record []byte
	line           string
}

func (p place) encode() []byte {
	var out []byte
	for _, part := range [][]byte{p.before, p.record, []byte(p.line)} {
		out = binary.AppendUvarint(out, uint64(len(part)))
		out = append(out, part...)
	}
	return out
}

func decodePlace(b []byte) (p place, err error) {
	if len(b) == 0 {
		return p, nil
	}
	var parts [3][]byte
	for i := range parts {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			return p, errs.InvalidField("page_token", "PAGE_TOKEN_INVALID", "send the next_page_token of the last page as it came, or none for the first page")
		}
		parts[i], b = b[size:size+int(n)], b[size+int(n):]
	}
	return place{before: parts[0], record: parts[1], line: string(parts[2])}, nil
}
