package qualification

import (
	"context"
	"log/slog"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

const (
	sweepEvery  = time.Minute
	sweepBatch  = 100
	sweepAction = "permission.trainingRecords.sweep"
)

// dueKeys returns when a certificate has to be told of next: that it is about
// to end, then that it has ended.
func dueKeys(v *permissionv1.TrainingRecord) []kv.Key {
	if v.GetState() != passed {
		return nil
	}
	next := v.GetExpireTime()
	if v.GetRenewalNoticeTime() == nil {
		next = v.GetRenewTime()
	}
	return []kv.Key{{kv.Time(next.AsTime())}}
}

// Sweeper tells of certificates that are about to end, once each, and writes
// down that they have ended. Its fields are all required.
type Sweeper struct {
	Store          kv.Store
	Journal        *change.Journal
	Qualifications *Qualifications
	Logger         *slog.Logger
	Clock          func() time.Time
}

// Run sweeps now and every minute, until ctx ends. Replicas may do so at once:
// each finds the work of the others done.
func (s *Sweeper) Run(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if err := s.Once(ctx); err != nil && ctx.Err() == nil {
			s.Logger.WarnContext(ctx, "ends of certificates were not told; trying again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Once sweeps until nothing is due.
func (s *Sweeper) Once(ctx context.Context) error {
	for {
		due := false
		err := s.Store.View(ctx, func(r kv.Reader) (err error) {
			due, err = s.Qualifications.records.Any(r, dueBy(s.Clock()))
			return err
		})
		if err != nil || !due {
			return err
		}
		err = change.DoSystem(ctx, s.Journal, sweepAction, func(tx *change.Tx) error {
			tx.Unchanged() // holds unless something is recorded
			return s.Qualifications.Sweep(tx)
		})
		if err != nil {
			return err
		}
	}
}

func dueBy(now time.Time) kv.Query {
	return kv.Query{Index: byDue, Until: kv.Key{kv.Time(now.Add(time.Nanosecond))}}
}

// Sweep does what is due at the time of the change, up to a batch.
func (q *Qualifications) Sweep(tx *change.Tx) error {
	query := dueBy(tx.Time)
	query.Limit = sweepBatch
	due, _, err := q.records.List(tx, query)
	if err != nil {
		return err
	}
	for _, v := range due {
		past, move := "expiring", func(v *permissionv1.TrainingRecord) error {
			v.RenewalNoticeTime = timestamppb.New(tx.Time)
			return nil
		}
		if standing(v, tx.Time).GetState() == expired {
			past, move = "expired", func(v *permissionv1.TrainingRecord) error {
				v.State = expired
				return nil
			}
		}
		if _, err := q.records.Move(tx, v.GetName(), "", past, move); err != nil {
			return err
		}
		if past == "expired" {
			// No check answers otherwise for it: this only makes room.
			if err := touchAccount(tx, accountOf(v)); err != nil {
				return err
			}
		}
	}
	return nil
}
