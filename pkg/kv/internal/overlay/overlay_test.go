package overlay

import (
	"errors"
	"iter"
	"testing"

	"guildhall.dev/pkg/kv"
)

// The merging itself is compared with a sorted map by kvtest.Model, on both
// engines; here is what no engine can be made to do at will.

var errDisk = errors.New("disk")

// broken yields one item and then an error, and fails all else.
type broken struct{}

func (broken) Get(string, []byte) ([]byte, error)         { return nil, errDisk }
func (broken) GetMany(string, [][]byte) ([][]byte, error) { return nil, errDisk }
func (broken) Scan(string, kv.Range) iter.Seq2[kv.Item, error] {
	return func(yield func(kv.Item, error) bool) {
		if yield(kv.Item{Key: []byte("b")}, nil) {
			yield(kv.Item{}, errDisk)
		}
	}
}

func TestTx_errorOfTheBaseEndsTheScan(t *testing.T) {
	for _, writes := range []string{"", "ac", "z"} {
		tx := NewTx(t.Context(), NewTables([]string{"t"}), broken{})
		for _, key := range writes {
			if err := tx.Put("t", []byte(string(key)), nil); err != nil {
				t.Fatal(err)
			}
		}
		var last error
		ended := false
		for _, err := range tx.Scan("t", kv.Range{}) {
			if ended {
				t.Errorf("writes %q: the scan went on after its error", writes)
			}
			last, ended = err, err != nil
		}
		if !errors.Is(last, errDisk) {
			t.Errorf("writes %q: the scan ended with %v, want the base's error", writes, last)
		}
	}
}

func TestTx_knownKeysAreNotAskedOfTheBase(t *testing.T) {
	tx := NewTx(t.Context(), NewTables([]string{"t"}), broken{})
	if err := errors.Join(tx.Put("t", []byte("a"), []byte("1")), tx.Delete("t", []byte("b"))); err != nil {
		t.Fatal(err)
	}
	values, err := tx.GetMany("t", [][]byte{[]byte("b"), []byte("a")})
	if err != nil || values[0] != nil || string(values[1]) != "1" {
		t.Errorf("GetMany = %q, %v; want it answered from the writes", values, err)
	}
	if _, err := tx.GetMany("t", [][]byte{[]byte("a"), []byte("c")}); !errors.Is(err, errDisk) {
		t.Errorf("GetMany with an unknown key = %v, want the base's error", err)
	}
}

func TestLayer_sizeCountsWhatIsHeld(t *testing.T) {
	var l Layer
	l.Put("t", []byte("key"), []byte("value"))
	l.Put("t", []byte("key"), []byte("v"))
	l.Delete("t", []byte("gone"))
	var other Layer
	other.Put("t", []byte("key"), []byte("four"))
	other.Put("u", []byte("k"), nil)
	l.Merge(&other)
	if got, want := l.Bytes(), len("key")+len("four")+len("gone")+len("k"); got != want {
		t.Errorf("Bytes = %d, want %d", got, want)
	}
	if l.Len("t") != 2 || l.Len("u") != 1 || l.Len("none") != 0 {
		t.Errorf("Len = %d, %d, %d; want 2, 1, 0", l.Len("t"), l.Len("u"), l.Len("none"))
	}
}
