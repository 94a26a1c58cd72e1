// Package segment keeps segments of customers, which grants can name, and who is
// in them.
//
// A segment is a fixed list, or has a rule: a condition over a customer's record
// that is evaluated in the transaction in which the record changes (Reassess),
// so that a membership is never older than what it follows from. All that is
// left to the background is a new rule's way through the customers there are,
// in steps that go on after a restart; moments of which a rule says that it
// changes its mind (now.passed); and emptying a deleted segment. See package
// evaluation for who drives these.
//
//	evaluation of a rule
//
//	  CreateSegment; and from each state another rule, EvaluateSegment
//	        │
//	        ▼
//	    ┌──────────────────────────┐
//	    │ RUNNING, for the members │ ◄── Step: some members more
//	    └──────────────────────────┘
//	        │ Step: no member is left, and whoever had to leave has left
//	        ▼
//	    ┌──────────────────────────┐
//	    │ RUNNING, for all         │ ◄── Step: some customers more
//	    └──────────────────────────┘
//	        │ Step: no customer is left
//	        ▼
//	    ┌──────────────────────────┐
//	    │ DONE                     │
//	    └──────────────────────────┘
//
//	membership of a customer: OUT → IN and back, by list, change of the customer,
//	rule, time, or deletion; each move is kept with its cause
//
// Being in a segment gives what is granted to it, and takes what is denied to it.
// Who may move a customer is not known here: each function that does asks a Permit
// before it writes anything.
package segment

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/attribute"
	"guildhall.dev/services/identity/internal/revise"
)

// The forms of names.
const (
	Pattern           = resource.Pattern("organizations/{organization}/segments/{segment}")
	MemberPattern     = resource.Pattern("organizations/{organization}/segments/{segment}/members/{customer}")
	EvaluationPattern = resource.Pattern("organizations/{organization}/segments/{segment}/evaluation")
)

// Types of events about members. Those about segments are package revise's.
const (
	MemberCreatedType = "guildhall.identity.segment_member.created.v1"
	MemberDeletedType = "guildhall.identity.segment_member.deleted.v1"
)

// Bounds of what an organisation has. Each rule is evaluated with each change of
// a customer.
const (
	MaxSegments = 200
	MaxRules    = 100
)

// The kinds of segments, for short.
const (
	fixed = identityv1.Segment_KIND_FIXED
	ruled = identityv1.Segment_KIND_RULE
)

// Book keeps segments, members and their history. It is safe for concurrent use.
type Book struct {
	tables
	attributes *attribute.Book
	languages  *languages
}

// New returns a book. The attributes are those that rules can speak of.
func New(attributes *attribute.Book) *Book {
	return &Book{tables: newTables(), attributes: attributes, languages: newLanguages()}
}

// Get returns a segment. The error is NotFound (SEGMENT_NOT_FOUND).
func (b *Book) Get(r kv.Reader, name string) (*identityv1.Segment, error) {
	rec, found, err := b.segments.Find(r, key(name))
	if err == nil && !found {
		err = errs.NotFoundName("SEGMENT_NOT_FOUND", name)
	}
	if err != nil {
		return nil, err
	}
	return revise.View(rec), nil
}

// List returns a page of an organisation's segments, by name, and where to go on
// behind it, nil at the end.
func (b *Book) List(r kv.Reader, organization string, after []byte, limit int) ([]*identityv1.Segment, []byte, error) {
	return revise.Views(b.segments.List(r, kv.Query{Prefix: kv.Key{kv.String(organization)}, After: after, Limit: limit}))
}

// Create makes a segment with the name and the caller's fields of s, and begins
// to evaluate its rule. Errors are Exists (SEGMENT_EXISTS), Exhausted
// (SEGMENT_LIMIT), Invalid (RULE_INVALID, RULE_TOO_COSTLY), Unavailable
// (SEGMENT_ENDING) while a former segment of the name is being emptied, and what
// the permit returns.
func (b *Book) Create(tx *change.Tx, s *identityv1.Segment, permit Permit) (*identityv1.Segment, error) {
	organization := resource.Parent(s.GetName())
	if err := b.checkRoom(tx, organization, s); err != nil {
		return nil, err
	}
	return revise.Create(tx, b.segments, s, b.revising(tx, permit))
}

