package kvtest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
)

func scanTests() map[string]test {
	return map[string]test{
		"RangesBothWays":             testRanges,
		"PrefixSelectsItsKeysOnly":   testPrefix,
		"SeesOwnWritesInOrder":       testScanOwnWrites,
		"LimitCountsWhatIsLeft":      testScanLimitOverDeletes,
		"LoopMayWriteWhatItReads":    testScanAndWrite,
		"LoopMayReadAndScan":         testScanAndRead,
		"StoppingEarlyIsFine":        testScanStop,
		"ManyItemsOfUnevenSize":      testScanLong,
		"NegativeLimitIsRefused":     testScanNegative,
		"EmptyAndInvertedRangesWork": testScanEmpty,
	}
}

// number returns a key that orders as i does.
func number(i int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(i)) }

func testRanges(t *testing.T, s kv.Store) {
	put(t, s, words, "a", "1", "b", "2", "c", "3", "d", "4")
	for _, c := range []struct {
		start, end string // "" is nil
		limit      int
		want       string // keys in order
	}{
		{"", "", 0, "abcd"}, {"", "", 3, "abc"}, {"", "", 9, "abcd"}, {"b", "", 0, "bcd"}, {"", "c", 0, "ab"},
		{"b", "d", 0, "bc"}, {"b", "d", 1, "b"}, {"aa", "cc", 0, "bc"}, {"b", "b", 0, ""}, {"e", "", 0, ""}, {"", "a", 0, ""},
	} {
		for _, reverse := range []bool{false, true} {
			r := kv.Range{Limit: c.limit, Reverse: reverse}
			if c.start != "" {
				r.Start = []byte(c.start)
			}
			if c.end != "" {
				r.End = []byte(c.end)
			}
			want := c.want
			if reverse {
				want = backwards(c.start, c.end, c.limit)
			}
			check := func(r2 kv.Reader) error {
				got := ""
				for item, err := range r2.Scan(words, r) {
					if err != nil {
						return err
					}
					got += string(item.Key)
				}
				if got != want {
					t.Errorf("scan [%q,%q) limit %d reverse %v = %q, want %q", c.start, c.end, c.limit, reverse, got, want)
				}
				return nil
			}
			view(t, s, check)
			update(t, s, func(tx kv.Tx) error { return check(tx) })
		}
	}
}

// backwards computes from the known four keys what a reverse scan yields.
func backwards(start, end string, limit int) string {
	got := ""
	for _, key := range []string{"d", "c", "b", "a"} {
		if key >= start && (end == "" || key < end) && (limit == 0 || len(got) < limit) {
			got += key
		}
	}
	return got
}

func testPrefix(t *testing.T, s kv.Store) {
	put(t, s, words, "a", "1", "a\x00", "2", "a\xff", "3", "a\xff\xff", "4", "b", "5", "\xff", "6", "\xff\xff", "7")
	for prefix, want := range map[string][]string{
		"":         {"a", "1", "a\x00", "2", "a\xff", "3", "a\xff\xff", "4", "b", "5", "\xff", "6", "\xff\xff", "7"},
		"a":        {"a", "1", "a\x00", "2", "a\xff", "3", "a\xff\xff", "4"},
		"a\xff":    {"a\xff", "3", "a\xff\xff", "4"},
		"\xff":     {"\xff", "6", "\xff\xff", "7"},
		"\xff\xff": {"\xff\xff", "7"},
		"z":        nil,
	} {
		view(t, s, func(r kv.Reader) error {
			got, err := scan(r, words, kv.Prefix([]byte(prefix)))
			wantPairs(t, got, want...)
			return err
		})
	}
}

func testScanOwnWrites(t *testing.T, s kv.Store) {
	put(t, s, words, "b", "old", "d", "old", "f", "old")
	update(t, s, func(tx kv.Tx) error {
		if err := putPairs(tx, words, "a", "new", "b", "new", "c", "new", "g", "new"); err != nil {
			return err
		}
		if err := tx.Delete(words, []byte("d")); err != nil {
			return err
		}
		got, err := scan(tx, words, kv.Range{})
		if err != nil {
			return err
		}
		wantPairs(t, got, "a", "new", "b", "new", "c", "new", "f", "old", "g", "new")
		got, err = scan(tx, words, kv.Range{Reverse: true, Limit: 4, End: []byte("g")})
		wantPairs(t, got, "f", "old", "c", "new", "b", "new", "a", "new")
		return err
	})
}

func testScanLimitOverDeletes(t *testing.T, s kv.Store) {
	update(t, s, func(tx kv.Tx) error {
		for i := range 200 {
			if err := tx.Put(words, number(i), nil); err != nil {
				return err
			}
		}
		return nil
	})
	update(t, s, func(tx kv.Tx) error {
		for i := range 150 {
			if err := tx.Delete(words, number(i)); err != nil {
				return err
			}
		}
		next := 150
		for item, err := range tx.Scan(words, kv.Range{Limit: 3}) {
			if err != nil {
				return err
			}
			if !bytes.Equal(item.Key, number(next)) {
				t.Errorf("key %x, want %x", item.Key, number(next))
			}
			next++
		}
		if next != 153 {
			t.Errorf("%d items, want 3", next-150)
		}
		return nil
	})
}

