package kvopen_test

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/kv/kvopen"
	"guildhall.dev/pkg/kv/kvtest"
	"guildhall.dev/pkg/testkit"
)

func TestMain(m *testing.M) {
	if kvtest.CrashChild(open) {
		return
	}
	os.Exit(m.Run())
}

func open(ctx context.Context, url string) (kv.Store, error) {
	return kvopen.Open(ctx, url, kvopen.Options{Name: "test", Tables: kvtest.Tables()})
}

func TestModel(t *testing.T) {
	stores := map[string]kv.Store{}
	for _, engine := range testkit.Engines() {
		stores[engine] = testkit.Store(t, engine, "test", kvtest.Tables())
	}
	kvtest.Model(t, stores)
}

func TestUpdate_acknowledgedSurvivesKill(t *testing.T) {
	for engine, rounds := range map[string]int{"bolt": 8, "postgres": 4} {
		t.Run(engine, func(t *testing.T) { kvtest.Crash(t, open, testkit.StoreURL(t, engine), rounds) })
	}
}

func TestSnapshot_restoresOnTheOtherEngine(t *testing.T) {
	for _, way := range [][2]string{{"bolt", "postgres"}, {"postgres", "bolt"}} {
		t.Run(way[0]+" to "+way[1], func(t *testing.T) {
			from := testkit.Store(t, way[0], "test", kvtest.Tables())
			err := from.Update(t.Context(), func(tx kv.Tx) error {
				for _, key := range []string{"\x00", "a", "a\x00", "\xff\xff"} {
					for _, table := range kvtest.Tables() {
						if err := tx.Put(table, []byte(key), []byte(table+key)); err != nil {
							return err
						}
					}
				}
				return tx.Put("words", []byte("empty"), nil)
			})
			if err != nil {
				t.Fatal(err)
			}
			var first, second bytes.Buffer
			if err := from.Snapshot(t.Context(), &first); err != nil {
				t.Fatal(err)
			}
			to := testkit.Store(t, way[1], "test", kvtest.Tables())
			if err := kv.Restore(t.Context(), to, kvtest.Tables(), bytes.NewReader(first.Bytes())); err != nil {
				t.Fatal(err)
			}
			if err := to.Snapshot(t.Context(), &second); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(first.Bytes(), second.Bytes()) {
				t.Error("the two stores have snapshots of different bytes")
			}
		})
	}
}

func TestOpen_tablesAreAddedAndKept(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			url := testkit.StoreURL(t, engine)
			for _, tables := range [][]string{{"one"}, {"one", "two"}, {"two"}, {"two", "one"}} {
				s, err := kvopen.Open(t.Context(), url, kvopen.Options{Name: "test", Tables: tables})
				if err != nil {
					t.Fatalf("Open with %v: %v", tables, err)
				}
				err = s.Update(t.Context(), func(tx kv.Tx) error {
					old, err := tx.Get(tables[0], []byte("k"))
					if err == nil && len(tables) == 2 && old == nil {
						t.Errorf("Open with %v: table %s lost its item", tables, tables[0])
					}
					if err != nil {
						return err
					}
					return tx.Put(tables[0], []byte("k"), []byte("v"))
				})
				if err != nil {
					t.Errorf("Update with %v: %v", tables, err)
				}
				if err := s.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			}
		})
	}
}

func TestOpen_badURLIsPlainAndKeepsThePassword(t *testing.T) {
	for _, url := range []string{
		"", "guildhall.db", "/var/lib/guildhall", "bolt:", "bolt://", "bolt:///", "bolt://var/lib", "bolt:///x?sync=off",
		"mysql://user:hunter2@host/db", "postgres://user:hunter2@host:port/db", "postgres://user:hunter2@host/db?pool_max_conns=none",
		"postgres://user:hunter2\x7f@host/db",
	} {
		s, err := kvopen.Open(t.Context(), url, kvopen.Options{Name: "test", Tables: []string{"a"}})
		if s != nil || !errs.Is(err, errs.Invalid) || errs.ReasonOf(err) != kv.ReasonURL {
			t.Errorf("Open(%q) = %v, %v; want Invalid %s", url, s, err, kv.ReasonURL)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Open(%q) shows the password: %v", url, err)
		}
	}
}

func TestOpen_badOptionsAreRefused(t *testing.T) {
	urls := map[string]string{}
	for _, engine := range testkit.Engines() {
		urls[engine] = testkit.StoreURL(t, engine)
	}
	for _, o := range []kvopen.Options{
		{}, {Name: "test"}, {Name: "Test", Tables: []string{"a"}}, {Name: "../up", Tables: []string{"a"}},
		{Name: "test", Tables: []string{"a", "a"}}, {Name: "test", Tables: []string{`a"; drop`}},
		{Name: "test", Tables: []string{strings.Repeat("a", kv.MaxNameSize+1)}}, {Name: "test", Tables: []string{""}},
	} {
		for engine, url := range urls {
			if s, err := kvopen.Open(t.Context(), url, o); err == nil || s != nil {
				t.Errorf("Open on %s with %+v = %v, %v; want an error", engine, o, s, err)
			}
		}
	}
}
