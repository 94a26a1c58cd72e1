package kv

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"guildhall.dev/pkg/errs"
)

// Migration is one step from one form of a store's content to the next.
type Migration struct {
	// Number is 1 for the first migration of a service, then one more each.
	Number uint64
	// Name says what it does, as in "index_groups_by_owner". Neither it nor
	// the number changes once released.
	Name string
	// Run does it, in bounded transactions on the store it is given. It may
	// be interrupted anywhere and run again, so it is written to be run
	// twice. It must use no other handle on the store: this one stops writing
	// when another process takes the migration over.
	Run func(ctx context.Context, s Store) error
}

// migrationsTable is where Migrate keeps its records:
//
//	("done", number) -> name
//	("holder")       -> who migrates: a random word for each call
//	("beat")         -> another random word at each renewal
const migrationsTable = "kv_migrations"

// How long a holder may be silent before another takes over, and how often a
// waiter looks. A holder renews three times a lease.
const (
	migrationLease = 15 * time.Second
	migrationPoll  = 200 * time.Millisecond
)

// ReasonSchemaNewer is the reason of Migrate on a store that a newer release
// has migrated (Precondition).
const ReasonSchemaNewer = "STORE_SCHEMA_NEWER"

// Migrate runs those of the migrations that the store has not seen, in order,
// and records each. Of replicas that start together one runs them and the
// others wait for it; one that dies is taken over after a lease of 15 s. Call
// it after Open and before serving.
//
// A store that a newer release has migrated is refused with Precondition
// (STORE_SCHEMA_NEWER). The error of a migration comes back wrapped; the ones
// before it stay done.
func Migrate(ctx context.Context, s Store, migrations []Migration) error {
	m := migrator{store: s, steps: migrations, holder: rand.Text(), lease: migrationLease, poll: migrationPoll}
	return m.run(ctx)
}

type migrator struct {
	store  Store
	steps  []Migration
	holder string
	lease  time.Duration
	poll   time.Duration
}

func (m *migrator) run(ctx context.Context) error {
	for i, step := range m.steps {
		if step.Number != uint64(i)+1 || step.Name == "" || step.Run == nil {
			return fmt.Errorf("kv: migration %d of the list has number %d, name %q: number them from 1 without a gap", i+1, step.Number, step.Name)
		}
	}
	done, err := m.done(ctx)
	if err != nil || done == len(m.steps) {
		return err
	}
	held, err := m.acquire(ctx)
	if err != nil || !held {
		return err
	}
	return m.whileHeld(ctx, func(ctx context.Context) error {
		// Another replica may have got further while this one waited.
		done, err := m.done(ctx)
		if err != nil {
			return err
		}
		for _, step := range m.steps[done:] {
			if err := m.apply(ctx, step); err != nil {
				return err
			}
		}
		return nil
	})
}

// apply runs one step and records it, both only while this is the holder.
func (m *migrator) apply(ctx context.Context, step Migration) error {
	s := fenced{Store: m.store, holder: m.holder}
	if err := step.Run(ctx, s); err != nil {
		return fmt.Errorf("migration %d (%s): %w", step.Number, step.Name, err)
	}
	return s.Update(ctx, func(tx Tx) error {
		return tx.Put(migrationsTable, doneKey(step.Number), []byte(step.Name))
	})
}

// done returns how many of the steps the store has seen. It refuses a store
// that has seen others.
func (m *migrator) done(ctx context.Context) (int, error) {
	var n int
	err := m.store.View(ctx, func(r Reader) error {
		n = 0
		for item, err := range r.Scan(migrationsTable, Prefix(donePrefix())) {
			if err != nil {
				return err
			}
			if n == len(m.steps) {
				return errs.New(errs.Precondition, ReasonSchemaNewer,
					"a newer release has migrated this store; start that release or a later one")
			}
			if step := m.steps[n]; string(item.Value) != step.Name || string(item.Key) != string(doneKey(step.Number)) {
				return errs.New(errs.Precondition, ReasonSchemaNewer,
					fmt.Sprintf("this store was migrated by another line of releases: its migration %d is not %s; start a release of its own line", n+1, step.Name))
			}
			n++
		}
		return nil
	})
	return n, err
}

// plainKey encodes a key without personal parts, which cannot fail.
func plainKey(k Key) []byte {
	raw, _ := k.Encode(nil, nil, "")
	return raw
}

func donePrefix() []byte           { return plainKey(Key{String("done")}) }
func doneKey(number uint64) []byte { return plainKey(Key{String("done"), Uint64(number)}) }
