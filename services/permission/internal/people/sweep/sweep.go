// Package sweep does what has to be done when a time comes: tells of
// certificates that are about to end, ends appointments.
//
// Nothing depends on its punctuality. Whoever asks what is so at a time compares
// the time; a sweep writes it down and tells others.
package sweep

import (
	"context"
	"log/slog"
	"time"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
)

// Every is how often Run looks.
const Every = 15 * time.Second

// Batch is about how much a job does in one transaction.
const Batch = 100

// Job is one kind of thing to do.
type Job struct {
	// Action names the act in the audit log.
	Action string
	// Due reports whether there is something to do by the time.
	Due func(r kv.Reader, by time.Time) (bool, error)
	// Do does a batch of what is due at the time of the change.
	Do func(tx *change.Tx) error
}

// Sweeper does jobs. Its fields are all required.
type Sweeper struct {
	Store   kv.Store
	Journal *change.Journal
	Jobs    []Job
	Logger  *slog.Logger
	Clock   func() time.Time
}

// Run sweeps now and every while, until ctx ends. Replicas may do so at once:
// each finds the work of the others done.
func (s *Sweeper) Run(ctx context.Context) error {
	tick := time.NewTicker(Every)
	defer tick.Stop()
	for {
		if err := s.Once(ctx); err != nil && ctx.Err() == nil {
			s.Logger.WarnContext(ctx, "what is due was not done; trying again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Once does all that is due.
func (s *Sweeper) Once(ctx context.Context) error {
	for _, job := range s.Jobs {
		if err := s.finish(ctx, job); err != nil {
			return err
		}
	}
	return nil
}

func (s *Sweeper) finish(ctx context.Context, job Job) error {
	for {
		due := false
		err := s.Store.View(ctx, func(r kv.Reader) (err error) {
			due, err = job.Due(r, s.Clock())
			return err
		})
		if err != nil || !due {
			return err
		}
		err = change.DoSystem(ctx, s.Journal, job.Action, func(tx *change.Tx) error {
			tx.Unchanged() // holds unless something is recorded
			return job.Do(tx)
		})
		if err != nil {
			return err
		}
	}
}

// By is the query of the entries of an index whose one part is a time, up to
// and with one.
func By(index string, at time.Time) kv.Query {
	return kv.Query{Index: index, Until: kv.Key{kv.Time(at.Add(time.Nanosecond))}, Limit: Batch}
}
