package seal_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/seal"
	"guildhall.dev/pkg/testkit"
)

// sealedUnder counts the values of a table by the key id they begin with.
func sealedUnder(t *testing.T, raw kv.Store, table string) map[uint32]int {
	t.Helper()
	var ids map[uint32]int
	err := raw.View(t.Context(), func(r kv.Reader) error {
		ids = map[uint32]int{}
		for item, err := range r.Scan(table, kv.Range{}) {
			if err != nil {
				return err
			}
			if len(item.Value) > 0 {
				ids[binary.BigEndian.Uint32(item.Value[1:5])]++
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func TestRotate_oldValuesOpenAndNewOnesUseTheNewKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyset.json")
	ring := openFile(t, path, seal.Options{})
	raw := openStore(t, "a")
	s := ring.Wrap(raw)
	put(t, s, "a", "old", "1")
	if err := ring.Rotate(); err != nil {
		t.Fatal(err)
	}
	put(t, s, "a", "new", "2")
	for _, s := range []kv.Store{s, openFile(t, path, seal.Options{}).Wrap(raw)} {
		wantGet(t, s, "a", "old", "1")
		wantGet(t, s, "a", "new", "2")
	}
	if ids := sealedUnder(t, raw, "a"); len(ids) != 2 {
		t.Errorf("key ids = %v, want two", ids)
	}
}

// Replicas share a keyset file: each learns of the other's rotation from a
// value, and rotations at the same time keep each other's keys.
func TestRotate_otherProcessesFollow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyset.json")
	raw := openStore(t, "a")
	opts := newKEK(t, 7)
	var rings []*seal.Ring
	for range 4 {
		rings = append(rings, openFile(t, path, opts))
	}
	var wg sync.WaitGroup
	for _, r := range rings {
		wg.Go(func() {
			if err := r.Rotate(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for i, r := range rings {
		put(t, r.Wrap(raw), "a", fmt.Sprint(i), "v")
	}
	for _, r := range rings {
		for i := range rings {
			wantGet(t, r.Wrap(raw), "a", fmt.Sprint(i), "v")
		}
	}
}

// Replicas with copies of the file: after Stage and a copy, nobody meets a
// value that it cannot open, in whatever order they rotate.
func TestStage_copiesOpenWhatTheOthersSeal(t *testing.T) {
	one, two := filepath.Join(t.TempDir(), "keyset.json"), filepath.Join(t.TempDir(), "keyset.json")
	raw := openStore(t, "a")
	first := openFile(t, one, seal.Options{})
	put(t, first.Wrap(raw), "a", "before", "v")
	for range 2 { // the second changes nothing
		if err := first.Stage(); err != nil {
			t.Fatal(err)
		}
	}
	put(t, first.Wrap(raw), "a", "staged", "v")
	if ids := sealedUnder(t, raw, "a"); len(ids) != 1 {
		t.Errorf("key ids = %v: a staged key seals", ids)
	}
	content, err := os.ReadFile(one)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(two, content, 0o600); err != nil {
		t.Fatal(err)
	}
	second := openFile(t, two, seal.Options{})
	for _, r := range []*seal.Ring{first, second} {
		if err := r.Rotate(); err != nil {
			t.Fatal(err)
		}
	}
	put(t, first.Wrap(raw), "a", "rotated", "v")
	if ids := sealedUnder(t, raw, "a"); len(ids) != 2 {
		t.Errorf("key ids = %v: want the old key and the staged one", ids)
	}
	for _, key := range []string{"before", "staged", "rotated"} {
		wantGet(t, second.Wrap(raw), "a", key, "v")
	}
}

func TestReseal_underConcurrentWritesLosesNothing(t *testing.T) {
	testkit.EachStore(t, "test", []string{"a", "b"}, resealUnderWrites)
}

func resealUnderWrites(t *testing.T, raw kv.Store) {
	ring := newRing(t)
	s := ring.Wrap(raw)
	const keys, writers, rounds = 300, 4, 40
	err := s.Update(t.Context(), func(tx kv.Tx) error {
		for i := range keys {
			if err := tx.Put("a", binary.BigEndian.AppendUint64(nil, uint64(i)), []byte{0}); err != nil {
				return err
			}
			if err := tx.Put("b", binary.BigEndian.AppendUint64(nil, uint64(i)), nil); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// Every writer adds one to keys of its own choice; the sum tells.
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range rounds {
				key := binary.BigEndian.AppendUint64(nil, uint64((w*37+i*11)%keys))
				if err := s.Update(t.Context(), func(tx kv.Tx) error {
					v, err := tx.Get("a", key)
					if err != nil {
						return err
					}
					return tx.Put("a", key, []byte{v[0] + 1})
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 3 {
		if err := ring.Rotate(); err != nil {
			t.Error(err)
		}
		if err := ring.Reseal(t.Context(), s, []string{"a", "b"}, seal.Progress{}, nil); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
	if ids := sealedUnder(t, raw, "a"); len(ids) != 1 {
		t.Errorf("values are sealed under keys %v, want one key", ids)
	}
	sum := 0
	err = s.View(t.Context(), func(r kv.Reader) error {
		sum = 0
		for item, err := range r.Scan("a", kv.Range{}) {
			if err != nil {
				return err
			}
			sum += int(item.Value[0])
		}
		return nil
	})
	if err != nil || sum != writers*rounds {
		t.Errorf("sum = %d, %v; want %d increments", sum, err, writers*rounds)
	}
}

func TestReseal_goesOnWhereItStopped(t *testing.T) {
	raw := openStore(t, "a", "b")
	ring := newRing(t)
	s := ring.Wrap(raw)
	const n = 300
	for _, table := range []string{"a", "b"} {
		err := s.Update(t.Context(), func(tx kv.Tx) error {
			for i := range n {
				if err := tx.Put(table, fmt.Appendf(nil, "%03d", i), []byte("v")); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := ring.Rotate(); err != nil {
		t.Fatal(err)
	}
	tables := []string{"b", "a"}
	var p seal.Progress
	for stops := 0; ; stops++ {
		ctx, cancel := context.WithCancel(t.Context())
		err := ring.Reseal(ctx, raw, tables, p, func(now seal.Progress) { p = now; cancel() })
		cancel()
		if err == nil {
			break
		}
		if ctx.Err() == nil || stops > 20 {
			t.Fatal(errors.Join(err, ctx.Err()))
		}
	}
	if p.Resealed != 2*n || p.Seen != 2*n {
		t.Errorf("progress = %d resealed of %d seen, want each of %d once", p.Resealed, p.Seen, 2*n)
	}
	for _, table := range tables {
		if ids := sealedUnder(t, raw, table); len(ids) != 1 {
			t.Errorf("table %s is sealed under keys %v, want one", table, ids)
		}
	}
}
