package review

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/people/shelf"
)

// Decide records what the reviewer says of an item. Errors are NotFound
// (ACCESS_REVIEW_ITEM_NOT_FOUND), Conflict (ETAG_MISMATCH), Precondition
// (ILLEGAL_STATE) and Denied (NOT_THE_REVIEWER, SELF_REVIEW).
func (s *Reviews) Decide(tx *change.Tx, name, etag string, by authn.Caller, d permissionv1.ReviewDecision, reason string) (*permissionv1.AccessReviewItem, error) {
	review, it, err := s.loadItem(tx, name, etag)
	if err != nil {
		return nil, err
	}
	if !mayReview(by, it) {
		return nil, errs.New(errs.Denied, "NOT_THE_REVIEWER", "the item is another reviewer's; have it reassigned")
	}
	if err := s.checkOwn(tx, review, it, by.Name); err != nil {
		return nil, err
	}
	was := proto.CloneOf(it)
	it.Decision, it.Reason, it.Decider, it.DecideTime = d, reason, by.Name, timestamppb.New(tx.Time)
	return s.saveItem(tx, was, it, itemDecided, "decision", "reason", "decider", "decide_time")
}

// Reassign gives an undecided item to another reviewer. Errors are those of
// Decide but for NOT_THE_REVIEWER, and Invalid (REVIEWER_INVALID).
func (s *Reviews) Reassign(tx *change.Tx, name, etag, reviewer string) (*permissionv1.AccessReviewItem, error) {
	if err := checkReviewer("reviewer", resource.Parent(reviewOf(name)), reviewer); err != nil {
		return nil, err
	}
	review, it, err := s.loadItem(tx, name, etag)
	if err != nil {
		return nil, err
	}
	if it.GetDecision() != 0 {
		return nil, errs.New(errs.Precondition, "ILLEGAL_STATE", "the item is decided; its reviewer may decide anew")
	}
	if err := s.checkOwn(tx, review, it, reviewer); err != nil {
		return nil, err
	}
	was := proto.CloneOf(it)
	it.Reviewer = reviewer
	return s.saveItem(tx, was, it, itemMoved, "reviewer")
}

// checkOwn returns Denied (SELF_REVIEW) when the grant is the account's own. It
// asks anew: an account may have joined the team since the item was assigned.
func (s *Reviews) checkOwn(r kv.Reader, review *permissionv1.AccessReview, it *permissionv1.AccessReviewItem, account string) error {
	d := &desk{s: s, r: r, review: review, teams: make(map[string]bool)}
	own, err := d.own(it.GetGrant(), account)
	if err != nil || !own {
		return err
	}
	return errs.New(errs.Denied, "SELF_REVIEW", "nobody reviews what they hold themselves, alone or in a team; have the item reassigned")
}

// loadItem returns an item of a review that is ACTIVE and whose time is not
// over.
func (s *Reviews) loadItem(tx *change.Tx, name, etag string) (*permissionv1.AccessReview, *permissionv1.AccessReviewItem, error) {
	rec, err := s.items.Get(tx, itemKey(name))
	if err != nil {
		return nil, nil, err
	}
	review, err := s.reviews.Get(tx, reviewOf(name))
	if err != nil {
		return nil, nil, err
	}
	if err := rec.CheckEtag(etag); err != nil {
		return nil, nil, err
	}
	state := review.GetState()
	if state == active && !tx.Time.Before(review.GetAutoCloseTime().AsTime()) {
		state = closing // the sweep is late
	}
	if state != active {
		return nil, nil, errs.New(errs.Precondition, "ILLEGAL_STATE",
			"items are decided while their review is ACTIVE; this one is "+Word(state), errs.Meta("state", Word(state)))
	}
	return review, proto.CloneOf(rec.Value), nil
}

func (s *Reviews) saveItem(tx *change.Tx, was, it *permissionv1.AccessReviewItem, kind string, fields ...string) (*permissionv1.AccessReviewItem, error) {
	rec, err := s.items.Update(tx, it, "")
	if err != nil {
		return nil, err
	}
	by := make(shift)
	by.gone(was)
	by.came(it)
	if err := s.shiftLoads(tx, reviewOf(it.GetName()), by); err != nil {
		return nil, err
	}
	data := &permissionv1.AccessReviewItemChanged{Grant: it.GetGrant().GetName()}
	if it.GetDecision() != 0 {
		data.Decision = DecisionWord(it.GetDecision())
	}
	tx.Record(change.Change{Resource: it.GetName(), Type: kind, Data: data, ChangedFields: fields})
	return shelf.Shown(rec), nil
}

// ListItems returns a page of a review's items, by name, and where the next one
// starts, nil at the end. of is a decision, an outcome, "UNDECIDED",
// "UNASSIGNED", or "" for all.
func (s *Reviews) ListItems(r kv.Reader, review, of string, after []byte, limit int) ([]*permissionv1.AccessReviewItem, []byte, error) {
	q := kv.Query{Prefix: kv.Key{kv.String(review)}, After: after, Limit: limit}
	if of != "" {
		q.Index, q.Prefix = byDimension, dimension(review, of)
	}
	return shelf.AllShown(s.items.List(r, q))
}

// Inbox returns a page of what an account has to decide in active reviews. It
// may be short, or empty with a next one.
func (s *Reviews) Inbox(r kv.Reader, account string, after []byte, limit int) ([]*permissionv1.AccessReviewItem, []byte, error) {
	page, err := s.items.List(r, kv.Query{Index: byReviewer, Prefix: kv.Key{kv.String(account)}, After: after, Limit: limit})
	if err != nil {
		return nil, nil, err
	}
	open := make(map[string]bool)
	var out []*permissionv1.AccessReviewItem
	for _, rec := range page.Records {
		name := reviewOf(rec.Value.GetName())
		if _, known := open[name]; !known {
			review, err := s.reviews.Get(r, name)
			if err != nil {
				return nil, nil, err
			}
			open[name] = review.GetState() == active
		}
		if open[name] {
			out = append(out, shelf.Shown(rec))
		}
	}
	return out, page.Next, nil
}
