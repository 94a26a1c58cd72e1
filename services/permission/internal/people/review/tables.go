package review

import (
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/permission/store/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/people/shelf"
)

// Types of the events of reviews.
const (
	reminderDue = "guildhall.permission.access_review.reminder_due.v1"
	itemDecided = "guildhall.permission.access_review_item.decided.v1"
	itemMoved   = "guildhall.permission.access_review_item.reassigned.v1"
)

// Indexes.
//
//	access_reviews                     organisation, id -> AccessReview (without etag)
//	access_reviews__state              organisation, state or "", create time
//	access_reviews__due                when there is something to do
//	access_review_items                review, grant's id -> AccessReviewItem
//	access_review_items__subject       review, the grant's subject
//	access_review_items__reviewer      reviewer: what it has to decide
//	access_review_items__dimension     review, "undecided", "KEEP", "FAILED" …
//	access_review_loads                review, reviewer or "" -> ReviewLoad: undecided items
//	access_review_snapshots            review -> ReviewSnapshot, while STARTING
const (
	byState     = "state"
	byDue       = "due"
	bySubject   = "subject"
	byReviewer  = "reviewer"
	byDimension = "dimension"
)

// Dimensions that are no decision and no outcome.
const (
	undecided  = "UNDECIDED"
	unassigned = "UNASSIGNED"
	pending    = "PENDING" // without an outcome
)

// New returns the reviews that the store holds.
func New(cfg Config) *Reviews {
	return &Reviews{Config: cfg,
		reviews: shelf.New(shelf.Config[*permissionv1.AccessReview]{
			Noun: "access_review", Table: "access_reviews", Names: []resource.Pattern{Pattern},
			Data: func(v *permissionv1.AccessReview) proto.Message {
				return &permissionv1.AccessReviewChanged{To: Word(v.GetState())}
			},
			Indexes: []kv.Index[*permissionv1.AccessReview]{
				{Name: byState, Keys: func(v *permissionv1.AccessReview) []kv.Key {
					organization, at := kv.String(resource.Parent(v.GetName())), kv.Time(v.GetCreateTime().AsTime())
					return []kv.Key{{organization, kv.String(""), at}, {organization, kv.String(Word(v.GetState())), at}}
				}},
				{Name: byDue, Keys: func(v *permissionv1.AccessReview) []kv.Key {
					if at, ok := dueTime(v); ok {
						return []kv.Key{{kv.Time(at)}}
					}
					return nil
				}},
			},
		}),
		items: kv.NewTable(kv.TableConfig[*permissionv1.AccessReviewItem]{
			Name: "access_review_items", Key: func(v *permissionv1.AccessReviewItem) kv.Key { return itemKey(v.GetName()) },
			NotFound: "ACCESS_REVIEW_ITEM_NOT_FOUND",
			Indexes: []kv.Index[*permissionv1.AccessReviewItem]{
				{Name: bySubject, Keys: func(v *permissionv1.AccessReviewItem) []kv.Key {
					return []kv.Key{{kv.String(reviewOf(v.GetName())), kv.String(v.GetGrant().GetSubject())}}
				}},
				{Name: byReviewer, Keys: func(v *permissionv1.AccessReviewItem) []kv.Key {
					if v.GetDecision() != 0 || v.GetReviewer() == "" {
						return nil
					}
					return []kv.Key{{kv.String(v.GetReviewer()), kv.String(v.GetName())}}
				}},
				{Name: byDimension, Keys: dimensionKeys},
			},
		}),
		loads: newLoads(),
		snapshots: kv.NewTable(kv.TableConfig[*storev1.ReviewSnapshot]{
			Name: "access_review_snapshots", Key: func(v *storev1.ReviewSnapshot) kv.Key { return keyOf(v.GetReview()) },
		}),
	}
}

// Tables returns the raw tables of this package, for kv.Options.
func (s *Reviews) Tables() []string {
	return slices.Concat(s.reviews.Tables(), s.items.Tables(), s.loads.Tables(), s.snapshots.Tables())
}

// dueTime returns when the service has something to do for the review by
// itself.
func dueTime(v *permissionv1.AccessReview) (time.Time, bool) {
	switch v.GetState() {
	case starting, closing:
		return time.Time{}, true // now
	case active:
		at := v.GetAutoCloseTime().AsTime()
		if next := v.GetNextReminderTime(); next != nil && next.AsTime().Before(at) {
			at = next.AsTime()
		}
		return at, true
	default:
		return time.Time{}, false
	}
}

func dimensionKeys(v *permissionv1.AccessReviewItem) []kv.Key {
	of := []string{undecided, pending}
	if v.GetDecision() != 0 {
		of[0] = DecisionWord(v.GetDecision())
	}
	if v.GetOutcome() != 0 {
		of[1] = OutcomeWord(v.GetOutcome())
	}
	if v.GetReviewer() == "" {
		of = append(of, unassigned)
	}
	keys := make([]kv.Key, len(of))
	for i, d := range of {
		keys[i] = dimension(reviewOf(v.GetName()), d)
	}
	return keys
}

func dimension(review, of string) kv.Key { return kv.Key{kv.String(review), kv.String(of)} }

func keyOf(name string) kv.Key { return kv.Key{kv.String(name)} }

func itemKey(name string) kv.Key {
	return kv.Key{kv.String(reviewOf(name)), kv.String(name[strings.LastIndexByte(name, '/')+1:])}
}

func reviewOf(item string) string { return resource.Parent(item) }

// Word returns a state as events and filters spell it.
func Word(state permissionv1.AccessReview_State) string {
	return strings.TrimPrefix(state.String(), "STATE_")
}

// DecisionWord returns a decision as events and filters spell it.
func DecisionWord(d permissionv1.ReviewDecision) string {
	return strings.TrimPrefix(d.String(), "REVIEW_DECISION_")
}

// OutcomeWord returns an outcome as filters spell it.
func OutcomeWord(o permissionv1.AccessReviewItem_Outcome) string {
	return strings.TrimPrefix(o.String(), "OUTCOME_")
}
