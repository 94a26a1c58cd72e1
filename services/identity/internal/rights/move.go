package rights

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// Verify says how it is known that the customer asks; an unspecified proof, that it
// is not known yet. To say the same again changes nothing. Errors are those of
// every move, NotFound (DATA_SUBJECT_REQUEST_NOT_FOUND), Conflict (ETAG_MISMATCH)
// and Precondition (DATA_SUBJECT_REQUEST_ENDED), and Precondition: ILLEGAL_STATE, it
// is known already; SELF_FORBIDDEN, an erasure is written down by one and verified by
// another, since nobody can undo it. It reports whether it is known from now on.
func (b *Book) Verify(tx *change.Tx, name, etag string, proof identityv1.DataSubjectRequest_Proof, verifier string) (q *identityv1.DataSubjectRequest, confirmed bool, err error) {
	policy, err := b.Policies.Of(tx, resource.Parent(CustomerOf(name)))
	if err != nil {
		return nil, false, err
	}
	past := "verified"
	if proof == 0 {
		past = "identity_asked"
	}
	q, err = b.move(tx, name, etag, past, func(q *identityv1.DataSubjectRequest) error {
		if err := checkOpen(q); err != nil {
			return err
		}
		switch {
		case q.GetProof() != 0 && q.GetProof() == proof:
			return nil
		case q.GetProof() != 0:
			return illegal("it is known already that the customer asks")
		case proof == 0:
			q.State = checking
		case q.GetKind() == erase && q.GetCreator() == verifier:
			return errs.New(errs.Precondition, "SELF_FORBIDDEN", "nobody verifies an erasure that they wrote down themselves: ask another to do it")
		default:
			confirm(q, policy, proof, tx.Time)
			q.Verifier, confirmed = verifier, true
		}
		return nil
	})
	return q, confirmed, err
}

// confirm keeps that it is known who asks: work begins, and of an erasure the time
// to think it over.
func confirm(q *identityv1.DataSubjectRequest, policy *identityv1.DataSubjectPolicy, proof identityv1.DataSubjectRequest_Proof, now time.Time) {
	q.State, q.Proof = inProgress, proof
	switch q.GetKind() {
	case erase:
		q.Erasure = &identityv1.DataSubjectRequest_Erasure{EraseTime: timestamppb.New(now.Add(policy.GetGracePeriod().AsDuration()))}
	case access:
		q.Access = &identityv1.DataSubjectRequest_Access{}
	}
}

// Extend puts off when the answer is due, once. Errors are those of every move, and
// Precondition (ILLEGAL_STATE, DATA_SUBJECT_REQUEST_OVERDUE).
func (b *Book) Extend(tx *change.Tx, name, etag, reason string) (*identityv1.DataSubjectRequest, error) {
	policy, err := b.Policies.Of(tx, resource.Parent(CustomerOf(name)))
	if err != nil {
		return nil, err
	}
	return b.move(tx, name, etag, "extended", func(q *identityv1.DataSubjectRequest) error {
		if err := checkOpen(q); err != nil {
			return err
		}
		if q.GetState() != inProgress {
			return illegal("only a request in progress can be extended, and once")
		}
		if q.GetDueTime().AsTime().Before(tx.Time) {
			return errs.New(errs.Precondition, "DATA_SUBJECT_REQUEST_OVERDUE", "the answer was due before; the law allows more time only ahead of that")
		}
		q.State, q.ExtensionReason = extended, reason
		q.DueTime = timestamppb.New(later(q, policy))
		return nil
	})
}

// Refuse ends a request with a reason. Errors are those of every move, and
// Precondition (ERASURE_BEGUN).
func (b *Book) Refuse(tx *change.Tx, name, etag string, why identityv1.DataSubjectRequest_Refusal, answer string) (*identityv1.DataSubjectRequest, error) {
	return b.move(tx, name, etag, "refused", func(q *identityv1.DataSubjectRequest) error {
		q.Refusal, q.Answer = why, answer
		return end(q, refused, tx.Time)
	})
}

// Withdraw ends a request that nobody makes any more. Errors are those of every
// move, and Precondition (ERASURE_BEGUN).
func (b *Book) Withdraw(tx *change.Tx, name, etag string) (*identityv1.DataSubjectRequest, error) {
	return b.move(tx, name, etag, "withdrawn", func(q *identityv1.DataSubjectRequest) error {
		if q.GetState() == withdrawn {
			return nil
		}
		return end(q, withdrawn, tx.Time)
	})
}

// Fulfil ends a request that is no erasure. Errors are those of every move, and
// Precondition (ERASURE_FULFILS_ITSELF, ILLEGAL_STATE).
func (b *Book) Fulfil(tx *change.Tx, name, etag, answer string) (*identityv1.DataSubjectRequest, error) {
	return b.move(tx, name, etag, "fulfilled", func(q *identityv1.DataSubjectRequest) error {
		if err := checkOpen(q); err != nil {
			return err
		}
		if q.GetKind() == erase {
			return errs.New(errs.Precondition, "ERASURE_FULFILS_ITSELF", "the suite erases the customer when the time to withdraw is over, and says so itself")
		}
		if q.GetProof() == 0 {
			return illegal("verify first that the customer asks")
		}
		q.Answer = answer
		return end(q, fulfilled, tx.Time)
	})
}

// end ends a request. Errors are Precondition (DATA_SUBJECT_REQUEST_ENDED,
// ERASURE_BEGUN).
func end(q *identityv1.DataSubjectRequest, state identityv1.DataSubjectRequest_State, now time.Time) error {
	if err := checkOpen(q); err != nil {
		return err
	}
	q.State, q.EndTime = state, timestamppb.New(now)
	return nil
}

// checkOpen refuses what has ended, and an erasure that has begun.
func checkOpen(q *identityv1.DataSubjectRequest) error {
	switch {
	case !open(q):
		return errs.New(errs.Precondition, "DATA_SUBJECT_REQUEST_ENDED", "the request has ended", errs.Meta("state", stateName(q.GetState())))
	case begun(q):
		return errs.New(errs.Precondition, "ERASURE_BEGUN", "the erasure has begun, and cannot be stopped")
	}
	return nil
}

func illegal(text string) error { return errs.New(errs.Precondition, "ILLEGAL_STATE", text) }
