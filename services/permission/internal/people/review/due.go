package review

import (
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// Due returns up to limit reviews for which Advance has something to do.
func (s *Reviews) Due(r kv.Reader, now time.Time, limit int) ([]string, error) {
	page, err := s.reviews.List(r, kv.Query{Index: byDue, Until: kv.Key{kv.Time(now.Add(1))}, Limit: limit})
	if err != nil {
		return nil, err
	}
	names := make([]string, len(page.Records))
	for i, rec := range page.Records {
		names[i] = rec.Value.GetName()
	}
	return names, nil
}

func reminderOf(v *permissionv1.AccessReview) time.Duration {
	if d := v.GetReminderInterval(); d != nil {
		return d.AsDuration()
	}
	return defaultReminder
}

// remind makes an event for each reviewer who has something to decide.
func (s *Reviews) remind(tx *change.Tx, v *permissionv1.AccessReview) error {
	waiting := make(map[string]int32)
	for rec, err := range s.items.Scan(tx, kv.Query{Index: byDimension, Prefix: dimension(v.GetName(), undecided)}) {
		if err != nil {
			return err
		}
		if name := rec.Value.GetReviewer(); name != "" {
			waiting[name]++
		}
	}
	v.NextReminderTime = timestamppb.New(tx.Time.Add(reminderOf(v)))
	if _, err := s.reviews.Update(tx, v, ""); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(waiting)) {
		tx.Record(change.Change{
			Resource: v.GetName(), Type: reminderDue, Covered: true,
			Data: &permissionv1.AccessReviewReminder{Reviewer: name, OpenItems: waiting[name], Overdue: overdue(v, tx.Time)},
		})
	}
	return nil
}

// overdue reports whether what is undecided should have been decided.
func overdue(v *permissionv1.AccessReview, now time.Time) bool {
	return v.GetState() == active && !now.Before(v.GetDueTime().AsTime())
}

// Summarize counts the items of a review. It reads all of them.
func (s *Reviews) Summarize(r kv.Reader, name string, now time.Time) (*permissionv1.SummarizeAccessReviewResponse, error) {
	review, err := s.reviews.Get(r, keyOf(name))
	if err != nil {
		return nil, err
	}
	out := &permissionv1.SummarizeAccessReviewResponse{}
	for rec, err := range s.items.Scan(r, kv.Query{Prefix: kv.Key{kv.String(name)}}) {
		if err != nil {
			return nil, err
		}
		count(out, rec.Value)
	}
	if overdue(review.Value, now) {
		out.Overdue = out.GetUndecided()
	}
	if decided := out.GetKeep() + out.GetRevoke(); decided > 0 {
		out.RevokedShare = float64(out.GetRevoke()) / float64(decided)
	}
	return out, nil
}

func count(out *permissionv1.SummarizeAccessReviewResponse, it *permissionv1.AccessReviewItem) {
	out.Items++
	switch it.GetDecision() {
	case keep:
		out.Keep++
	case revoke:
		out.Revoke++
	default:
		out.Undecided++
	}
	if it.GetReviewer() == "" {
		out.Unassigned++
	}
	switch it.GetOutcome() {
	case revoked:
		out.Revoked++
	case skipped:
		out.Skipped++
	case failed:
		out.Failed++
	}
}

// Overdue counts the overdue items of all organisations' active reviews, for a
// metric.
func (s *Reviews) Overdue(r kv.Reader, now time.Time) (items int64, err error) {
	for rec, err := range s.reviews.Scan(r, kv.Query{Index: byDue}) {
		if err != nil {
			return 0, err
		}
		if !overdue(rec.Value, now) {
			continue
		}
		for _, err := range s.items.Scan(r, kv.Query{Index: byDimension, Prefix: dimension(rec.Value.GetName(), undecided)}) {
			if err != nil {
				return 0, err
			}
			items++
		}
	}
	return items, nil
}
