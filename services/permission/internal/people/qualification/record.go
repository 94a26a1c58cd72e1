package qualification

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/move"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/people/shelf"
	"guildhall.dev/services/permission/internal/subject"
)

const (
	assigned = permissionv1.TrainingRecord_STATE_ASSIGNED
	passed   = permissionv1.TrainingRecord_STATE_PASSED
	failed   = permissionv1.TrainingRecord_STATE_FAILED
	expired  = permissionv1.TrainingRecord_STATE_EXPIRED
	revoked  = permissionv1.TrainingRecord_STATE_REVOKED
)

// Result is the word of an assessor on a record.
type Result struct {
	Name, Etag string
	// Assessor is who says it, and Evidence what it rests on.
	Assessor, Evidence string
}

// Assign gives an account a course to take. Reasons: TRAINING_RECORD_EXISTS,
// COURSE_NOT_FOUND.
func (q *Qualifications) Assign(tx *change.Tx, account, id, creator string, in *permissionv1.TrainingRecord) (*permissionv1.TrainingRecord, error) {
	return q.records.Create(tx, account, id, in, func(v *permissionv1.TrainingRecord) error {
		v.State, v.Creator = assigned, creator
		_, err := q.checkCourse(tx, subject.OrganizationOf(account), v.GetCourse())
		return err
	})
}

// GetRecord returns a record as it stands at a time. Reasons:
// TRAINING_RECORD_NOT_FOUND.
func (q *Qualifications) GetRecord(r kv.Reader, now time.Time, name string) (*permissionv1.TrainingRecord, error) {
	v, err := q.records.Get(r, name)
	if err != nil {
		return nil, err
	}
	return standing(v, now), nil
}

// ListRecords returns a page of the records of an account, or with "-" for its
// last segment of all accounts of the kind, newest first. A course of "" is
// any; with one, the parent is an account.
func (q *Qualifications) ListRecords(r kv.Reader, now time.Time, parent, course string, after []byte, limit int) ([]*permissionv1.TrainingRecord, []byte, error) {
	query := kv.Query{Index: byTime, Prefix: kv.Key{kv.String(parent)}}
	kind, all := strings.CutSuffix(parent, "/-")
	switch {
	case all && course != "":
		return nil, nil, errs.InvalidField("filter", "FILTER_INVALID", "a course selects within the records of one account")
	case all:
		query.Prefix = kv.Key{kv.String(kind)}
	case !subject.IsAccount(parent):
		return nil, nil, errs.InvalidField("parent", "RESOURCE_NAME_INVALID", "name an account, or - for all of a kind")
	case course != "":
		query.Index, query.Prefix = byCourse, query.Prefix.With(kv.String(course))
	}
	query.Reverse = true
	found, next, err := q.records.List(r, shelf.Page(query, after, limit))
	for i, v := range found {
		found[i] = standing(v, now)
	}
	return found, next, err
}

// Pass makes a record a certificate. Reasons: TRAINING_RECORD_NOT_FOUND,
// ETAG_MISMATCH, ILLEGAL_STATE, ASSESSOR_IS_TRAINEE, COURSE_NOT_FOUND.
func (q *Qualifications) Pass(tx *change.Tx, in Result) (*permissionv1.TrainingRecord, error) {
	return q.move(tx, in, "passed", []permissionv1.TrainingRecord_State{assigned}, func(v *permissionv1.TrainingRecord) error {
		c, err := q.checkCourse(tx, subject.OrganizationOf(v.GetName()), v.GetCourse())
		if err != nil {
			return err
		}
		// Whole seconds, which is what a check compares.
		ends := tx.Time.Add(c.GetValidityPeriod().AsDuration()).Truncate(time.Second)
		v.State, v.Attempts = passed, v.GetAttempts()+1
		v.Assessor, v.Evidence = in.Assessor, in.Evidence
		v.PassTime, v.ExpireTime = timestamppb.New(tx.Time), timestamppb.New(ends)
		v.RenewTime = timestamppb.New(ends.Add(-c.GetRenewalLead().AsDuration()))
		return nil
	})
}

// Fail records that it was not passed. Reasons as for Pass.
func (q *Qualifications) Fail(tx *change.Tx, in Result) (*permissionv1.TrainingRecord, error) {
	return q.move(tx, in, "failed", []permissionv1.TrainingRecord_State{assigned}, func(v *permissionv1.TrainingRecord) error {
		v.State, v.Attempts = failed, v.GetAttempts()+1
		v.Assessor, v.Evidence = in.Assessor, in.Evidence
		return nil
	})
}

