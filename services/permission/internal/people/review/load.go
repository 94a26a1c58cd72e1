package review

import (
	"maps"
	"slices"

	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/permission/store/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// Loads are how much each reviewer of a review has to decide. They are kept with
// each write of items, so that reminders and the metric of what is overdue, which
// a sweep looks at every few seconds, read a record for each reviewer and not one
// for each item. Two reviewers' decisions do not get into each other's way.

func newLoads() *kv.Table[*storev1.ReviewLoad] {
	return kv.NewTable(kv.TableConfig[*storev1.ReviewLoad]{
		Name: "access_review_loads",
		Key:  func(v *storev1.ReviewLoad) kv.Key { return loadKey(v.GetReview(), v.GetReviewer()) },
	})
}

func loadKey(review, reviewer string) kv.Key {
	return kv.Key{kv.String(review), kv.String(reviewer)}
}

// loadsOf returns the loads of a review that are not zero, by reviewer; that of ""
// is what is assigned to nobody.
func (s *Reviews) loadsOf(r kv.Reader, review string) (loads []*storev1.ReviewLoad, err error) {
	for rec, err := range s.loads.Scan(r, kv.Query{Prefix: kv.Key{kv.String(review)}}) {
		if err != nil {
			return nil, err
		}
		loads = append(loads, rec.Value)
	}
	return loads, nil
}

// shift is by how much one transaction changes the loads of a review, by reviewer.
type shift map[string]int32

// gone notes that an item is no longer what it was, came that it is so now.
func (d shift) gone(it *permissionv1.AccessReviewItem) { d.add(it, -1) }
func (d shift) came(it *permissionv1.AccessReviewItem) { d.add(it, +1) }

func (d shift) add(it *permissionv1.AccessReviewItem, n int32) {
	if it.GetDecision() == 0 {
		d[it.GetReviewer()] += n
	}
}

// shiftLoads changes the loads of a review.
func (s *Reviews) shiftLoads(tx kv.Tx, review string, by shift) error {
	for _, reviewer := range slices.Sorted(maps.Keys(by)) {
		if by[reviewer] == 0 {
			continue
		}
		rec, found, err := s.loads.Find(tx, loadKey(review, reviewer))
		if err != nil {
			return err
		}
		open := max(rec.Value.GetOpenItems()+by[reviewer], 0)
		switch {
		case open > 0:
			_, err = s.loads.Put(tx, &storev1.ReviewLoad{Review: review, Reviewer: reviewer, OpenItems: open}, "")
		case found:
			_, err = s.loads.Delete(tx, loadKey(review, reviewer), "")
		}
		if err != nil {
			return err
		}
	}
	return nil
}
