// Package kvtest is what every storage engine must pass: the conformance
// suite, a random comparison with a sorted map, and transactions that race.
//
// It drives a kv.Store through its interface alone and knows no engine, so an
// engine or a decorator outside this module can run it too.
package kvtest

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"guildhall.dev/pkg/kv"
)

// Tables returns the tables that a store under test declares.
func Tables() []string { return []string{"accounts", "marks", "words"} }

const (
	accounts = "accounts"
	marks    = "marks"
	words    = "words"
)

// test is one subtest of the suite; the store is empty and its own.
type test func(t *testing.T, s kv.Store)

// Run runs the whole suite. open returns an empty store with Tables, and sees
// to its closing; it is called once for each subtest.
func Run(t *testing.T, open func(t *testing.T) kv.Store) {
	for _, group := range []struct {
		name  string
		tests map[string]test
	}{
		{"Items", itemTests()},
		{"Scan", scanTests()},
		{"Transaction", transactionTests()},
		{"Lifetime", lifetimeTests()},
		{"Race", raceTests()},
		{"Snapshot", snapshotTests()},
	} {
		t.Run(group.name, func(t *testing.T) {
			for name, run := range group.tests {
				t.Run(name, func(t *testing.T) { run(t, open(t)) })
			}
		})
	}
}

// The helpers below fail the test; none may run inside a closure that another
// goroutine calls.

func update(t *testing.T, s kv.Store, fn func(tx kv.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), fn); err != nil {
		t.Fatalf("Update: %v", err)
	}
}

func view(t *testing.T, s kv.Store, fn func(r kv.Reader) error) {
	t.Helper()
	if err := s.View(t.Context(), fn); err != nil {
		t.Fatalf("View: %v", err)
	}
}

// put writes pairs of key and value in one transaction.
func put(t *testing.T, s kv.Store, table string, pairs ...string) {
	t.Helper()
	update(t, s, func(tx kv.Tx) error { return putPairs(tx, table, pairs...) })
}

func putPairs(tx kv.Tx, table string, pairs ...string) error {
	for i := 0; i < len(pairs); i += 2 {
		if err := tx.Put(table, []byte(pairs[i]), []byte(pairs[i+1])); err != nil {
			return err
		}
	}
	return nil
}

// wantItems compares a whole table with pairs of key and value.
func wantItems(t *testing.T, s kv.Store, table string, pairs ...string) {
	t.Helper()
	view(t, s, func(r kv.Reader) error {
		got, err := scan(r, table, kv.Range{})
		if err == nil {
			wantPairs(t, got, pairs...)
		}
		return err
	})
}

func wantPairs(t *testing.T, got []string, pairs ...string) {
	t.Helper()
	if len(got) == 0 && len(pairs) == 0 {
		return
	}
	if diff := cmp.Diff(pairs, got); diff != "" {
		t.Errorf("items (-want +got):\n%s", diff)
	}
}

// scan returns the items of a range as pairs of key and value.
func scan(r kv.Reader, table string, rng kv.Range) ([]string, error) {
	var pairs []string
	for item, err := range r.Scan(table, rng) {
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, string(item.Key), string(item.Value))
	}
	return pairs, nil
}

// dump is the whole store in one string, for comparing two.
func dump(ctx context.Context, s kv.Store) (string, error) {
	var out bytes.Buffer
	err := s.View(ctx, func(r kv.Reader) error {
		out.Reset()
		return dumpTo(&out, r)
	})
	return out.String(), err
}

func dumpTo(out *bytes.Buffer, r kv.Reader) error {
	for _, table := range Tables() {
		pairs, err := scan(r, table, kv.Range{})
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s %q\n", table, pairs)
	}
	return nil
}
