package review

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/grant"
)

// CloseChunk is how many items one transaction of a closing review carries out.
const CloseChunk = 1000

// Short names of the outcomes and decisions.
const (
	keep   = permissionv1.ReviewDecision_REVIEW_DECISION_KEEP
	revoke = permissionv1.ReviewDecision_REVIEW_DECISION_REVOKE

	kept    = permissionv1.AccessReviewItem_OUTCOME_KEPT
	revoked = permissionv1.AccessReviewItem_OUTCOME_REVOKED
	skipped = permissionv1.AccessReviewItem_OUTCOME_SKIPPED
	failed  = permissionv1.AccessReviewItem_OUTCOME_FAILED
)

// beginClosing freezes the decisions and carries out the first chunk.
func (s *Reviews) beginClosing(tx *change.Tx, v *permissionv1.AccessReview, by string) (*permissionv1.AccessReview, error) {
	v.Closer = by
	if err := s.enter(tx, v, closing); err != nil {
		return nil, err
	}
	return s.carryOut(tx, v)
}

// carryOut carries out a chunk, and closes the review with the last. A page of
// large items is shorter than asked for, so it takes pages until the chunk is
// full.
func (s *Reviews) carryOut(tx *change.Tx, v *permissionv1.AccessReview) (*permissionv1.AccessReview, error) {
	by := make(shift)
	for done := 0; done < CloseChunk; {
		page, err := s.items.List(tx, kv.Query{Index: byDimension, Prefix: dimension(v.GetName(), pending), Limit: CloseChunk - done})
		if err != nil {
			return nil, err
		}
		for _, rec := range page.Records {
			by.gone(rec.Value)
			if err := s.settle(tx, v, proto.CloneOf(rec.Value)); err != nil {
				return nil, err
			}
		}
		done += len(page.Records)
		if page.Next != nil {
			continue
		}
		v.EndTime = timestamppb.New(tx.Time)
		if err := s.enter(tx, v, closed); err != nil {
			return nil, err
		}
		break
	}
	if err := s.shiftLoads(tx, v.GetName(), by); err != nil {
		return nil, err
	}
	return s.Get(tx, v.GetName())
}

// settle carries out one item, with the default decision if it has none.
func (s *Reviews) settle(tx *change.Tx, v *permissionv1.AccessReview, it *permissionv1.AccessReviewItem) error {
	if it.GetDecision() == 0 {
		it.Decision, it.Decider, it.DecideTime = v.GetDefaultDecision(), service, timestamppb.New(tx.Time)
		tx.Record(change.Change{
			Resource: it.GetName(), Type: itemDecided, ChangedFields: []string{"decision"},
			Data: &permissionv1.AccessReviewItemChanged{Grant: it.GetGrant().GetName(), Decision: DecisionWord(it.GetDecision())},
		})
	}
	if err := s.effect(tx, it); err != nil {
		return err
	}
	_, err := s.items.Update(tx, it, "")
	return err
}

// effect carries out one decision and notes what came of it. The rules of
// revocations hold: what they keep is FAILED with their reason.
func (s *Reviews) effect(tx *change.Tx, it *permissionv1.AccessReviewItem) error {
	if it.GetDecision() == keep {
		it.Outcome = kept
		return nil
	}
	name := it.GetGrant().GetName()
	now, err := s.Grants.Get(tx, name)
	switch {
	case errs.Is(err, errs.NotFound):
		it.Outcome, it.OutcomeReason = skipped, "GRANT_NOT_FOUND"
		return nil
	case err != nil:
		return err
	case now.GetEtag() != it.GetGrant().GetEtag():
		it.Outcome, it.OutcomeReason = skipped, "GRANT_CHANGED"
		return nil
	}
	gone, v, err := s.Grants.Delete(tx, tx.Time, name, "")
	if errs.Is(err, errs.Precondition) {
		it.Outcome, it.OutcomeReason = failed, errs.ReasonOf(err)
		return nil
	}
	if err != nil {
		return err
	}
	it.Outcome = revoked
	grant.Effect{Before: gone, Revision: v}.Record(tx)
	return nil
}
