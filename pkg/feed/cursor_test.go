package feed

import (
	"testing"

	"pgregory.net/rapid"
)

func drawPosition(t *rapid.T) position {
	var p position
	copy(p.feed[:], rapid.SliceOfN(rapid.Byte(), len(p.feed), len(p.feed)).Draw(t, "feed"))
	p.sequences = rapid.SliceOfN(rapid.Uint64(), 1, maxPartitions).Draw(t, "sequences")
	return p
}

func TestCursor_survivesTheRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPosition(t)
		got, err := parseCursor(p.String())
		if err != nil {
			t.Fatal(err)
		}
		if !got.covers(p) || !p.covers(got) {
			t.Fatalf("got %v, want %v", got, p)
		}
		if n := len(p.String()); n > 4096 {
			t.Fatalf("a cursor of %d characters; a request takes 4096", n)
		}
	})
}

func TestMerge_coversBothAndNoMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPosition(t)
		q := position{feed: p.feed, sequences: rapid.SliceOfN(rapid.Uint64(), len(p.sequences), len(p.sequences)).Draw(t, "other")}
		m := p.merge(q)
		if !m.covers(p) || !m.covers(q) {
			t.Fatalf("%v does not cover %v and %v", m, p, q)
		}
		for i, seq := range m.sequences {
			if seq != p.sequences[i] && seq != q.sequences[i] {
				t.Fatalf("partition %d is at %d, which neither was", i, seq)
			}
		}
	})
}

// FuzzCursor checks that a cursor either is refused or is the only text of its
// position: clients cannot make two that mean one.
func FuzzCursor(f *testing.F) {
	f.Add(position{sequences: []uint64{0}}.String())
	f.Add(position{feed: feedID{1, 2, 3, 4}, sequences: []uint64{1, 1 << 40, 1<<64 - 1}}.String())
	f.Add("AQAAAAABgAA")
	f.Add("latest")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parseCursor(s)
		if err != nil {
			return
		}
		if p.String() != s {
			t.Errorf("%q is read as %q", s, p.String())
		}
	})
}
