package servetest

import (
	"bytes"
	"testing"

	"guildhall.dev/pkg/kv"
)

// Holding returns the tables of the service's store that hold a text: also the kit's
// own, as of the feed, the audit log and kept answers.
func (s *Server) Holding(t testing.TB, text string) []string {
	t.Helper()
	return Holding(t, s.Store, s.tables, text)
}

// Holding returns those of the tables of a store that hold a text, in keys or in
// values, looked at through the seal.
func Holding(t testing.TB, store kv.Store, tables []string, text string) (where []string) {
	t.Helper()
	if err := store.View(t.Context(), func(r kv.Reader) error {
		where = nil
		for _, table := range tables {
			found, err := holds(r, table, []byte(text))
			if err != nil {
				return err
			}
			if found {
				where = append(where, table)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return where
}

func holds(r kv.Reader, table string, text []byte) (bool, error) {
	for item, err := range r.Scan(table, kv.Range{}) {
		if err != nil || bytes.Contains(item.Key, text) || bytes.Contains(item.Value, text) {
			return err == nil, err
		}
	}
	return false, nil
}
