package kv_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/testkit"
	auditv1 "guildhall.dev/proto/gen/guildhall/audit/v1"
)

type (
	entry  = auditv1.AuditEntry
	record = kv.Record[*entry]
)

// newEntries returns a table with an index of every sort: unique, unique and
// personal, of a time, and of several values.
func newEntries() *kv.Table[*entry] {
	return kv.NewTable(kv.TableConfig[*entry]{
		Name:     "entries",
		Key:      func(e *entry) kv.Key { return kv.Key{kv.String(e.GetName())} },
		NotFound: "ENTRY_NOT_FOUND", Exists: "ENTRY_EXISTS",
		Hasher: fakeHasher{},
		Indexes: []kv.Index[*entry]{
			{Name: "request", Unique: true, Reason: "REQUEST_TAKEN", Field: "entry.request_id", Keys: func(e *entry) []kv.Key {
				if e.GetRequestId() == "" {
					return nil
				}
				return []kv.Key{{kv.String(e.GetRequestId())}}
			}},
			{Name: "mail", Unique: true, Keys: func(e *entry) []kv.Key {
				if e.GetActor() == "" {
					return nil
				}
				return []kv.Key{{kv.Personal(e.GetActor())}}
			}},
			{Name: "time", Keys: func(e *entry) []kv.Key {
				return []kv.Key{{kv.String(e.GetResource()), kv.Time(e.GetTime().AsTime())}}
			}},
			{Name: "age", Keys: func(e *entry) []kv.Key { return []kv.Key{{kv.Time(e.GetTime().AsTime())}} }},
			{Name: "field", Keys: func(e *entry) []kv.Key {
				var keys []kv.Key
				for _, f := range e.GetChangedFields() {
					keys = append(keys, kv.Key{kv.String(f)})
				}
				return keys
			}},
		},
	})
}

// eachStore runs fn on an empty store of each engine, and on one that runs
// every closure twice.
func eachStore(t *testing.T, tables []string, fn func(t *testing.T, s kv.Store)) {
	testkit.EachStore(t, "test", tables, fn)
	t.Run("retried", func(t *testing.T) { fn(t, retried{testkit.Store(t, "bolt", "test", tables)}) })
}

// retried aborts the first try of every transaction, as an engine does that
// lost a race: what is not pure shows.
type retried struct{ kv.Store }

var errLost = errors.New("the first try loses")

func (s retried) View(ctx context.Context, fn func(kv.Reader) error) error {
	if err := s.Store.View(ctx, fn); err != nil {
		return err
	}
	return s.Store.View(ctx, fn)
}

func (s retried) Update(ctx context.Context, fn func(kv.Tx) error) error {
	err := s.Store.Update(ctx, func(tx kv.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return errLost
	})
	if !errors.Is(err, errLost) {
		return err
	}
	return s.Store.Update(ctx, fn)
}

// day returns noon of a day of January 2026.
func day(n int) time.Time { return time.Date(2026, 1, n, 12, 0, 0, 0, time.UTC) }

func newEntry(name string) *entry {
	return &entry{Name: name, Resource: "r", Time: timestamppb.New(day(1))}
}

// update and view run fn in a transaction that must succeed.
func update(t testing.TB, s kv.Store, fn func(tx kv.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func view(t testing.TB, s kv.Store, fn func(r kv.Reader) error) {
	t.Helper()
	if err := s.View(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func create(t testing.TB, s kv.Store, tab *kv.Table[*entry], entries ...*entry) {
	t.Helper()
	update(t, s, func(tx kv.Tx) error {
		for _, e := range entries {
			if _, err := tab.Create(tx, e); err != nil {
				return err
			}
		}
		return nil
	})
}

// wantError fails unless err is of the kind and reason.
func wantError(t testing.TB, err error, kind errs.Kind, reason string) {
	t.Helper()
	if !errs.Is(err, kind) || errs.ReasonOf(err) != reason {
		t.Errorf("error = %v, want %v [%s]", err, kind, reason)
	}
}

// verify fails unless every index of the table is exact.
func verify(t testing.TB, s kv.Store, tab *kv.Table[*entry]) {
	t.Helper()
	if err := tab.Verify(t.Context(), s); err != nil {
		t.Error(err)
	}
}
