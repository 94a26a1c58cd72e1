package segment

import (
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/expression"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// The causes of moves, for short.
const (
	byList     = identityv1.MembershipCause_MEMBERSHIP_CAUSE_LIST
	byChange   = identityv1.MembershipCause_MEMBERSHIP_CAUSE_CUSTOMER
	byRuling   = identityv1.MembershipCause_MEMBERSHIP_CAUSE_RULE
	byClock    = identityv1.MembershipCause_MEMBERSHIP_CAUSE_TIME
	byDeletion = identityv1.MembershipCause_MEMBERSHIP_CAUSE_DELETION
)

// Reassess makes the memberships of a customer those that follow from its record
// now, which the transaction puts in place of was; nil of a new one. One that is
// deleted leaves all segments. It does nothing for other accounts.
//
// The error is what the permit returns for the moves that come of it; the permit
// hears of all of them, and before anything is written.
func (b *Book) Reassess(tx *change.Tx, was, now *storev1.Account, permit Permit) error {
	return b.reassess(tx, was, now, byChange, permit)
}

func (b *Book) reassess(tx *change.Tx, was, now *storev1.Account, cause identityv1.MembershipCause, permit Permit) error {
	if !isCustomer(now) {
		return nil
	}
	if deleted(now) {
		return b.leaveAll(tx, now.GetName())
	}
	rules, err := b.rules(tx, resource.Parent(now.GetName()))
	if err != nil || len(rules) == 0 {
		return err
	}
	l, _, err := b.language(tx, resource.Parent(now.GetName()))
	if err != nil {
		return err
	}
	verdicts, err := b.judge(tx, l, now, rules)
	if err != nil {
		return err
	}
	if err := permit.askAll(l, was, now, verdicts, tx.Time); err != nil {
		return err
	}
	for _, v := range verdicts {
		if err := b.follow(tx, now.GetName(), v, cause); err != nil {
			return err
		}
	}
	return nil
}

// HasRules reports whether a segment of the organisation has a rule.
func (b *Book) HasRules(r kv.Reader, organization string) (bool, error) {
	n, err := b.segments.Count(r, kv.Query{Index: byRule, Prefix: kv.Key{kv.String(organization)}, Limit: 1})
	return n > 0, err
}

// rules returns the segments of an organisation that have a rule.
func (b *Book) rules(r kv.Reader, organization string) (rules []*identityv1.Segment, err error) {
	for rec, err := range b.segments.Scan(r, kv.Query{Index: byRule, Prefix: kv.Key{kv.String(organization)}}) {
		if err != nil {
			return nil, err
		}
		rules = append(rules, rec.Value)
	}
	return rules, nil
}

// verdict is what the rule of a segment says of a customer.
type verdict struct {
	segment *identityv1.Segment
	was, in bool
	// due is when it may change by time alone, noted what is kept of that; nil
	// is never.
	due, noted *timestamppb.Timestamp
}

// judge returns the verdicts of some rules of one organisation.
func (b *Book) judge(tx *change.Tx, l *expression.Language, a *storev1.Account, rules []*identityv1.Segment) ([]verdict, error) {
	members, dues := make([]kv.Key, len(rules)), make([]kv.Key, len(rules))
	for i, s := range rules {
		members[i], dues[i] = key(memberName(s.GetName(), a.GetName())), dueKey(s.GetName(), a.GetName())
	}
	present, err := b.members.GetMany(tx, members)
	if err != nil {
		return nil, err
	}
	noted, err := b.dues.GetMany(tx, dues)
	if err != nil {
		return nil, err
	}
	customer := facts(a)
	verdicts := make([]verdict, len(rules))
	for i, s := range rules {
		outcome, due := run(l, s.GetRule(), customer, tx.Time)
		verdicts[i] = verdict{segment: s, was: present[i].Found(), in: outcome == isTrue, noted: noted[i].Value.GetDueTime()}
		if !due.IsZero() {
			verdicts[i].due = timestamppb.New(due)
		}
	}
	return verdicts, nil
}

// follow makes a membership what the verdict says.
func (b *Book) follow(tx *change.Tx, customer string, v verdict, cause identityv1.MembershipCause) error {
	if err := b.setDue(tx, customer, v); err != nil {
		return err
	}
	switch {
	case v.in && !v.was:
		_, err := b.join(tx, v.segment, customer, cause)
		return err
	case v.was && !v.in:
		_, err := b.leave(tx, v.segment.GetName(), customer, v.segment.GetRevision(), cause)
		return err
	}
	return nil
}

// join makes a customer a member. The error is Exists (SEGMENT_MEMBER_EXISTS).
func (b *Book) join(tx *change.Tx, s *identityv1.Segment, customer string, cause identityv1.MembershipCause) (*identityv1.SegmentMember, error) {
	at, err := b.moment(tx, s.GetName(), customer)
	if err != nil {
		return nil, err
	}
	m := &identityv1.SegmentMember{
		Name: memberName(s.GetName(), customer), Customer: customer, JoinTime: at, Cause: cause, Revision: s.GetRevision(),
	}
	if _, err := b.members.Create(tx, m); err != nil {
		return nil, err
	}
	return m, b.note(tx, s.GetName(), MemberCreatedType, &identityv1.SegmentMembershipChange{
		Customer: customer, Joined: true, ChangeTime: at, Cause: cause, Revision: s.GetRevision(),
	})
}

// leave ends a membership and returns what it was. The error is NotFound
// (SEGMENT_MEMBER_NOT_FOUND).
func (b *Book) leave(tx *change.Tx, segment, customer string, revision int64, cause identityv1.MembershipCause) (*identityv1.SegmentMember, error) {
	rec, err := b.members.Delete(tx, key(memberName(segment, customer)), "")
	if err != nil {
		return nil, err
	}
	at, err := b.moment(tx, segment, customer)
	if err != nil {
		return nil, err
	}
	return rec.Value, b.note(tx, segment, MemberDeletedType, &identityv1.SegmentMembershipChange{
		Customer: customer, ChangeTime: at, Cause: cause, Revision: revision,
	})
}

// moment returns when a customer moves: now, but behind its last move. A
// transaction that lost to another and was made again would else come before it.
func (b *Book) moment(tx *change.Tx, segment, customer string) (*timestamppb.Timestamp, error) {
	at := tx.Time
	last := kv.Query{Index: byCustomer, Prefix: kv.Key{kv.String(customer), kv.String(segment)}, Reverse: true, Limit: 1}
	for rec, err := range b.moves.Scan(tx, last) {
		if err != nil {
			return nil, err
		}
		if next := rec.Value.GetChangeTime().AsTime().Add(time.Microsecond); next.After(at) {
			at = next
		}
	}
	return timestamppb.New(at), nil
}

// note keeps a move and tells of it. What moved the customer has an audit entry
// of its own, but for a move by hand.
func (b *Book) note(tx *change.Tx, segment, event string, m *identityv1.SegmentMembershipChange) error {
	m.Name = segment + "/membershipChanges/" + tx.NewID()
	if _, err := b.moves.Create(tx, m); err != nil {
		return err
	}
	tx.Record(change.Change{
		Resource: memberName(segment, m.GetCustomer()), Type: event, Covered: m.GetCause() != byList,
		Data: &identityv1.SegmentMemberChanged{Segment: segment, Account: m.GetCustomer()},
	})
	return nil
}

// leaveAll takes a customer out of all segments.
func (b *Book) leaveAll(tx *change.Tx, customer string) error {
	for rec, err := range b.members.Scan(tx, kv.Query{Index: byCustomer, Prefix: kv.Key{kv.String(customer)}}) {
		if err != nil {
			return err
		}
		segment := resource.Parent(rec.Value.GetName())
		s, found, err := b.segments.Find(tx, key(segment))
		if err != nil {
			return err
		}
		if !found {
			continue // it is being emptied, and said so
		}
		if _, err := b.leave(tx, segment, customer, s.Value.GetRevision(), byDeletion); err != nil {
			return err
		}
	}
	return deleteAll(tx, b.dues, kv.Query{Index: byCustomer, Prefix: kv.Key{kv.String(customer)}})
}

// Forget removes all that is kept of a deleted customer that is gone for good:
// whoever has the name later is somebody else.
func (b *Book) Forget(tx kv.Tx, customer string) error {
	of := kv.Query{Index: byCustomer, Prefix: kv.Key{kv.String(customer)}}
	if err := deleteAll(tx, b.members, of); err != nil {
		return err
	}
	return deleteAll(tx, b.moves, of)
}

// deleteAll deletes the records that q selects.
func deleteAll[T proto.Message](tx kv.Tx, t *kv.Table[T], q kv.Query) error {
	_, err := some(tx, t, q)
	return err
}
