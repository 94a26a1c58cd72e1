package seal_test

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/kv/kvopen"
	"guildhall.dev/pkg/testkit"
	auditv1 "guildhall.dev/proto/gen/guildhall/audit/v1"
)

// What a thief of the store would look for.
const (
	plantedName    = "Augusta Planted-Kingsley"
	plantedMail    = "augusta.planted@example.com"
	plantedMessage = "the planted message about the analytical engine"
)

// plant stores the planted texts through a table on the sealed store, in its
// values and in a personal index, changes them, and finds them again.
func plant(t *testing.T, raw kv.Store) {
	t.Helper()
	ring := newRing(t)
	s, tab := ring.Wrap(raw), plantedTable(ring)
	err := s.Update(t.Context(), func(tx kv.Tx) error {
		for _, id := range []string{"1", "2"} {
			_, err := tab.Create(tx, &auditv1.AuditEntry{
				Name: id, Actor: id + plantedMail, Reason: plantedMessage, ChangedFields: []string{plantedName},
			})
			if err != nil {
				return err
			}
		}
		_, err := tab.Modify(tx, kv.Key{kv.String("1")}, "", func(e *auditv1.AuditEntry) error {
			e.Actor = plantedMail
			return nil
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	err = s.View(t.Context(), func(r kv.Reader) error {
		rec, err := tab.Lookup(r, "mail", kv.Key{kv.Personal(plantedMail)})
		if rec.Value.GetReason() != plantedMessage {
			t.Errorf("record = %v, want the planted one", rec.Value)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := tab.Verify(t.Context(), s); err != nil {
		t.Error(err)
	}
}

func plantedTable(h kv.Hasher) *kv.Table[*auditv1.AuditEntry] {
	return kv.NewTable(kv.TableConfig[*auditv1.AuditEntry]{
		Name:   "people",
		Key:    func(e *auditv1.AuditEntry) kv.Key { return kv.Key{kv.String(e.GetName())} },
		Hasher: h,
		Indexes: []kv.Index[*auditv1.AuditEntry]{
			{Name: "mail", Unique: true, Keys: func(e *auditv1.AuditEntry) []kv.Key {
				return []kv.Key{{kv.Personal(e.GetActor())}}
			}},
			{Name: "person", Keys: func(e *auditv1.AuditEntry) []kv.Key {
				return []kv.Key{{kv.Personal(e.GetChangedFields()[0])}}
			}},
		},
	})
}

// wantNothingPlanted fails when the bytes hold a planted text or a good part
// of one.
func wantNothingPlanted(t *testing.T, where string, b []byte) {
	t.Helper()
	for _, text := range []string{plantedName, plantedMail, plantedMessage, "lanted", "ugusta", "analytical"} {
		if bytes.Contains(b, []byte(text)) {
			t.Errorf("%s holds %q", where, text)
		}
	}
}

func TestPlanted_boltFileShowsNothing(t *testing.T) {
	url := testkit.StoreURL(t, "bolt")
	raw := openPlanted(t, url)
	plant(t, raw)
	wantSealedSnapshot(t, raw)
	if err := raw.Close(); err != nil {
		t.Fatal(err)
	}
	files := 0
	err := filepath.WalkDir(strings.TrimPrefix(url, "bolt://"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		wantNothingPlanted(t, path, b)
		return nil
	})
	if err != nil || files == 0 {
		t.Fatalf("read %d files, %v", files, err)
	}
}

func TestPlanted_postgresTablesShowNothing(t *testing.T) {
	url := testkit.StoreURL(t, "postgres")
	raw := openPlanted(t, url)
	plant(t, raw)
	wantSealedSnapshot(t, raw)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	for _, table := range plantedTable(nil).Tables() {
		rows, err := conn.Query(t.Context(), "SELECT key, value FROM "+pgx.Identifier{"test", table}.Sanitize())
		if err != nil {
			t.Fatal(err)
		}
		items, err := pgx.CollectRows(rows, pgx.RowToStructByPos[kv.Item])
		if err != nil || len(items) == 0 {
			t.Fatalf("table %s holds %d rows, %v", table, len(items), err)
		}
		for _, item := range items {
			wantNothingPlanted(t, "table "+table, slices.Concat(item.Key, item.Value))
		}
	}
}

func openPlanted(t *testing.T, url string) kv.Store {
	t.Helper()
	s, err := kvopen.Open(t.Context(), url, kvopen.Options{Name: "test", Tables: plantedTable(nil).Tables()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() }) // closed by the test where it matters
	return s
}

func wantSealedSnapshot(t *testing.T, raw kv.Store) {
	t.Helper()
	var dump bytes.Buffer
	if err := raw.Snapshot(t.Context(), &dump); err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(dump.Bytes(), []byte("people__mail")) {
		t.Fatal("the snapshot does not hold the tables")
	}
	wantNothingPlanted(t, "the snapshot", dump.Bytes())
}

// The search finds what is there: without the seal it fails.
func TestPlanted_searchFindsUnsealedText(t *testing.T) {
	raw := openStore(t, "people")
	put(t, raw, "people", "1", plantedMessage)
	var dump bytes.Buffer
	if err := raw.Snapshot(t.Context(), &dump); err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(dump.Bytes(), []byte("lanted")) {
		t.Error("a planted text in clear is not found")
	}
}
