package kv

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"iter"
	"testing"

	"guildhall.dev/pkg/errs"
)

// tables is a Reader of what it holds, for writing snapshots.
type tables map[string][]Item

func (t tables) Get(string, []byte) ([]byte, error)         { return nil, nil }
func (t tables) GetMany(string, [][]byte) ([][]byte, error) { return nil, nil }
func (t tables) Scan(name string, _ Range) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		for _, item := range t[name] {
			if !yield(item, nil) {
				return
			}
		}
	}
}

// FuzzSnapshotReader wants of any bytes an Invalid error or a snapshot that,
// written again, has the same bytes.
func FuzzSnapshotReader(f *testing.F) {
	declared := []string{"a", "b"}
	var seed bytes.Buffer
	if err := WriteSnapshot(&seed, declared, tables{"a": {{Key: []byte("k"), Value: []byte("v")}, {Key: []byte("l")}}}); err != nil {
		f.Fatal(err)
	}
	f.Add(seed.Bytes())
	f.Add([]byte(snapshotMagic + "T\x01aI\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		in := &snapshotReader{in: bufio.NewReader(bytes.NewReader(raw)), sum: sha256.New()}
		read := tables{}
		err := in.begin()
		if err == nil {
			for item, itemErr := range in.items(declared) {
				if err = itemErr; err != nil {
					break
				}
				read[item.table] = append(read[item.table], item.Item)
			}
		}
		if err != nil {
			if !errs.Is(err, errs.Invalid) || errs.ReasonOf(err) != ReasonSnapshot {
				t.Fatalf("error %v, want Invalid %s", err, ReasonSnapshot)
			}
			return
		}
		var again bytes.Buffer
		if err := WriteSnapshot(&again, declared, read); err != nil {
			t.Fatal(err)
		}
		// The tables without items are not seen here, so only whole ones compare.
		if len(read) == len(declared) && !bytes.Equal(again.Bytes(), raw) {
			t.Errorf("read and written again: %q, want %q", again.Bytes(), raw)
		}
	})
}
