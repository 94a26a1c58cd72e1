package qualification

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/people/sweep"
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

// Job tells of certificates that are about to end, once each, and writes down
// that they have ended.
func (q *Qualifications) Job() sweep.Job {
	return sweep.Job{
		Action: "permission.trainingRecords.sweep", Do: q.sweep,
		Due: func(r kv.Reader, by time.Time) (bool, error) { return q.records.Any(r, sweep.By(byDue, by)) },
	}
}

func (q *Qualifications) sweep(tx *change.Tx) error {
	due, _, err := q.records.List(tx, sweep.By(byDue, tx.Time))
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
