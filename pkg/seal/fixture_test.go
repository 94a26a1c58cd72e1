package seal_test

import (
	"testing"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/seal"
	"guildhall.dev/pkg/testkit"
)

func newRing(t testing.TB) *seal.Ring {
	t.Helper()
	r, err := seal.New()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func openFile(t testing.TB, path string, opts seal.Options) *seal.Ring {
	t.Helper()
	r, err := seal.OpenFile(path, opts)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// openStore returns an empty bbolt store. What does not depend on the engine
// is tested on this one.
func openStore(t testing.TB, tables ...string) kv.Store {
	t.Helper()
	return testkit.Store(t, "bolt", "test", tables)
}

func put(t testing.TB, s kv.Store, table, key, value string) {
	t.Helper()
	err := s.Update(t.Context(), func(tx kv.Tx) error { return tx.Put(table, []byte(key), []byte(value)) })
	if err != nil {
		t.Fatal(err)
	}
}

func get(t testing.TB, s kv.Store, table, key string) (string, error) {
	t.Helper()
	var value []byte
	err := s.View(t.Context(), func(r kv.Reader) (err error) {
		value, err = r.Get(table, []byte(key))
		return err
	})
	return string(value), err
}

func wantGet(t testing.TB, s kv.Store, table, key, want string) {
	t.Helper()
	if got, err := get(t, s, table, key); err != nil || got != want {
		t.Errorf("Get(%s, %s) = %q, %v; want %q", table, key, got, err, want)
	}
}

func wantError(t testing.TB, err error, kind errs.Kind, reason string) {
	t.Helper()
	if !errs.Is(err, kind) || errs.ReasonOf(err) != reason {
		t.Errorf("error = %v, want %v [%s]", err, kind, reason)
	}
}
