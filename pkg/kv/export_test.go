package kv

import (
	"context"
	"crypto/rand"
	"time"
)

// MigrateWithLease is Migrate with a lease short enough to see it run out.
func MigrateWithLease(ctx context.Context, s Store, migrations []Migration, lease time.Duration) error {
	m := migrator{store: s, steps: migrations, holder: rand.Text(), lease: lease, poll: lease / 20}
	return m.run(ctx)
}
