// Package sweep does what has to be done when a time comes: ends requests and
// appointments, takes reviews further, tells of certificates that are about to
// end, forgets what nobody asks about any more.
//
// Nothing depends on its punctuality. Whoever asks what is so at a time compares
// the time; a sweep writes it down and tells others. Replicas sweep at once, and
// find each other's work done.
package sweep

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/rounds"
)

// Every is how often Run looks, unless the Sweeper says otherwise.
const Every = 10 * time.Second

// page is how many names a sweep reads at once.
const page = 100

// Job is one kind of thing to do. Action, Due and Do are required.
type Job struct {
	// Action names the act in the audit log.
	Action string
	// Due returns a page of the names of what there is to do at the time, and
	// where the next one starts, nil at the end.
	Due func(r kv.Reader, now time.Time, after []byte, limit int) (names []string, next []byte, err error)
	// Do does what there is to do about one name, or a part of it: then there is
	// more, and it is called again. By the time it is called it may have been
	// done. What it records is the trace; that it records nothing it need not
	// say.
	Do func(tx *change.Tx, name string) (more bool, err error)
	// Together is how many names share a transaction while all goes well; 0 is
	// one. A larger transaction is cheaper, and loses more against live traffic.
	Together int
	// Look, where there is one, reads what is left after a sweep, for a metric.
	Look func(r kv.Reader, now time.Time) error
}

// Sweeper does jobs. Its fields are required, but Every.
type Sweeper struct {
	Store   kv.Store
	Journal *change.Journal
	Jobs    []Job
	Logger  *slog.Logger
	Clock   func() time.Time
	Every   time.Duration
}

// Run sweeps now and every while, until ctx ends.
func (s *Sweeper) Run(ctx context.Context) error {
	return rounds.Loop{Do: s.Once, Failed: "not all that is due was done; trying again", Logger: s.Logger, Every: cmp.Or(s.Every, Every)}.Run(ctx)
}

// Once does all that is due. What fails stops nothing else; the errors are
// joined.
func (s *Sweeper) Once(ctx context.Context) error {
	var failed []error
	for _, job := range s.Jobs {
		if err := s.finish(ctx, job); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", job.Action, err))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return errors.Join(failed...)
}

func (s *Sweeper) finish(ctx context.Context, job Job) error {
	var failed []error
	for after, more := []byte(nil), true; more; more = after != nil {
		var names []string
		err := s.Store.View(ctx, func(r kv.Reader) (err error) {
			names, after, err = job.Due(r, s.Clock(), after, page)
			return err
		})
		if err != nil {
			return errors.Join(append(failed, err)...)
		}
		for some := range slices.Chunk(names, max(job.Together, 1)) {
			if err := s.do(ctx, job, some); err != nil {
				failed = append(failed, err)
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
	if job.Look != nil {
		failed = append(failed, s.Store.View(ctx, func(r kv.Reader) error { return job.Look(r, s.Clock()) }))
	}
	return errors.Join(failed...)
}

// do does what there is to do about the names: together, and where that fails
// each by itself, so that one does not keep the others.
func (s *Sweeper) do(ctx context.Context, job Job, names []string) error {
	for left := names; len(left) > 0; {
		var more []string
		err := change.DoSystem(ctx, s.Journal, job.Action, func(tx *change.Tx) error {
			tx.Unchanged() // holds unless something is recorded
			more = nil
			for _, name := range left {
				again, err := job.Do(tx, name)
				if err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				if again {
					more = append(more, name)
				}
			}
			return nil
		})
		if err != nil && len(left) > 1 {
			var failed []error
			for _, name := range left {
				failed = append(failed, s.do(ctx, job, []string{name}))
			}
			return errors.Join(failed...)
		}
		if err != nil {
			return err
		}
		left = more
	}
	return nil
}

// Due is Due of a Job by an index of a table whose first part is a time: what
// stands there is due from that instant on.
func Due[T proto.Message](table *kv.Table[T], index string, name func(T) string) func(r kv.Reader, now time.Time, after []byte, limit int) ([]string, []byte, error) {
	return func(r kv.Reader, now time.Time, after []byte, limit int) ([]string, []byte, error) {
		due, err := table.List(r, kv.Query{Index: index, Until: kv.Key{kv.Time(now.Add(1))}, After: after, Limit: limit})
		if err != nil {
			return nil, nil, err
		}
		names := make([]string, len(due.Records))
		for i, rec := range due.Records {
			names[i] = name(rec.Value)
		}
		return names, due.Next, nil
	}
}
