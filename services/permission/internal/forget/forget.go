// Package forget removes what no check asks about any more: ended sessions whose
// tokens are dead.
//
// Replicas sweep at once and do not mind. It is housekeeping alone: an ended
// session that is still there says no to tokens that are refused anyway.
package forget

import (
	"context"
	"log/slog"
	"time"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/services/permission/internal/subject"
)

const (
	every = time.Minute
	batch = 100
)

// Sweeper sweeps. All fields are required.
type Sweeper struct {
	Store    kv.Store
	Subjects *subject.Subjects
	Logger   *slog.Logger
	Clock    func() time.Time
}

// Run sweeps every minute until ctx ends.
func (s *Sweeper) Run(ctx context.Context) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		if err := s.Once(ctx); err != nil && ctx.Err() == nil {
			s.Logger.WarnContext(ctx, "ended sessions were not forgotten; trying again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Once removes all that can be. Each batch is a transaction of its own: a large
// one would lose against live traffic.
func (s *Sweeper) Once(ctx context.Context) error {
	for {
		var n int
		err := s.Store.Update(ctx, func(tx kv.Tx) (err error) {
			n, err = s.Subjects.ForgetEnded(tx, s.Clock(), batch)
			return err
		})
		if err != nil || n < batch {
			return err
		}
	}
}
