package kvtest

import (
	"bytes"
	"testing"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
)

func snapshotTests() map[string]test {
	return map[string]test{
		"RestoresWhatItHeld":        testSnapshotRoundTrip,
		"RestoreRefusesAFullStore":  testRestoreNotEmpty,
		"DamagedOneRestoresNothing": testRestoreDamaged,
		"LargeOneIsWhole":           testSnapshotLarge,
	}
}

func takeSnapshot(t *testing.T, s kv.Store) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := s.Snapshot(t.Context(), &out); err != nil {
		t.Fatalf("Snapshot: %v", err)
	}
	return out.Bytes()
}

// wipe empties the store, so that one is enough for a round trip.
func wipe(t *testing.T, s kv.Store) {
	t.Helper()
	if err := clearStore(t.Context(), s); err != nil {
		t.Fatalf("empty the store: %v", err)
	}
}

func contents(t *testing.T, s kv.Store) string {
	t.Helper()
	all, err := dump(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func testSnapshotRoundTrip(t *testing.T, s kv.Store) {
	put(t, s, words, "a", "1", "b", "", "\x00\xff", "binary\x00")
	put(t, s, marks, "m", "mark")
	want := contents(t, s)
	snapshot := takeSnapshot(t, s)
	wipe(t, s)
	if err := kv.Restore(t.Context(), s, Tables(), bytes.NewReader(snapshot)); err != nil {
		t.Fatalf("Restore: %v", err)
	}
	if got := contents(t, s); got != want {
		t.Errorf("restored\n%swant\n%s", got, want)
	}
	if again := takeSnapshot(t, s); !bytes.Equal(again, snapshot) {
		t.Error("the snapshot of the restored store has other bytes")
	}
}

func testRestoreNotEmpty(t *testing.T, s kv.Store) {
	put(t, s, marks, "m", "mark")
	snapshot := takeSnapshot(t, s)
	err := kv.Restore(t.Context(), s, Tables(), bytes.NewReader(snapshot))
	if !errs.Is(err, errs.Precondition) || errs.ReasonOf(err) != kv.ReasonNotEmpty {
		t.Errorf("Restore = %v, want Precondition %s", err, kv.ReasonNotEmpty)
	}
	wantItems(t, s, marks, "m", "mark")
}

func testRestoreDamaged(t *testing.T, s kv.Store) {
	put(t, s, words, "a", "1", "b", "2")
	put(t, s, marks, "m", "mark")
	whole := takeSnapshot(t, s)
	wipe(t, s)
	flipped := bytes.Clone(whole)
	flipped[bytes.Index(flipped, []byte("mark"))] ^= 1
	unknown := bytes.Replace(whole, []byte(words), []byte("swords"[1:4]+"zz"), 1)
	for name, snapshot := range map[string][]byte{
		"empty": nil, "cut off": whole[:len(whole)-1], "cut in the middle": whole[:len(whole)/2], "value changed": flipped,
		"unknown table": unknown, "more bytes": append(bytes.Clone(whole), 0), "something else": []byte("PGDMP"),
		"newer version": bytes.Replace(whole, []byte("snapshot 1"), []byte("snapshot 2"), 1),
	} {
		err := kv.Restore(t.Context(), s, Tables(), bytes.NewReader(snapshot))
		if !errs.Is(err, errs.Invalid) || errs.ReasonOf(err) != kv.ReasonSnapshot {
			t.Errorf("%s: Restore = %v, want Invalid %s", name, err, kv.ReasonSnapshot)
		}
		for _, table := range Tables() {
			wantItems(t, s, table)
		}
	}
}

// testSnapshotLarge needs several transactions to restore.
func testSnapshotLarge(t *testing.T, s kv.Store) {
	update(t, s, func(tx kv.Tx) error {
		for i := range 3500 {
			if err := tx.Put(words, number(i), bytes.Repeat(number(i), 50+5000*(i%300/299))); err != nil {
				return err
			}
		}
		return nil
	})
	snapshot := takeSnapshot(t, s)
	damaged := snapshot[:len(snapshot)-1]
	wipe(t, s)
	if err := kv.Restore(t.Context(), s, Tables(), bytes.NewReader(damaged)); errs.ReasonOf(err) != kv.ReasonSnapshot {
		t.Errorf("Restore of a cut-off snapshot = %v", err)
	}
	wantItems(t, s, words) // transactions that had been committed are undone
	if err := kv.Restore(t.Context(), s, Tables(), bytes.NewReader(snapshot)); err != nil {
		t.Fatalf("Restore: %v", err)
	}
	if !bytes.Equal(takeSnapshot(t, s), snapshot) {
		t.Error("the snapshot of the restored store has other bytes")
	}
}
