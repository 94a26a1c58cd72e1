package rights

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/revise"
)

// Collecting reports whether it is known who asks to see what is kept, and it is not
// all put together.
func Collecting(q *identityv1.DataSubjectRequest) bool {
	return open(q) && q.GetAccess() != nil && q.GetAccess().GetReadyTime() == nil
}

// ToCollect returns the names of requests that are Collecting, the oldest first,
// at most limit, and where to go on behind them, nil at the end.
func (b *Book) ToCollect(r kv.Reader, after []byte, limit int) (names []string, next []byte, err error) {
	return b.names(r, byAccess, after, limit)
}

func (b *Book) names(r kv.Reader, index string, after []byte, limit int) (names []string, next []byte, err error) {
	page, err := b.requests.List(r, kv.Query{Index: index, After: after, Limit: limit})
	return revise.Names(page.Values()), page.Next, err
}

// Collected keeps that all is put together that there is of the customer, and until
// when it can be had. A request of the customer's own ends with it.
func (b *Book) Collected(tx *change.Tx, name string, parts []*identityv1.DataSubjectRequest_Access_Part, until time.Time) error {
	_, err := b.move(tx, name, "", "collected", func(q *identityv1.DataSubjectRequest) error {
		if !Collecting(q) {
			return nil
		}
		q.Access = &identityv1.DataSubjectRequest_Access{
			ReadyTime: timestamppb.New(tx.Time), ExpireTime: timestamppb.New(until), Parts: parts,
		}
		if q.GetCreator() == CustomerOf(name) {
			q.State, q.EndTime = fulfilled, timestamppb.New(tx.Time)
		}
		return nil
	})
	return err
}

// CheckReady refuses to give out what a request has not brought together, or what has
// gone since. Errors are Precondition: SUBJECT_DATA_NOT_READY, SUBJECT_DATA_EXPIRED.
func CheckReady(q *identityv1.DataSubjectRequest, now time.Time) error {
	switch {
	case q.GetState() == refused || q.GetState() == withdrawn:
		return Expired()
	case q.GetAccess().GetReadyTime() == nil:
		return errs.New(errs.Precondition, "SUBJECT_DATA_NOT_READY",
			"the request has brought nothing together; it is one of kind ACCESS whose access.ready_time is set that has")
	case !now.Before(q.GetAccess().GetExpireTime().AsTime()):
		return Expired()
	}
	return nil
}

// Expired is the error that what was put together has gone.
func Expired() error {
	return errs.New(errs.Precondition, "SUBJECT_DATA_EXPIRED", "what was put together has gone; make a new request to see it as it is now")
}
