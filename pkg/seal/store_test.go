package seal_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/testkit"
)

func TestWrap_readsBackAndStoresNothingInClear(t *testing.T) {
	testkit.EachStore(t, "test", []string{"a"}, readsBackSealed)
}

func readsBackSealed(t *testing.T, raw kv.Store) {
	s := newRing(t).Wrap(raw)
	for i := range 5 {
		put(t, s, "a", fmt.Sprint(i), fmt.Sprint("secret ", i))
	}
	put(t, s, "a", "empty", "")
	err := s.View(t.Context(), func(r kv.Reader) error {
		many, err := r.GetMany("a", [][]byte{[]byte("3"), []byte("none"), []byte("empty")})
		if err != nil {
			return err
		}
		if string(many[0]) != "secret 3" || many[1] != nil || many[2] == nil || len(many[2]) != 0 {
			t.Errorf("GetMany = %q, want the value, nil, and an empty one", many)
		}
		var scanned []string
		for item, err := range r.Scan("a", kv.Range{Reverse: true, Limit: 3}) {
			if err != nil {
				return err
			}
			scanned = append(scanned, string(item.Key)+"="+string(item.Value))
		}
		if got, want := strings.Join(scanned, ","), "empty=,4=secret 4,3=secret 3"; got != want {
			t.Errorf("Scan = %s, want %s", got, want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if got, err := get(t, raw, "a", fmt.Sprint(i)); err != nil || strings.Contains(got, "secret") {
			t.Errorf("the engine holds %q, %v", got, err)
		}
	}
	wantGet(t, raw, "a", "empty", "")
}

func TestWrap_transactionSeesItsOwnWrites(t *testing.T) {
	s := newRing(t).Wrap(openStore(t, "a"))
	err := s.Update(t.Context(), func(tx kv.Tx) error {
		if err := tx.Put("a", []byte("k"), []byte("v")); err != nil {
			return err
		}
		if v, err := tx.Get("a", []byte("k")); err != nil || string(v) != "v" {
			t.Errorf("Get of an own write = %q, %v", v, err)
		}
		return tx.Delete("a", []byte("k"))
	})
	if err != nil {
		t.Fatal(err)
	}
	wantGet(t, s, "a", "k", "")
}

func TestWrap_sealsTheSameValueDifferently(t *testing.T) {
	raw := openStore(t, "a")
	s := newRing(t).Wrap(raw)
	var seen []string
	for range 2 {
		put(t, s, "a", "k", "same")
		sealed, err := get(t, raw, "a", "k")
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, sealed)
	}
	if seen[0] == seen[1] {
		t.Error("the same value twice is the same bytes twice")
	}
}

func TestOpen_movedTamperedAndForeignValuesFail(t *testing.T) {
	raw := openStore(t, "a", "b")
	ring := newRing(t)
	s := ring.Wrap(raw)
	put(t, s, "a", "k", "secret")
	sealed, err := get(t, raw, "a", "k")
	if err != nil {
		t.Fatal(err)
	}
	put(t, raw, "a", "other", sealed)
	put(t, raw, "b", "k", sealed)
	for _, at := range [][2]string{{"a", "other"}, {"b", "k"}} {
		_, err := get(t, s, at[0], at[1])
		wantError(t, err, errs.Internal, "STORE_TAMPERED")
	}
	// Every byte counts: the format byte and the key id make it unknown, all
	// others make it false.
	for i := range len(sealed) {
		b := []byte(sealed)
		b[i] ^= 1
		put(t, raw, "a", "k", string(b))
		_, err := get(t, s, "a", "k")
		if i < 5 {
			wantError(t, err, errs.Precondition, "STORE_UNREADABLE")
		} else {
			wantError(t, err, errs.Internal, "STORE_TAMPERED")
		}
	}
	for _, short := range []string{"x", sealed[:5], sealed[:20], "plain text"} {
		put(t, raw, "a", "k", short)
		if v, err := get(t, s, "a", "k"); err == nil {
			t.Errorf("a value cut to %d bytes opens as %q", len(short), v)
		}
	}
	put(t, raw, "a", "k", sealed)
	foreign := newRing(t).Wrap(raw)
	_, err = get(t, foreign, "a", "k")
	wantError(t, err, errs.Precondition, "STORE_UNREADABLE")
	err = foreign.View(t.Context(), func(r kv.Reader) error {
		for _, err := range r.Scan("a", kv.Range{}) {
			if err != nil {
				return err
			}
		}
		return nil
	})
	wantError(t, err, errs.Precondition, "STORE_UNREADABLE")
	wantGet(t, s, "a", "k", "secret")
}

func TestWrap_snapshotIsSealed(t *testing.T) {
	s := newRing(t).Wrap(openStore(t, "a"))
	put(t, s, "a", "key", "secret text")
	var b bytes.Buffer
	if err := s.Snapshot(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(b.Bytes(), []byte("key")) || bytes.Contains(b.Bytes(), []byte("secret text")) {
		t.Errorf("snapshot of %d bytes: want the key in it and not the value", b.Len())
	}
}

func TestHash_dependsOnContextValueAndKeyset(t *testing.T) {
	a, b := newRing(t), newRing(t)
	base := a.Hash("ctx", []byte("value"))
	if len(base) != 16 || !bytes.Equal(base, a.Hash("ctx", []byte("value"))) {
		t.Errorf("Hash = %x: want 16 bytes, the same each time", base)
	}
	for name, other := range map[string][]byte{
		"context": a.Hash("ctx2", []byte("value")), "value": a.Hash("ctx", []byte("values")),
		"border": a.Hash("ctxv", []byte("alue")), "keyset": b.Hash("ctx", []byte("value")),
		"use": a.Derive("ctxvalue")[:16],
	} {
		if bytes.Equal(base, other) {
			t.Errorf("another %s has the same hash", name)
		}
	}
}

func TestDerive_stableAcrossRotation(t *testing.T) {
	r := newRing(t)
	before, hash := r.Derive("page tokens"), r.Hash("c", []byte("v"))
	if err := r.Rotate(); err != nil {
		t.Fatal(err)
	}
	if len(before) != 32 || !bytes.Equal(before, r.Derive("page tokens")) || !bytes.Equal(hash, r.Hash("c", []byte("v"))) {
		t.Error("rotation changed a derived key or a hash")
	}
	if bytes.Equal(before, r.Derive("other")) {
		t.Error("two purposes have one key")
	}
}