// testScanAndWrite deletes what a scan yields and puts ahead of it: the scan
// shows the state it began with.
func testScanAndWrite(t *testing.T, s kv.Store) {
	put(t, s, words, "a", "1", "b", "2", "c", "3")
	for _, reverse := range []bool{false, true} {
		update(t, s, func(tx kv.Tx) error {
			if err := tx.Put(words, []byte("bb"), []byte("own")); err != nil {
				return err
			}
			seen := 0
			for item, err := range tx.Scan(words, kv.Range{Reverse: reverse}) {
				if err != nil {
					return err
				}
				seen++
				if err := tx.Delete(words, item.Key); err != nil {
					return err
				}
				for _, ahead := range []string{"0", "aa", "d"} {
					if err := tx.Put(words, []byte(ahead), nil); err != nil {
						return err
					}
				}
			}
			if seen != 4 {
				t.Errorf("reverse %v: saw %d items, want the 4 of its beginning", reverse, seen)
			}
			got, err := scan(tx, words, kv.Range{})
			wantPairs(t, got, "0", "", "aa", "", "d", "")
			if err == nil {
				err = putPairs(tx, words, "a", "1", "b", "2", "c", "3")
			}
			for _, key := range []string{"0", "aa", "d"} {
				if err == nil {
					err = tx.Delete(words, []byte(key))
				}
			}
			return err
		})
	}
}

func testScanAndRead(t *testing.T, s kv.Store) {
	put(t, s, words, "a", "b", "b", "a")
	view(t, s, func(r kv.Reader) error {
		for item, err := range r.Scan(words, kv.Range{}) {
			if err != nil {
				return err
			}
			other, err := r.Get(words, item.Value)
			if err != nil {
				return err
			}
			if !bytes.Equal(other, item.Key) {
				t.Errorf("Get(%q) = %q inside the scan", item.Value, other)
			}
			inner, err := scan(r, words, kv.Range{Reverse: true})
			if err != nil {
				return err
			}
			wantPairs(t, inner, "b", "a", "a", "b")
		}
		return nil
	})
}

func testScanStop(t *testing.T, s kv.Store) {
	put(t, s, words, "a", "1", "b", "2", "c", "3")
	update(t, s, func(tx kv.Tx) error {
		if err := tx.Put(words, []byte("aa"), nil); err != nil {
			return err
		}
		for range 3 {
			for _, err := range tx.Scan(words, kv.Range{}) {
				if err != nil {
					return err
				}
				break
			}
		}
		return tx.Put(words, []byte("z"), nil)
	})
	wantItems(t, s, words, "a", "1", "aa", "", "b", "2", "c", "3", "z", "")
}

// testScanLong crosses many pages, of many small items and of few large ones.
func testScanLong(t *testing.T, s kv.Store) {
	const n = 3000
	size := func(i int) int { return 10 + i%7 + 300_000*(i%500/499) }
	update(t, s, func(tx kv.Tx) error {
		for i := range n {
			if err := tx.Put(words, number(i), bytes.Repeat([]byte{byte(i)}, size(i))); err != nil {
				return err
			}
		}
		return nil
	})
	for _, r := range []kv.Range{{}, {Reverse: true}, {Start: number(1), End: number(n - 1), Limit: n - 100}} {
		view(t, s, func(tx kv.Reader) error { return wantNumbers(tx, r, n, size) })
	}
}

func wantNumbers(tx kv.Reader, r kv.Range, n int, size func(int) int) error {
	next, step, want := 0, 1, n
	if r.Reverse {
		next, step = n-1, -1
	}
	if r.Start != nil {
		next = int(binary.BigEndian.Uint32(r.Start))
	}
	if r.Limit > 0 {
		want = r.Limit
	}
	count := 0
	for item, err := range tx.Scan(words, r) {
		if err != nil {
			return err
		}
		if !bytes.Equal(item.Key, number(next)) || len(item.Value) != size(next) {
			return fmt.Errorf("item %d: key %x with %d bytes, want %x with %d", count, item.Key, len(item.Value), number(next), size(next))
		}
		next += step
		count++
	}
	if count != want {
		return fmt.Errorf("%d items, want %d", count, want)
	}
	return nil
}

func testScanNegative(t *testing.T, s kv.Store) {
	err := s.View(t.Context(), func(r kv.Reader) error {
		_, err := scan(r, words, kv.Range{Limit: -1})
		return err
	})
	if errs.ReasonOf(err) != kv.ReasonMisuse {
		t.Errorf("scan with a negative limit: %v, want %s", err, kv.ReasonMisuse)
	}
}

func testScanEmpty(t *testing.T, s kv.Store) {
	put(t, s, words, "b", "2")
	update(t, s, func(tx kv.Tx) error {
		if err := tx.Put(words, []byte("c"), nil); err != nil {
			return err
		}
		for _, r := range []kv.Range{
			{Start: []byte("z"), End: []byte("a")}, {Start: []byte("b"), End: []byte("b")}, {End: []byte{}},
			{Start: []byte("d")}, {End: []byte("a")},
		} {
			for _, reverse := range []bool{false, true} {
				r.Reverse = reverse
				got, err := scan(tx, words, r)
				if err != nil || len(got) != 0 {
					t.Errorf("scan %+v = %q, %v; want nothing", r, got, err)
				}
			}
		}
		return nil
	})
}
