package segment

import (
	"time"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// AddMember adds a customer to a fixed list. Errors are NotFound
// (SEGMENT_NOT_FOUND), Precondition (SEGMENT_NOT_FIXED), and Exists
// (SEGMENT_MEMBER_EXISTS). Whether there is such a customer, and whether it may
// be added, is the caller's to know.
func (b *Book) AddMember(tx *change.Tx, segment, customer string) (*identityv1.SegmentMember, error) {
	s, err := b.fixed(tx, segment)
	if err != nil {
		return nil, err
	}
	return b.join(tx, s, customer, byList)
}

// RemoveMember takes a customer off a fixed list and returns what the membership
// was. Errors are NotFound (SEGMENT_NOT_FOUND, SEGMENT_MEMBER_NOT_FOUND) and
// Precondition (SEGMENT_NOT_FIXED).
func (b *Book) RemoveMember(tx *change.Tx, name string) (*identityv1.SegmentMember, error) {
	s, err := b.fixed(tx, resource.Parent(name))
	if err != nil {
		return nil, err
	}
	rec, found, err := b.members.Find(tx, key(name))
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, errs.NotFoundName("SEGMENT_MEMBER_NOT_FOUND", name)
	}
	return b.leave(tx, s.GetName(), rec.Value.GetCustomer(), 0, byList)
}

// CheckReturn asks the permit about the fixed lists that a customer was on when it
// was deleted: it comes back and is on none. The error is what the permit returns,
// which hears of all of them.
func (b *Book) CheckReturn(r kv.Reader, customer string, deleted time.Time, permit Permit) error {
	var left []string
	for rec, err := range b.moves.Scan(r, kv.Query{Index: byCustomer, Prefix: kv.Key{kv.String(customer)}}) {
		if err != nil {
			return err
		}
		if m := rec.Value; m.GetCause() == byDeletion && !m.GetChangeTime().AsTime().Before(deleted) {
			left = append(left, resource.Parent(m.GetName()))
		}
	}
	var refused error
	for _, segment := range left {
		s, found, err := b.segments.Find(r, key(segment))
		if err != nil {
			return err
		}
		if !found || s.Value.GetKind() != fixed {
			continue // the list is gone, or a rule decides anew
		}
		if err := permit.ask(Move{Segment: segment}); err != nil {
			refused = err
		}
	}
	return refused
}

func (b *Book) fixed(r kv.Reader, segment string) (*identityv1.Segment, error) {
	s, err := b.Get(r, segment)
	if err == nil && s.GetKind() != fixed {
		err = errs.New(errs.Precondition, "SEGMENT_NOT_FIXED", "a rule says who is in the segment; change the rule or the customer")
	}
	return s, err
}

// Members returns a page of a segment's members, by customer, and where to go on
// behind it, nil at the end. The error is NotFound (SEGMENT_NOT_FOUND).
func (b *Book) Members(r kv.Reader, segment string, after []byte, limit int) ([]*identityv1.SegmentMember, []byte, error) {
	if _, err := b.Get(r, segment); err != nil {
		return nil, nil, err
	}
	return values(b.members.List(r, kv.Query{Prefix: kv.Key{kv.String(segment)}, After: after, Limit: limit}))
}

// Roll returns the next members of a segment behind a position, by customer, at
// most as many as the limit; each has its position. The error is NotFound
// (SEGMENT_NOT_FOUND).
func (b *Book) Roll(r kv.Reader, segment string, after []byte, limit int) ([]kv.Record[*identityv1.SegmentMember], error) {
	if _, err := b.Get(r, segment); err != nil {
		return nil, err
	}
	page, err := b.members.List(r, kv.Query{Prefix: kv.Key{kv.String(segment)}, After: after, Limit: limit})
	return page.Records, err
}

// Has reports whether a customer is in a segment. The error is NotFound
// (SEGMENT_NOT_FOUND).
func (b *Book) Has(r kv.Reader, segment, customer string) (bool, error) {
	if _, err := b.Get(r, segment); err != nil {
		return false, err
	}
	_, found, err := b.members.Find(r, key(memberName(segment, customer)))
	return found, err
}

// Moves returns a page of who joined and left a segment, the oldest first, and
// where to go on behind it, nil at the end; of one customer when one is named.
// Those of one customer are in the order in which they happened; of several, by
// their times.
// The error is NotFound (SEGMENT_NOT_FOUND).
func (b *Book) Moves(r kv.Reader, segment, customer string, after []byte, limit int) ([]*identityv1.SegmentMembershipChange, []byte, error) {
	if _, err := b.Get(r, segment); err != nil {
		return nil, nil, err
	}
	q := kv.Query{Prefix: kv.Key{kv.String(segment)}, After: after, Limit: limit}
	if customer != "" {
		q.Index, q.Prefix = byCustomer, kv.Key{kv.String(customer), kv.String(segment)}
	}
	return values(b.moves.List(r, q))
}

// Memberships returns a page of the segments that a customer is in, by name, and
// where to go on behind it, nil at the end. Those that are being emptied are
// left out.
func (b *Book) Memberships(r kv.Reader, customer string, after []byte, limit int) ([]*identityv1.SegmentMember, []byte, error) {
	page, err := b.members.List(r, kv.Query{Index: byCustomer, Prefix: kv.Key{kv.String(customer)}, After: after, Limit: limit})
	if err != nil {
		return nil, nil, err
	}
	keys := make([]kv.Key, len(page.Records))
	for i, rec := range page.Records {
		keys[i] = key(resource.Parent(rec.Value.GetName()))
	}
	segments, err := b.segments.GetMany(r, keys)
	if err != nil {
		return nil, nil, err
	}
	var out []*identityv1.SegmentMember
	for i, rec := range page.Records {
		if segments[i].Found() {
			out = append(out, rec.Value)
		}
	}
	return out, page.Next, nil
}
