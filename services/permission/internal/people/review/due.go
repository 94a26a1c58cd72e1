package review

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/metric"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/sweep"
)

// Job takes reviews as far as they go by themselves.
func (s *Reviews) Job() sweep.Job {
	return sweep.Job{
		Action: "permission.accessReviews.advance", Due: s.reviews.Due(byDue),
		Do: s.Advance, Look: s.lookOverdue,
	}
}

func reminderOf(v *permissionv1.AccessReview) time.Duration {
	if d := v.GetReminderInterval(); d != nil {
		return d.AsDuration()
	}
	return defaultReminder
}

// remind makes an event for each reviewer who has something to decide.
func (s *Reviews) remind(tx *change.Tx, v *permissionv1.AccessReview) error {
	waiting, err := s.loadsOf(tx, v.GetName())
	if err != nil {
		return err
	}
	v.NextReminderTime = timestamppb.New(tx.Time.Add(reminderOf(v)))
	if _, err := s.reviews.Put(tx, v); err != nil {
		return err
	}
	for _, l := range waiting {
		if l.GetReviewer() == "" {
			continue // nobody is to be reminded
		}
		tx.Record(change.Change{
			Resource: v.GetName(), Type: reminderDue, Covered: true,
			Data: &permissionv1.AccessReviewReminder{Reviewer: l.GetReviewer(), OpenItems: l.GetOpenItems(), Overdue: overdue(v, tx.Time)},
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
	review, err := s.reviews.Get(r, name)
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
	if overdue(review, now) {
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

// lookOverdue counts the overdue items of all organisations' active reviews, for
// the metric.
func (s *Reviews) lookOverdue(r kv.Reader, now time.Time) error {
	var items int64
	for rec, err := range s.reviews.Scan(r, kv.Query{Index: byDue}) {
		if err != nil {
			return err
		}
		if !overdue(rec.Value, now) {
			continue
		}
		loads, err := s.loadsOf(r, rec.Value.GetName())
		if err != nil {
			return err
		}
		for _, l := range loads {
			items += int64(l.GetOpenItems())
		}
	}
	s.overdue.Store(items)
	return nil
}

// Measure makes the metric of overdue items; meter may be nil.
func (s *Reviews) Measure(meter metric.Meter) error {
	if meter == nil {
		return nil
	}
	_, err := meter.Int64ObservableGauge("guildhall.permission.reviews.overdue",
		metric.WithDescription("Items of active access reviews that nobody decided about in time."),
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(s.overdue.Load())
			return nil
		}))
	if err != nil {
		return fmt.Errorf("metric of reviews: %w", err)
	}
	return nil
}
