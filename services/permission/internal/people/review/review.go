// Package review holds the rules of access reviews: campaigns in which people
// look at who holds what, and keep or revoke it.
//
//	DRAFT --start--> STARTING --the snapshot is complete--> ACTIVE
//	ACTIVE --close, or its time--> CLOSING --all is carried out--> CLOSED
//	DRAFT, STARTING, ACTIVE --cancel--> CANCELLED
//
//	an item:  undecided --decide--> KEEP or REVOKE --(again while ACTIVE)
//	          undecided --the review's time--> the default decision
//	          KEEP --> KEPT      REVOKE --> REVOKED, SKIPPED or FAILED
//
// # One revision
//
// The items are the grants as they were at one revision. A small organisation
// is read in the transaction that starts the review. A large one is read in
// chunks, each a transaction of its own, while grants go on changing; then the
// change log says whose grants changed since the reading began, and theirs are
// read again, until a transaction finds the log at its end: in it every item is
// as the revision has it. (It is how a fuzzy dump becomes a snapshot; see
// Mohan et al., ARIES, 1992.) Changing a grant costs nothing for it.
//
// # One effect
//
// Up to CloseChunk items take effect in the transaction that closes the review,
// all or none. A larger review goes through CLOSING in several, with its
// decisions frozen, and is CLOSED when the last has committed: a transaction of
// all would lose to live traffic for ever, and since a review only takes away,
// half of it gives nobody more than they had.
//
// Nobody reviews their own: see own. What reviewers are told, and by whom, is
// not this package's business; it makes events of what is due.
package review

import (
	"slices"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/permission/store/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/grant"
	"guildhall.dev/services/permission/internal/people/shelf"
	"guildhall.dev/services/permission/internal/role"
	"guildhall.dev/services/permission/internal/subject"
)

// Forms of names.
const (
	Pattern     = resource.Pattern("organizations/{organization}/accessReviews/{review}")
	ItemPattern = resource.Pattern("organizations/{organization}/accessReviews/{review}/items/{item}")
	staff       = resource.Pattern("organizations/{organization}/staff/{staff_member}")
)

const service = "services/permission"

// defaultReminder is how often reviewers are reminded without a word about it.
const defaultReminder = 24 * time.Hour

// Short names of the states.
const (
	draft     = permissionv1.AccessReview_STATE_DRAFT
	starting  = permissionv1.AccessReview_STATE_STARTING
	active    = permissionv1.AccessReview_STATE_ACTIVE
	closing   = permissionv1.AccessReview_STATE_CLOSING
	closed    = permissionv1.AccessReview_STATE_CLOSED
	cancelled = permissionv1.AccessReview_STATE_CANCELLED
)

// Config is what reviews need of the service, all of it.
type Config struct {
	Roles    *role.Roles
	Grants   *grant.Grants
	Subjects *subject.Subjects
}

// Reviews keeps reviews and their items. It is safe for concurrent use.
type Reviews struct {
	Config
	reviews   *shelf.Shelf[*permissionv1.AccessReview]
	items     *kv.Table[*permissionv1.AccessReviewItem]
	loads     *kv.Table[*storev1.ReviewLoad]
	snapshots *kv.Table[*storev1.ReviewSnapshot]
	overdue   atomic.Int64 // items, as of the last sweep
}

// Create stores a review in DRAFT. Errors are Exists (ACCESS_REVIEW_EXISTS),
// Invalid (REVIEWER_INVALID, REVIEWER_REQUIRED, RESOURCE_FOREIGN,
// DUE_TIME_INVALID) and NotFound (ROLE_NOT_FOUND).
func (s *Reviews) Create(tx *change.Tx, by, parent, id string, in *permissionv1.AccessReview) (*permissionv1.AccessReview, error) {
	return s.reviews.Create(tx, parent, id, in, func(v *permissionv1.AccessReview) error {
		v.State, v.Creator = draft, by
		if v.GetDefaultDecision() == 0 {
			v.DefaultDecision = permissionv1.ReviewDecision_REVIEW_DECISION_REVOKE
		}
		if err := s.check(tx, parent, v); err != nil {
			return err
		}
		return checkTimes(v, tx.Time)
	})
}

