package segment

import (
	"slices"
	"strconv"
	"strings"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

const customerPattern = resource.Pattern("organizations/{organization}/customers/{customer}")

// The indexes.
const (
	byRule     = "rule"     // segments that have one
	byCustomer = "customer" // members, moves and dues
	byRunning  = "running"  // evaluations that go on
	byTime     = "time"     // dues
)

// tables are what a book keeps:
//
//	segments             (organisation, name)      -> Segment
//	segment_revisions    (segment, number)         -> SegmentRevision
//	segment_members      (segment, name)           -> SegmentMember
//	segment_moves        (segment, time, name)     -> SegmentMembershipChange
//	segment_evaluations  (segment)                 -> SegmentEvaluation
//	segment_dues         (segment, customer)       -> SegmentDue
//	segment_endings      (segment)                 -> SegmentEnding
//
// No write of a membership, an evaluation or a due touches a segment, whose
// etag is for those who change the segment.
type tables struct {
	segments    *kv.Table[*identityv1.Segment]
	revisions   *kv.Table[*identityv1.SegmentRevision]
	members     *kv.Table[*identityv1.SegmentMember]
	moves       *kv.Table[*identityv1.SegmentMembershipChange]
	evaluations *kv.Table[*storev1.SegmentEvaluation]
	dues        *kv.Table[*storev1.SegmentDue]
	endings     *kv.Table[*storev1.SegmentEnding]
}

// long: one declaration of a table after the other.
func newTables() tables {
	return tables{
		segments: kv.NewTable(kv.TableConfig[*identityv1.Segment]{
			Name: "segments", NotFound: "SEGMENT_NOT_FOUND", Exists: "SEGMENT_EXISTS",
			Key: func(s *identityv1.Segment) kv.Key { return key(s.GetName()) },
			Indexes: []kv.Index[*identityv1.Segment]{{Name: byRule, Keys: func(s *identityv1.Segment) []kv.Key {
				if s.GetKind() != ruled {
					return nil
				}
				return []kv.Key{{kv.String(resource.Parent(s.GetName()))}}
			}}},
		}),
		revisions: kv.NewTable(kv.TableConfig[*identityv1.SegmentRevision]{
			Name: "segment_revisions",
			Key: func(v *identityv1.SegmentRevision) kv.Key {
				number, _ := strconv.ParseInt(v.GetName()[strings.LastIndexByte(v.GetName(), '/')+1:], 10, 64)
				return kv.Key{kv.String(resource.Parent(v.GetName())), kv.Int64(number)}
			},
		}),
		members: kv.NewTable(kv.TableConfig[*identityv1.SegmentMember]{
			Name: "segment_members", NotFound: "SEGMENT_MEMBER_NOT_FOUND", Exists: "SEGMENT_MEMBER_EXISTS",
			Key: func(m *identityv1.SegmentMember) kv.Key { return key(m.GetName()) },
			Indexes: []kv.Index[*identityv1.SegmentMember]{{Name: byCustomer, Keys: func(m *identityv1.SegmentMember) []kv.Key {
				return []kv.Key{{kv.String(m.GetCustomer())}}
			}}},
		}),
		moves: kv.NewTable(kv.TableConfig[*identityv1.SegmentMembershipChange]{
			Name: "segment_moves",
			Key: func(m *identityv1.SegmentMembershipChange) kv.Key {
				return kv.Key{kv.String(resource.Parent(m.GetName())), kv.Time(m.GetChangeTime().AsTime()), kv.String(m.GetName())}
			},
			Indexes: []kv.Index[*identityv1.SegmentMembershipChange]{{Name: byCustomer, Keys: func(m *identityv1.SegmentMembershipChange) []kv.Key {
				return []kv.Key{{kv.String(m.GetCustomer()), kv.String(resource.Parent(m.GetName())), kv.Time(m.GetChangeTime().AsTime())}}
			}}},
		}),
		evaluations: kv.NewTable(kv.TableConfig[*storev1.SegmentEvaluation]{
			Name: "segment_evaluations",
			Key:  func(e *storev1.SegmentEvaluation) kv.Key { return kv.Key{kv.String(segmentOf(e))} },
			Indexes: []kv.Index[*storev1.SegmentEvaluation]{{Name: byRunning, Keys: func(e *storev1.SegmentEvaluation) []kv.Key {
				if e.GetEvaluation().GetState() != running {
					return nil
				}
				return []kv.Key{{kv.String(segmentOf(e))}}
			}}},
		}),
		dues: kv.NewTable(kv.TableConfig[*storev1.SegmentDue]{
			Name: "segment_dues",
			Key:  func(d *storev1.SegmentDue) kv.Key { return dueKey(d.GetSegment(), d.GetCustomer()) },
			Indexes: []kv.Index[*storev1.SegmentDue]{
				{Name: byTime, Keys: func(d *storev1.SegmentDue) []kv.Key { return []kv.Key{{kv.Time(d.GetDueTime().AsTime())}} }},
				{Name: byCustomer, Keys: func(d *storev1.SegmentDue) []kv.Key { return []kv.Key{{kv.String(d.GetCustomer())}} }},
			},
		}),
		endings: kv.NewTable(kv.TableConfig[*storev1.SegmentEnding]{
			Name: "segment_endings", Key: func(e *storev1.SegmentEnding) kv.Key { return kv.Key{kv.String(e.GetSegment())} },
		}),
	}
}

// Tables returns the raw tables of a book.
func (t tables) Tables() []string {
	return slices.Concat(t.segments.Tables(), t.revisions.Tables(), t.members.Tables(), t.moves.Tables(),
		t.evaluations.Tables(), t.dues.Tables(), t.endings.Tables())
}

func key(name string) kv.Key { return kv.Key{kv.String(resource.Parent(name)), kv.String(name)} }

func dueKey(segment, customer string) kv.Key {
	return kv.Key{kv.String(segment), kv.String(customer)}
}

func segmentOf(e *storev1.SegmentEvaluation) string {
	return strings.TrimSuffix(e.GetEvaluation().GetName(), "/evaluation")
}

// memberName returns the name of a customer's membership in a segment.
func memberName(segment, customer string) string {
	return segment + "/members/" + customer[strings.LastIndexByte(customer, '/')+1:]
}
