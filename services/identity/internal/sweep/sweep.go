// Package sweep removes what is past its time: deleted accounts behind their
// purge time, sessions behind their last, keys of clients that expired long ago,
// proofs and codes that nobody takes any more, logins that nobody ended, messages
// that were sent long ago, and counts of guesses that are over. Transfers of
// customers that wait past their time it ends, customers who bought nothing for as
// long as their organisation says it puts into another stage, tasks of who is not
// there it gives to who takes over, it reminds of what is to be done, and legal holds
// that are over end, as does the time in which merges can be undone.
//
// Replicas sweep at once and do not mind: each removal looks again, in its own
// transaction, whether there is still something to remove.
package sweep

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/rounds"
	"guildhall.dev/services/identity/internal/absence"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/clientkey"
	"guildhall.dev/services/identity/internal/credential"
	"guildhall.dev/services/identity/internal/delivery"
	"guildhall.dev/services/identity/internal/desk"
	"guildhall.dev/services/identity/internal/factor"
	"guildhall.dev/services/identity/internal/hold"
	"guildhall.dev/services/identity/internal/merger"
	"guildhall.dev/services/identity/internal/ownership"
	"guildhall.dev/services/identity/internal/preference"
	"guildhall.dev/services/identity/internal/session"
	"guildhall.dev/services/identity/internal/takeout"
	"guildhall.dev/services/identity/internal/task"
	"guildhall.dev/services/identity/internal/throttle"
	"guildhall.dev/services/identity/internal/verification"
)

const (
	every = time.Minute
	batch = 100
)

// Sweeper sweeps. All fields are required.
type Sweeper struct {
	Store       kv.Store
	Journal     *change.Journal
	Accounts    *account.Book
	Credentials *credential.Book
	Sessions    *session.Book
	Factors     *factor.Book
	Keys        *clientkey.Book
	Ownerships  *ownership.Book
	Outbox      *delivery.Book
	// Verifications are the codes that prove contacts.
	Verifications *verification.Book
	Tasks         *task.Book
	Desk          *desk.Desk
	Absences      *absence.Book
	Throttle      *throttle.Turnstile
	Holds         *hold.Book
	Takeouts      *takeout.Book
	Merger        *merger.Merger
	Preferences   *preference.Book
	Logger        *slog.Logger
	Clock         func() time.Time
}

// Run sweeps every minute until ctx ends.
func (s *Sweeper) Run(ctx context.Context) error {
	return rounds.Loop{Do: s.round, Failed: "sweep: cannot remove what is past its time", Logger: s.Logger, Every: every}.Run(ctx)
}

func (s *Sweeper) round(ctx context.Context) error {
	purged, ended, err := s.Once(ctx)
	if err == nil && purged+ended > 0 {
		s.Logger.InfoContext(ctx, "sweep: removed what is past its time", "accounts", purged, "sessions", ended)
	}
	return err
}

// Once removes all that is past its time, and returns how many accounts and
// sessions were among it.
func (s *Sweeper) Once(ctx context.Context) (purged, ended int, err error) {
	var faults []error // what cannot be removed keeps nothing else
	drain := func(action string, find func(kv.Reader, time.Time, int) ([]string, error), remove func(*change.Tx, string) error) int {
		n, err := s.drain(ctx, action, find, remove)
		faults = append(faults, err)
		return n
	}
	purged = drain("identity.accounts.purge", s.Accounts.Purgeable, s.Accounts.Purge)
	ended = drain("identity.sessions.expire", s.Sessions.Expired, s.Sessions.Expire)
	drain("identity.clientKeys.expire", s.Keys.Expired, s.Keys.Expire)
	drain("identity.ownershipTransfers.expire", s.Ownerships.Expirable, s.Ownerships.Expire)
	drain("identity.legalHolds.expire", s.Holds.Expirable, s.Holds.Expire)
	drain("identity.takeouts.expire", s.Takeouts.Expired, s.Takeouts.Expire)
	drain("identity.merges.finalize", s.Merger.Finalizable, s.Merger.Finalize)
	drain("identity.preferences.expire", s.Preferences.Expired, s.Preferences.Expire)
	drain("identity.tasks.cover", s.Desk.Coverable, s.Desk.Cover)
	drain("identity.tasks.remind", s.Tasks.Remindable, s.Desk.Remind)
	for _, some := range []func(tx kv.Tx, now time.Time, limit int) (int, error){
		s.Absences.Sweep, s.Keys.SweepAssertions, s.Sessions.SweepCodes, s.Credentials.SweepResets,
		s.Outbox.Sweep, s.Verifications.Sweep, s.Sessions.SweepChallenges, s.Factors.SweepEnrollments, s.Factors.SweepChallenges,
	} {
		faults = append(faults, s.forget(ctx, some))
	}
	_, err = s.Throttle.Sweep(ctx) // nobody needs to know of what means nothing any more
	faults = append(faults, err)
	// The last: they may be very many, the first time.
	drain("identity.stages.age", s.Accounts.Idle, s.Accounts.Age)
	return purged, ended, errors.Join(faults...)
}

// forget removes what leaves no trace, some at a time until there is none.
func (s *Sweeper) forget(ctx context.Context, some func(tx kv.Tx, now time.Time, limit int) (int, error)) error {
	for {
		n := 0
		err := s.Store.Update(ctx, func(tx kv.Tx) (err error) {
			n, err = some(tx, s.Clock(), batch)
			return err
		})
		if err != nil || n < batch {
			return err
		}
	}
}

// drain finds and removes until there is nothing to find. Each is removed in a
// transaction of its own: a large one would lose against live traffic.
func (s *Sweeper) drain(ctx context.Context, action string,
	find func(kv.Reader, time.Time, int) ([]string, error), remove func(*change.Tx, string) error,
) (n int, err error) {
	for {
		var due []string
		err := s.Store.View(ctx, func(r kv.Reader) (err error) {
			due, err = find(r, s.Clock(), batch)
			return err
		})
		if err != nil || len(due) == 0 {
			return n, err
		}
		for _, name := range due {
			if err := change.DoSystem(ctx, s.Journal, action, func(tx *change.Tx) error { return remove(tx, name) }); err != nil {
				return n, err
			}
			n++
		}
	}
}
