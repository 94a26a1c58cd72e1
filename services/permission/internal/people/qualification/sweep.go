package qualification

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/sweep"
)

// dueKeys returns when a certificate has to be told of next: that it is about
// to end, then that it has ended.
func dueKeys(v *permissionv1.TrainingRecord) []kv.Key {
	if v.GetState() != passed {
		return nil
	}
	return []kv.Key{{kv.Time(dueTime(v))}}
}

func dueTime(v *permissionv1.TrainingRecord) time.Time {
	if v.GetRenewalNoticeTime() == nil {
		return v.GetRenewTime().AsTime()
	}
	return v.GetExpireTime().AsTime()
}

// isDue reports whether there is something to do about a record.
func isDue(v *permissionv1.TrainingRecord, now time.Time) bool {
	return v.GetState() == passed && !now.Before(dueTime(v))
}

// Job tells of certificates that are about to end, once each, and writes down
// that they have ended.
func (q *Qualifications) Job() sweep.Job {
	return sweep.Job{Action: "permission.trainingRecords.sweep", Due: q.records.Due(byDue), Do: q.sweep, Together: 100}
}

func (q *Qualifications) sweep(tx *change.Tx, name string) (more bool, err error) {
	v, found, err := q.records.Find(tx, name)
	if err != nil || !found || !isDue(v, tx.Time) {
		return false, err
	}
	if standing(v, tx.Time).GetState() != expired {
		_, err := q.records.Move(tx, name, "", "expiring", func(v *permissionv1.TrainingRecord) error {
			v.RenewalNoticeTime = timestamppb.New(tx.Time)
			return nil
		})
		return false, err
	}
	if _, err := q.records.Move(tx, name, "", "expired", func(v *permissionv1.TrainingRecord) error {
		v.State = expired
		return nil
	}); err != nil {
		return false, err
	}
	// No check answers otherwise for it: this only makes room.
	return false, touchAccount(tx, accountOf(v))
}