// checkRoom refuses one more segment than an organisation may have.
func (b *Book) checkRoom(r kv.Reader, organization string, s *identityv1.Segment) error {
	if _, ending, err := b.endings.Find(r, kv.Key{kv.String(s.GetName())}); err != nil || ending {
		if err == nil {
			err = errs.New(errs.Unavailable, "SEGMENT_ENDING", "a deleted segment of this name is being emptied; try again", errs.RetryAfter(retryEnding))
		}
		return err
	}
	const text = "an organization has at most %d segments"
	err := revise.CheckRoom(r, b.segments, kv.Query{Prefix: kv.Key{kv.String(organization)}}, MaxSegments, "SEGMENT_LIMIT", text)
	if err != nil || s.GetKind() != ruled {
		return err
	}
	return revise.CheckRoom(r, b.segments, kv.Query{Index: byRule, Prefix: kv.Key{kv.String(organization)}}, MaxRules, "SEGMENT_LIMIT", text+" with rules")
}

// Update changes the masked fields to those of s. Another rule is a new
// revision, and its evaluation begins. Errors are NotFound, Conflict
// (ETAG_MISMATCH), Invalid (RULE_INVALID, RULE_TOO_COSTLY, and
// UPDATE_MASK_INVALID for a mask of other fields), and what the permit returns
// for another rule.
func (b *Book) Update(tx *change.Tx, s *identityv1.Segment, mask *fieldmaskpb.FieldMask, permit Permit) (*identityv1.Segment, error) {
	return revise.Update(tx, b.segments, s, mask, b.revising(tx, permit))
}

// revising says what becomes of a segment whose rule changes: the rule is checked,
// the permit asked, and the evaluation of a new revision begun.
func (b *Book) revising(tx *change.Tx, permit Permit) revise.Rules[*identityv1.Segment] {
	return revise.Rules[*identityv1.Segment]{
		Event: "guildhall.identity.segment",
		Data: func(s *identityv1.Segment) proto.Message {
			return &identityv1.SegmentChanged{Revision: s.GetRevision()}
		},
		Fields: []string{"display_name", "description", "rule"}, Fixed: []string{"kind"},
		Follow: func(old, now *identityv1.Segment) error {
			if old != nil && old.GetRule() == now.GetRule() {
				return nil
			}
			if err := b.checkRule(tx, resource.Parent(now.GetName()), now.GetKind(), now.GetRule()); err != nil || now.GetKind() != ruled {
				return err
			}
			if err := permit.askRule(old, now); err != nil {
				return err
			}
			now.Revision++
			return b.ruleChanged(tx, now)
		},
	}
}

// ruleChanged keeps the rule that a segment has from now on, and begins to
// evaluate it.
func (b *Book) ruleChanged(tx *change.Tx, s *identityv1.Segment) error {
	_, err := b.revisions.Put(tx, &identityv1.SegmentRevision{
		Name: fmt.Sprintf("%s/revisions/%d", s.GetName(), s.GetRevision()), Rule: s.GetRule(), CreateTime: timestamppb.New(tx.Time),
	}, "")
	if err != nil {
		return err
	}
	_, err = b.begin(tx, s)
	return err
}

// Revisions returns a page of the rules that a segment has had, the newest
// first, and where to go on behind it, nil at the end. The error is NotFound
// (SEGMENT_NOT_FOUND).
func (b *Book) Revisions(r kv.Reader, name string, after []byte, limit int) ([]*identityv1.SegmentRevision, []byte, error) {
	if _, err := b.Get(r, name); err != nil {
		return nil, nil, err
	}
	return values(b.revisions.List(r, kv.Query{Prefix: kv.Key{kv.String(name)}, Reverse: true, After: after, Limit: limit}))
}

// values returns the records of a page themselves.
func values[T proto.Message](page kv.Page[T], err error) ([]T, []byte, error) {
	out := make([]T, len(page.Records))
	for i, rec := range page.Records {
		out[i] = rec.Value
	}
	return out, page.Next, err
}

// isCustomer reports whether an account is one that segments are of.
func isCustomer(a *storev1.Account) bool { return customerPattern.Matches(a.GetName()) }
