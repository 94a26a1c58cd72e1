package delivery

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// The delays between attempts: the first, which doubles each time, up to the
// longest.
const (
	firstDelay   = 10 * time.Second
	longestDelay = time.Hour
)

// Delay returns how long a message waits behind an attempt, counted from 1, for
// the next. The share, from 0 up to 1, spreads them by a fifth to both sides, so
// that all that a fault has kept waiting does not come back at one moment.
func Delay(attempt int32, share float64) time.Duration {
	d := longestDelay
	if shift := attempt - 1; shift < 9 { // 10s << 9 is more than an hour
		d = min(firstDelay<<max(shift, 0), longestDelay)
	}
	return time.Duration(float64(d) * (0.8 + 0.4*share))
}

// Outcome is what became of an attempt.
type Outcome struct {
	// Provider is who was asked.
	Provider string
	// Failure is unset when the provider took the message.
	Failure identityv1.Delivery_Failure
	// Delay is how long to wait for the next attempt, after one that failed.
	Delay time.Duration
}

// Settle takes down what became of a claimed message, and returns the state that
// it is in. Of one that another replica has claimed since, only that it was sent
// counts.
func (b *Book) Settle(tx *change.Tx, c Claimed, o Outcome) (identityv1.Delivery_State, error) {
	tx.Unchanged()
	rec, found, err := b.deliveries.Find(tx, key(c.Delivery.GetName()))
	if err != nil || !found {
		return failed, err // its account is gone for good
	}
	now, d := clone(rec)
	wasSent := o.Failure == identityv1.Delivery_FAILURE_UNSPECIFIED
	// One that was withdrawn meanwhile has gone all the same.
	open := d.GetState() == queued || d.GetState() == withdrawn && wasSent
	if !open || now.GetClaim() != c.claim && !wasSent {
		return d.GetState(), nil
	}
	d.Provider, d.Failure = o.Provider, o.Failure
	switch {
	case wasSent:
		d.SendTime = timestamppb.New(tx.Time)
		return sent, b.end(tx, now, sent)
	case o.Failure == identityv1.Delivery_FAILURE_REFUSED, int(d.GetAttemptCount()) >= b.cfg.Attempts:
		return failed, b.end(tx, now, failed)
	default:
		return queued, b.postpone(tx, now, tx.Time.Add(o.Delay))
	}
}

// Retry puts a FAILED delivery back into the outbox. Errors are NotFound
// (DELIVERY_NOT_FOUND), Conflict (ETAG_MISMATCH), and Precondition: ILLEGAL_STATE
// when it has not failed, DELIVERY_EXPIRED when it is of no use any more.
func (b *Book) Retry(tx *change.Tx, name, etag string) (*identityv1.Delivery, error) {
	rec, err := b.get(tx, name)
	if err != nil {
		return nil, err
	}
	if err := rec.CheckEtag(etag); err != nil {
		return nil, err
	}
	now, d := clone(rec)
	if d.GetState() != failed {
		return nil, illegalState("only a message that has failed can be sent again")
	}
	_, found, err := b.parcels.Find(tx, kv.Key{kv.String(name)})
	if err != nil {
		return nil, err
	}
	if !found || !tx.Time.Before(d.GetExpireTime().AsTime()) {
		return nil, errs.New(errs.Precondition, "DELIVERY_EXPIRED", "what the message says is of no use any more; make a new one, as by another invitation")
	}
	d.State, d.Failure, d.AttemptCount, d.NextAttemptTime = queued, 0, 0, timestamppb.New(tx.Time)
	if rec, err = b.deliveries.Update(tx, now, ""); err != nil {
		return nil, err
	}
	record(tx, d, false)
	return view(rec), nil
}

func illegalState(message string) error {
	return errs.New(errs.Precondition, "ILLEGAL_STATE", message)
}
