package kvtest

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
)

func itemTests() map[string]test {
	return map[string]test{
		"GetReturnsWhatWasPut":       testGet,
		"EmptyValueIsNotMissing":     testEmptyValue,
		"DeleteOfMissingIsNoError":   testDelete,
		"TablesAreApart":             testTablesApart,
		"GetManyKeepsOrder":          testGetMany,
		"SlicesBelongToTheCaller":    testOwnership,
		"PutCopiesItsArguments":      testPutCopies,
		"LargestKeyAndValue":         testLargest,
		"KeyAndValueBoundsHold":      testBounds,
		"UnstorableKeysAreNotThere":  testUnstorableKeys,
		"UndeclaredTableIsRefused":   testUndeclared,
		"AnyBytesAreKeysAndInOrder":  testBinaryKeys,
		"TransactionWithManyKeysFit": testManyKeys,
	}
}

func testGet(t *testing.T, s kv.Store) {
	put(t, s, words, "a", "1", "b", "2")
	put(t, s, words, "a", "3")
	wantItems(t, s, words, "a", "3", "b", "2")
	view(t, s, func(r kv.Reader) error {
		got, err := r.Get(words, []byte("b"))
		if err == nil && string(got) != "2" {
			t.Errorf("Get(b) = %q, want 2", got)
		}
		return err
	})
}

func testEmptyValue(t *testing.T, s kv.Store) {
	update(t, s, func(tx kv.Tx) error {
		if err := tx.Put(words, []byte("nil"), nil); err != nil {
			return err
		}
		if err := tx.Put(words, []byte("empty"), []byte{}); err != nil {
			return err
		}
		return wantNilness(t, tx)
	})
	view(t, s, func(r kv.Reader) error { return wantNilness(t, r) })
}

func wantNilness(t *testing.T, r kv.Reader) error {
	t.Helper()
	keys := [][]byte{[]byte("nil"), []byte("empty"), []byte("missing")}
	values, err := r.GetMany(words, keys)
	if err != nil {
		return err
	}
	for i, key := range keys {
		one, err := r.Get(words, key)
		if err != nil {
			return err
		}
		missing := i == 2
		if len(one) != 0 || (one == nil) != missing || len(values[i]) != 0 || (values[i] == nil) != missing {
			t.Errorf("%s: Get %#v, GetMany %#v; only a missing key is nil", key, one, values[i])
		}
	}
	return nil
}

func testDelete(t *testing.T, s kv.Store) {
	put(t, s, words, "a", "1", "b", "2")
	update(t, s, func(tx kv.Tx) error {
		if err := tx.Delete(words, []byte("a")); err != nil {
			return err
		}
		return tx.Delete(words, []byte("never"))
	})
	wantItems(t, s, words, "b", "2")
}

func testTablesApart(t *testing.T, s kv.Store) {
	put(t, s, words, "k", "word")
	put(t, s, marks, "k", "mark")
	update(t, s, func(tx kv.Tx) error { return tx.Delete(words, []byte("k")) })
	wantItems(t, s, words)
	wantItems(t, s, marks, "k", "mark")
}

func testGetMany(t *testing.T, s kv.Store) {
	put(t, s, words, "a", "1", "b", "2", "c", "3")
	keys := [][]byte{[]byte("c"), []byte("x"), []byte("a"), []byte("c"), []byte("b"), {}}
	check := func(r kv.Reader, want ...[]byte) error {
		got, err := r.GetMany(words, keys)
		if err == nil {
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("GetMany (-want +got):\n%s", diff)
			}
		}
		return err
	}
	view(t, s, func(r kv.Reader) error {
		if none, err := r.GetMany(words, nil); err != nil || len(none) != 0 {
			t.Errorf("GetMany of no keys = %q, %v", none, err)
		}
		return check(r, []byte("3"), nil, []byte("1"), []byte("3"), []byte("2"), nil)
	})
	update(t, s, func(tx kv.Tx) error {
		if err := putPairs(tx, words, "c", "33", "x", "new"); err != nil {
			return err
		}
		if err := tx.Delete(words, []byte("a")); err != nil {
			return err
		}
		return check(tx, []byte("33"), []byte("new"), nil, []byte("33"), []byte("2"), nil)
	})
}

