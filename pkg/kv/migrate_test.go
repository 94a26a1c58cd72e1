package kv_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
)

var migrationTables = append(kv.RawTables(), "data")

// step returns a migration that adds its name to the store and counts its runs.
func step(number uint64, name string, runs *atomic.Int32) kv.Migration {
	return kv.Migration{Number: number, Name: name, Run: func(ctx context.Context, s kv.Store) error {
		runs.Add(1)
		return s.Update(ctx, func(tx kv.Tx) error { return tx.Put("data", []byte(name), []byte("done")) })
	}}
}

func TestMigrate_eachRunsOnceInOrder(t *testing.T) {
	eachStore(t, migrationTables, func(t *testing.T, s kv.Store) {
		var order []string
		note := func(number uint64, name string) kv.Migration {
			return kv.Migration{Number: number, Name: name, Run: func(context.Context, kv.Store) error {
				order = append(order, name)
				return nil
			}}
		}
		first := []kv.Migration{note(1, "one"), note(2, "two")}
		for _, list := range [][]kv.Migration{nil, first, first, append(first, note(3, "three"))} {
			if err := kv.Migrate(t.Context(), s, list); err != nil {
				t.Fatal(err)
			}
		}
		if len(order) != 3 || order[0] != "one" || order[1] != "two" || order[2] != "three" {
			t.Errorf("runs = %q, want one, two, three", order)
		}
	})
}

func TestMigrate_newerOrForeignStoreIsRefused(t *testing.T) {
	eachStore(t, migrationTables, func(t *testing.T, s kv.Store) {
		var runs atomic.Int32
		if err := kv.Migrate(t.Context(), s, []kv.Migration{step(1, "one", &runs), step(2, "two", &runs)}); err != nil {
			t.Fatal(err)
		}
		for _, list := range [][]kv.Migration{nil, {step(1, "one", &runs)}, {step(1, "uno", &runs), step(2, "two", &runs)}} {
			wantError(t, kv.Migrate(t.Context(), s, list), errs.Precondition, kv.ReasonSchemaNewer)
		}
		if runs.Load() != 2 {
			t.Errorf("%d runs, want 2", runs.Load())
		}
	})
}

func TestMigrate_badListIsRefused(t *testing.T) {
	eachStore(t, migrationTables, func(t *testing.T, s kv.Store) {
		var runs atomic.Int32
		for _, list := range [][]kv.Migration{
			{step(2, "two", &runs)}, {step(1, "", &runs)}, {{Number: 1, Name: "none"}},
		} {
			if err := kv.Migrate(t.Context(), s, list); err == nil {
				t.Errorf("Migrate(%v) succeeds", list)
			}
		}
	})
}

func TestMigrate_failureKeepsWhatWasDoneAndRunsAgain(t *testing.T) {
	eachStore(t, migrationTables, func(t *testing.T, s kv.Store) {
		var one, two atomic.Int32
		fault := errors.New("fault")
		broken := kv.Migration{Number: 2, Name: "two", Run: func(context.Context, kv.Store) error { return fault }}
		if err := kv.Migrate(t.Context(), s, []kv.Migration{step(1, "one", &one), broken}); !errors.Is(err, fault) {
			t.Errorf("Migrate = %v, want the migration's own error", err)
		}
		if err := kv.Migrate(t.Context(), s, []kv.Migration{step(1, "one", &one), step(2, "two", &two)}); err != nil {
			t.Fatal(err)
		}
		if one.Load() != 1 || two.Load() != 1 {
			t.Errorf("runs = %d and %d, want 1 and 1", one.Load(), two.Load())
		}
	})
}

func TestMigrate_replicasTogetherRunEachOnce(t *testing.T) {
	eachStore(t, migrationTables, func(t *testing.T, s kv.Store) {
		var runs atomic.Int32
		list := []kv.Migration{step(1, "one", &runs), step(2, "two", &runs)}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if err := kv.MigrateWithLease(t.Context(), s, list, 5*time.Second); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if runs.Load() != 2 {
			t.Errorf("%d runs of 2 migrations, want 2", runs.Load())
		}
	})
}

// A replica that stops renewing is taken over, and when it wakes it writes
// nothing more.
func TestMigrate_silentHolderIsTakenOverAndFenced(t *testing.T) {
	eachStore(t, migrationTables, func(t *testing.T, s kv.Store) {
		const lease = 400 * time.Millisecond
		silent := &deafStore{Store: s}
		started, wake := make(chan struct{}), make(chan struct{})
		list := []kv.Migration{{Number: 1, Name: "one", Run: func(_ context.Context, s kv.Store) error {
			silent.deaf.Store(true) // its renewals no longer arrive
			close(started)
			<-wake
			silent.deaf.Store(false)
			return s.Update(context.Background(), func(tx kv.Tx) error {
				return tx.Put("data", []byte("late"), []byte("x"))
			})
		}}}
		first := make(chan error, 1)
		go func() { first <- kv.MigrateWithLease(t.Context(), silent, list, lease) }()
		<-started
		var runs atomic.Int32
		if err := kv.MigrateWithLease(t.Context(), s, []kv.Migration{step(1, "one", &runs)}, lease); err != nil {
			t.Fatal(err)
		}
		close(wake)
		wantError(t, <-first, errs.Unavailable, "STORE_MIGRATION_TAKEN_OVER")
		if runs.Load() != 1 {
			t.Errorf("the successor ran %d migrations, want 1", runs.Load())
		}
		view(t, s, func(r kv.Reader) error {
			late, err := r.Get("data", []byte("late"))
			if late != nil {
				t.Error("the replica that was taken over has written")
			}
			return err
		})
	})
}

// deafStore fails updates while deaf, as a store that cannot be reached.
type deafStore struct {
	kv.Store
	deaf atomic.Bool
}

func (d *deafStore) Update(ctx context.Context, fn func(kv.Tx) error) error {
	if d.deaf.Load() {
		return errs.New(errs.Unavailable, kv.ReasonUnavailable, "not reachable")
	}
	return d.Store.Update(ctx, fn)
}

func TestMigrate_waiterGivesUpWithItsContext(t *testing.T) {
	eachStore(t, migrationTables, func(t *testing.T, s kv.Store) {
		started, wake := make(chan struct{}), make(chan struct{})
		list := []kv.Migration{{Number: 1, Name: "one", Run: func(context.Context, kv.Store) error {
			close(started)
			<-wake
			return nil
		}}}
		first := make(chan error, 1)
		go func() { first <- kv.Migrate(t.Context(), s, list) }()
		<-started
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		err := kv.Migrate(ctx, s, []kv.Migration{{Number: 1, Name: "one", Run: func(context.Context, kv.Store) error { return nil }}})
		if !errs.Is(err, errs.Unavailable) && !errs.Is(err, errs.DeadlineExceeded) {
			t.Errorf("Migrate of a waiter whose time is up = %v", err)
		}
		close(wake)
		if err := <-first; err != nil {
			t.Error(err)
		}
	})
}