// check refuses a review that nobody could carry out.
func (s *Reviews) check(r kv.Reader, organization string, v *permissionv1.AccessReview) error {
	if len(v.GetReviewers())+len(v.GetReviewerRoles()) == 0 {
		return errs.InvalidField("access_review.reviewers", "REVIEWER_REQUIRED", "name reviewers, or roles whose holders review")
	}
	for _, name := range v.GetReviewers() {
		if err := checkReviewer("access_review.reviewers", organization, name); err != nil {
			return err
		}
	}
	if on := v.GetScope().GetResource(); on != "" && on != organization && !below(on, organization) {
		return errs.InvalidField("access_review.scope.resource", "RESOURCE_FOREIGN", "name this organisation, or a resource of it")
	}
	for field, names := range map[string][]string{"reviewer_roles": v.GetReviewerRoles(), "scope.roles": v.GetScope().GetRoles()} {
		for _, name := range names {
			_, err := s.Roles.Get(r, name)
			if foreign := !role.IsBuiltIn(name) && role.OrganizationOf(name) != organization; err == nil && foreign || errs.Is(err, errs.NotFound) {
				return errs.New(errs.NotFound, "ROLE_NOT_FOUND", "there is no such role; see ListRoles",
					errs.Field("access_review."+field, "ROLE_NOT_FOUND", "name roles of ListRoles"))
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func checkReviewer(field, organization, name string) error {
	if staff.Matches(name) && subject.OrganizationOf(name) == organization {
		return nil
	}
	return errs.InvalidField(field, "REVIEWER_INVALID", "name a member of staff of the organisation")
}

func checkTimes(v *permissionv1.AccessReview, now time.Time) error {
	due, end := v.GetDueTime(), v.GetAutoCloseTime()
	if !due.IsValid() || !end.IsValid() || !due.AsTime().After(now) || end.AsTime().Before(due.AsTime()) {
		return errs.InvalidField("access_review.due_time", "DUE_TIME_INVALID", "send a due time to come, and an auto-close time not before it")
	}
	return nil
}

// Get returns a review, or NotFound (ACCESS_REVIEW_NOT_FOUND).
func (s *Reviews) Get(r kv.Reader, name string) (*permissionv1.AccessReview, error) {
	return s.reviews.Get(r, name)
}

// List returns a page of an organisation's reviews, newest first, and where the
// next one starts, nil at the end. A state of 0 is any.
func (s *Reviews) List(r kv.Reader, organization string, state permissionv1.AccessReview_State, after []byte, limit int) ([]*permissionv1.AccessReview, []byte, error) {
	of := ""
	if state != 0 {
		of = Word(state)
	}
	return s.reviews.List(r, kv.Query{
		Index: byState, Prefix: kv.Key{kv.String(organization), kv.String(of)}, Reverse: true, After: after, Limit: limit,
	})
}

// Start begins the snapshot. Errors are NotFound (ACCESS_REVIEW_NOT_FOUND),
// Conflict (ETAG_MISMATCH), Precondition (ILLEGAL_STATE) and Invalid
// (DUE_TIME_INVALID): a draft may lie about too long.
func (s *Reviews) Start(tx *change.Tx, name, etag string) (*permissionv1.AccessReview, error) {
	v, err := s.load(tx, name, etag, "start", draft)
	if err != nil {
		return nil, err
	}
	if err := checkTimes(v, tx.Time); err != nil {
		return nil, err
	}
	if err := s.enter(tx, v, starting); err != nil {
		return nil, err
	}
	if err := s.beginSnapshot(tx, v); err != nil {
		return nil, err
	}
	return s.snapshot(tx, v)
}

// Close ends the decisions and begins to carry them out. Errors are those of
// Start and Precondition (UNDECIDED_ITEMS).
func (s *Reviews) Close(tx *change.Tx, name, etag, by string, applyDefault bool) (*permissionv1.AccessReview, error) {
	v, err := s.load(tx, name, etag, "close", active)
	if err != nil {
		return nil, err
	}
	if !applyDefault {
		page, err := s.items.List(tx, kv.Query{Index: byDimension, Prefix: dimension(name, undecided), Limit: 1})
		if err != nil {
			return nil, err
		}
		if len(page.Records) > 0 {
			return nil, errs.New(errs.Precondition, "UNDECIDED_ITEMS", "some items are undecided; have them decided, or ask for the default decision")
		}
	}
	return s.beginClosing(tx, v, by)
}

// Cancel ends a review without effect. Errors are those of Start but for
// DUE_TIME_INVALID.
func (s *Reviews) Cancel(tx *change.Tx, name, etag, by string) (*permissionv1.AccessReview, error) {
	v, err := s.load(tx, name, etag, "cancel", draft, starting, active)
	if err != nil {
		return nil, err
	}
	if v.GetState() == starting {
		if _, err := s.snapshots.Delete(tx, keyOf(name), ""); err != nil {
			return nil, err
		}
	}
	v.EndTime, v.Closer = timestamppb.New(tx.Time), by
	if err := s.enter(tx, v, cancelled); err != nil {
		return nil, err
	}
	return s.Get(tx, name)
}

// load returns a review that is in one of the states.
func (s *Reviews) load(tx *change.Tx, name, etag, verb string, from ...permissionv1.AccessReview_State) (*permissionv1.AccessReview, error) {
	v, err := s.reviews.GetAt(tx, name, etag)
	if err != nil {
		return nil, err
	}
	if state := v.GetState(); !slices.Contains(from, state) {
		return nil, errs.New(errs.Precondition, "ILLEGAL_STATE",
			"a review in state "+Word(state)+" cannot be moved by "+verb, errs.Meta("state", Word(state)))
	}
	return v, nil
}

// enter moves the review to a state and stores it.
func (s *Reviews) enter(tx *change.Tx, v *permissionv1.AccessReview, state permissionv1.AccessReview_State) error {
	from := v.GetState()
	v.State = state
	if _, err := s.reviews.Put(tx, v); err != nil {
		return err
	}
	s.reviews.With(func(*permissionv1.AccessReview) proto.Message {
		return &permissionv1.AccessReviewChanged{From: Word(from), To: Word(state)}
	}).Record(tx, "state_changed", v, "state")
	return nil
}

// mayReview is what both lists of reviewers come to; see reviewersOf.
func mayReview(by authn.Caller, it *permissionv1.AccessReviewItem) bool {
	return by.Name != "" && by.Name == it.GetReviewer()
}