// Revoke takes a certificate back. Reasons as for Pass.
func (q *Qualifications) Revoke(tx *change.Tx, in Result) (*permissionv1.TrainingRecord, error) {
	return q.move(tx, in, "revoked", []permissionv1.TrainingRecord_State{passed}, func(v *permissionv1.TrainingRecord) error {
		v.State = revoked
		v.Assessor, v.Evidence = in.Assessor, in.Evidence
		return nil
	})
}

// Retake assigns a failed or expired course again. Reasons as for Pass, but for
// the assessor.
func (q *Qualifications) Retake(tx *change.Tx, name, etag string) (*permissionv1.TrainingRecord, error) {
	in := Result{Name: name, Etag: etag}
	return q.move(tx, in, "reassigned", []permissionv1.TrainingRecord_State{failed, expired}, func(v *permissionv1.TrainingRecord) error {
		v.State, v.Assessor, v.Evidence = assigned, "", ""
		v.PassTime, v.ExpireTime, v.RenewTime, v.RenewalNoticeTime = nil, nil, nil, nil
		return nil
	})
}

// move changes a record that is in one of the states at the time of the change.
func (q *Qualifications) move(tx *change.Tx, in Result, past string, from []permissionv1.TrainingRecord_State, apply func(*permissionv1.TrainingRecord) error) (*permissionv1.TrainingRecord, error) {
	v, err := q.records.Move(tx, in.Name, in.Etag, past, func(v *permissionv1.TrainingRecord) error {
		if in.Assessor != "" && in.Assessor == accountOf(v) {
			return errs.New(errs.Denied, "ASSESSOR_IS_TRAINEE", "nobody confirms their own training; ask somebody else to")
		}
		if state := standing(v, tx.Time).GetState(); !slices.Contains(from, state) {
			return illegal("a training record", strings.TrimPrefix(state.String(), "STATE_"))
		}
		return apply(v)
	})
	if err != nil {
		return nil, err
	}
	return v, touchAccount(tx, accountOf(v))
}

func illegal(what, state string) error {
	return errs.New(errs.Precondition, "ILLEGAL_STATE",
		fmt.Sprintf("%s in state %s cannot be moved so", what, state), errs.Meta("state", state))
}

// standing returns the record as it stands at a time: a certificate whose time
// is over has expired, whether or not that was written down.
func standing(v *permissionv1.TrainingRecord, now time.Time) *permissionv1.TrainingRecord {
	if v.GetState() == passed && now.Unix() >= v.GetExpireTime().GetSeconds() {
		v.State = expired
	}
	return v
}

// Certificate is a valid certificate.
type Certificate struct {
	Course string
	// Expires is the Unix second from which it is none.
	Expires int64
}

// Certificates returns the certificates of an account, also those that have
// ended and were not swept: whoever uses one compares the time.
func (q *Qualifications) Certificates(r kv.Reader, account string) (out []Certificate, err error) {
	for rec, err := range q.records.Scan(r, shelf.Below(account)) {
		if err != nil {
			return nil, err
		}
		if rec.Value.GetState() == passed {
			out = append(out, Certificate{Course: rec.Value.GetCourse(), Expires: rec.Value.GetExpireTime().GetSeconds()})
		}
	}
	return out, nil
}

// Moved is what becomes of the records of an account that is merged into another one:
// the same person was trained. Certificates count for that one from then on; they
// give nothing by themselves, since what needs one also needs a grant.
func (q *Qualifications) Moved() move.Kind {
	return q.records.Moved(shelf.Moving[*permissionv1.TrainingRecord]{
		Places: func(v *permissionv1.TrainingRecord) []move.Place {
			return []move.Place{{Path: "creator", At: &v.Creator}}
		},
		Moved: func(tx *change.Tx, to, from string) error {
			return cmp.Or(touchAccount(tx, to), touchAccount(tx, from))
		},
	})
}

// Forget deletes the records of an account that is gone for good: whoever has
// the name later was trained in nothing.
func (q *Qualifications) Forget(tx *change.Tx, gone string) error {
	found := false
	for rec, err := range q.records.Scan(tx, shelf.Below(gone)) {
		if err != nil {
			return err
		}
		if _, err := q.records.Delete(tx, rec.Value.GetName(), "", nil); err != nil {
			return err
		}
		found = true
	}
	if !found {
		return nil
	}
	return touchAccount(tx, gone)
}