func testOwnership(t *testing.T, s kv.Store) {
	put(t, s, words, "a", "one", "b", "two")
	scribble := func(tx kv.Reader) error {
		one, err := tx.Get(words, []byte("a"))
		if err != nil {
			return err
		}
		many, err := tx.GetMany(words, [][]byte{[]byte("a"), []byte("a")})
		if err != nil {
			return err
		}
		clear(one)
		clear(many[0])
		if string(many[1]) != "one" {
			t.Errorf("the second of two equal keys = %q after the first was overwritten", many[1])
		}
		for item, err := range tx.Scan(words, kv.Range{}) {
			if err != nil {
				return err
			}
			clear(item.Key)
			clear(item.Value)
		}
		return nil
	}
	view(t, s, scribble)
	update(t, s, func(tx kv.Tx) error {
		if err := tx.Put(words, []byte("a"), []byte("one")); err != nil {
			return err
		}
		return scribble(tx)
	})
	wantItems(t, s, words, "a", "one", "b", "two")
}

func testPutCopies(t *testing.T, s kv.Store) {
	update(t, s, func(tx kv.Tx) error {
		key, value := []byte("key"), []byte("value")
		if err := tx.Put(words, key, value); err != nil {
			return err
		}
		clear(key)
		clear(value)
		return nil
	})
	wantItems(t, s, words, "key", "value")
}

func testLargest(t *testing.T, s kv.Store) {
	key := bytes.Repeat([]byte{0xff}, kv.MaxKeySize)
	value := bytes.Repeat([]byte("v"), kv.MaxValueSize)
	update(t, s, func(tx kv.Tx) error { return tx.Put(words, key, value) })
	view(t, s, func(r kv.Reader) error {
		got, err := r.Get(words, key)
		if err == nil && !bytes.Equal(got, value) {
			t.Errorf("Get returned %d bytes, want the %d that were put", len(got), len(value))
		}
		return err
	})
}

func testBounds(t *testing.T, s kv.Store) {
	for _, c := range []struct {
		name, reason string
		key, value   []byte
	}{
		{"no key", kv.ReasonKeySize, nil, nil},
		{"long key", kv.ReasonKeySize, make([]byte, kv.MaxKeySize+1), nil},
		{"long value", kv.ReasonValueSize, []byte("k"), make([]byte, kv.MaxValueSize+1)},
	} {
		err := s.Update(t.Context(), func(tx kv.Tx) error { return tx.Put(words, c.key, c.value) })
		if !errs.Is(err, errs.Invalid) || errs.ReasonOf(err) != c.reason {
			t.Errorf("%s: %v, want Invalid %s", c.name, err, c.reason)
		}
	}
	wantItems(t, s, words)
}

func testUnstorableKeys(t *testing.T, s kv.Store) {
	update(t, s, func(tx kv.Tx) error {
		for _, key := range [][]byte{nil, {}, make([]byte, kv.MaxKeySize+1)} {
			if got, err := tx.Get(words, key); got != nil || err != nil {
				t.Errorf("Get of a key of %d bytes = %q, %v", len(key), got, err)
			}
			if err := tx.Delete(words, key); err != nil {
				t.Errorf("Delete of a key of %d bytes: %v", len(key), err)
			}
		}
		return nil
	})
}

func testUndeclared(t *testing.T, s kv.Store) {
	key := []byte("k")
	wrong := func(what string, err error) {
		if !errs.Is(err, errs.Internal) || errs.ReasonOf(err) != kv.ReasonMisuse {
			t.Errorf("%s: %v, want Internal %s", what, err, kv.ReasonMisuse)
		}
	}
	update(t, s, func(tx kv.Tx) error {
		_, err := tx.Get("strangers", key)
		wrong("Get", err)
		_, err = tx.GetMany("strangers", [][]byte{key})
		wrong("GetMany", err)
		_, err = scan(tx, "strangers", kv.Range{})
		wrong("Scan", err)
		wrong("Put", tx.Put("strangers", key, nil))
		wrong("Delete", tx.Delete("strangers", key))
		return nil
	})
}

func testBinaryKeys(t *testing.T, s kv.Store) {
	keys := []string{"\x00", "\x00\x00", "\x00\xff", "\x01", "'", "A", "a", "\x7f", "\x80", "\xfe\xff", "\xff", "\xff\x00", "\xff\xff"}
	var pairs []string
	for _, k := range keys {
		pairs = append(pairs, k, "v"+k)
	}
	put(t, s, words, pairs...)
	wantItems(t, s, words, pairs...)
}

func testManyKeys(t *testing.T, s kv.Store) {
	const n = 10_000
	update(t, s, func(tx kv.Tx) error {
		for i := range n {
			if err := tx.Put(words, number(i), number(i)); err != nil {
				return err
			}
		}
		return nil
	})
	count := 0
	view(t, s, func(r kv.Reader) error {
		count = 0
		for item, err := range r.Scan(words, kv.Range{}) {
			if err != nil {
				return err
			}
			if !bytes.Equal(item.Key, number(count)) {
				t.Fatalf("item %d has key %x", count, item.Key)
			}
			count++
		}
		return nil
	})
	if count != n {
		t.Errorf("found %d items, want %d", count, n)
	}
}
