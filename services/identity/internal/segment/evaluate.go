package segment

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// The states of an evaluation, for short.
const (
	running = identityv1.SegmentEvaluation_STATE_RUNNING
	done    = identityv1.SegmentEvaluation_STATE_DONE
)

// stepSize is how many customers a step evaluates: enough to share the cost of a
// commit, few enough that other writers seldom collide with it.
const stepSize = 200

// Customers are those that rules are held against, but for deleted ones.
type Customers struct {
	// Page returns a page of an organisation's, by name, and where to go on behind
	// it, nil at the end.
	Page func(r kv.Reader, organization string, after []byte, limit int) ([]*storev1.Account, []byte, error)
	// Named returns those of the names that there are.
	Named func(r kv.Reader, names []string) ([]*storev1.Account, error)
}

// Evaluate begins to hold the rule of a segment against all customers, from the
// first. Errors are NotFound (SEGMENT_NOT_FOUND), Precondition
// (SEGMENT_NOT_RULE), and what the permit returns.
func (b *Book) Evaluate(tx *change.Tx, name string, permit Permit) (*identityv1.SegmentEvaluation, error) {
	s, err := b.withRule(tx, name)
	if err != nil {
		return nil, err
	}
	if err := permit.askBoth(name); err != nil {
		return nil, err
	}
	e, err := b.begin(tx, s)
	if err != nil {
		return nil, err
	}
	tx.Record(change.Change{Resource: e.GetName()})
	return e, nil
}

// Evaluation returns how far the newest evaluation of a segment is. Errors are
// NotFound (SEGMENT_NOT_FOUND) and Precondition (SEGMENT_NOT_RULE).
func (b *Book) Evaluation(r kv.Reader, name string) (*identityv1.SegmentEvaluation, error) {
	if _, err := b.withRule(r, name); err != nil {
		return nil, err
	}
	rec, err := b.evaluations.Get(r, kv.Key{kv.String(name)})
	return rec.Value.GetEvaluation(), err
}

func (b *Book) withRule(r kv.Reader, name string) (*identityv1.Segment, error) {
	s, err := b.Get(r, name)
	if err == nil && s.GetKind() != ruled {
		err = errs.New(errs.Precondition, "SEGMENT_NOT_RULE", "the segment is a fixed list; there is no rule to evaluate")
	}
	return s, err
}

// begin puts a new evaluation in the place of the one before.
func (b *Book) begin(tx *change.Tx, s *identityv1.Segment) (*identityv1.SegmentEvaluation, error) {
	e := &identityv1.SegmentEvaluation{
		Name: s.GetName() + "/evaluation", State: running, Revision: s.GetRevision(), StartTime: timestamppb.New(tx.Time),
	}
	_, err := b.evaluations.Put(tx, &storev1.SegmentEvaluation{Evaluation: e, Leaving: true}, "")
	return e, err
}

// Running returns the names of up to limit segments whose evaluation goes on.
func (b *Book) Running(r kv.Reader, limit int) (names []string, err error) {
	for rec, err := range b.evaluations.Scan(r, kv.Query{Index: byRunning, Limit: limit}) {
		if err != nil {
			return nil, err
		}
		names = append(names, segmentOf(rec.Value))
	}
	return names, nil
}

// Left reports whether all have left that are to leave by the newest evaluation
// of a segment. Who is in a segment that is gone has left, and nobody leaves a
// fixed list by a rule.
func (b *Book) Left(r kv.Reader, name string) (bool, error) {
	rec, found, err := b.evaluations.Find(r, kv.Key{kv.String(name)})
	return !found || !rec.Value.GetLeaving(), err
}

// Step evaluates some customers more: first the members, since rights may end
// with who leaves, then all there are. Where it is is part of the transaction, so
// that each customer counts once, whoever makes the steps, and after a restart.
// A step of an evaluation that is done changes nothing.
func (b *Book) Step(tx *change.Tx, name string, customers Customers) error {
	tx.Unchanged() // holds unless somebody moves
	rec, found, err := b.evaluations.Find(tx, kv.Key{kv.String(name)})
	if err != nil || !found || rec.Value.GetEvaluation().GetState() != running {
		return err
	}
	s, err := b.Get(tx, name)
	if err != nil {
		return err
	}
	now := proto.CloneOf(rec.Value)
	step := b.stepAll
	if now.GetLeaving() {
		step = b.stepMembers
	}
	if err := step(tx, s, now, customers); err != nil {
		return err
	}
	_, err = b.evaluations.Update(tx, now, "")
	return err
}

// stepMembers has some members leave of whom the rule is not true.
func (b *Book) stepMembers(tx *change.Tx, s *identityv1.Segment, now *storev1.SegmentEvaluation, customers Customers) error {
	members, next, err := b.Members(tx, s.GetName(), now.GetMemberAfter(), stepSize)
	if err != nil {
		return err
	}
	names := make([]string, len(members))
	for i, m := range members {
		names[i] = m.GetCustomer()
	}
	accounts, err := customers.Named(tx, names)
	if err != nil {
		return err
	}
	err = b.evaluate(tx, s, accounts, func(v verdict) {
		if !v.in {
			now.Evaluation.LeftCount++
		}
	})
	now.MemberAfter, now.Leaving = next, next != nil
	return err
}

// stepAll makes some customers' memberships what the rule says of them.
func (b *Book) stepAll(tx *change.Tx, s *identityv1.Segment, now *storev1.SegmentEvaluation, customers Customers) error {
	accounts, next, err := customers.Page(tx, resource.Parent(s.GetName()), now.GetAfter(), stepSize)
	if err != nil {
		return err
	}
	e := now.GetEvaluation()
	err = b.evaluate(tx, s, accounts, func(v verdict) {
		e.EvaluatedCount++
		switch {
		case v.in && !v.was:
			e.JoinedCount++
		case v.was && !v.in:
			e.LeftCount++ // it joined after the members were gone through
		}
		if v.in {
			e.MemberCount++
		}
	})
	if now.After = next; next == nil {
		e.State, e.EndTime = done, timestamppb.New(tx.Time)
	}
	return err
}

// evaluate holds one rule against some customers and tells of each verdict.
func (b *Book) evaluate(tx *change.Tx, s *identityv1.Segment, accounts []*storev1.Account, tell func(verdict)) error {
	l, _, err := b.language(tx, resource.Parent(s.GetName()))
	if err != nil {
		return err
	}
	for _, a := range accounts {
		verdicts, err := b.judge(tx, l, a, []*identityv1.Segment{s})
		if err != nil {
			return err
		}
		if err := b.follow(tx, a.GetName(), verdicts[0], byRuling); err != nil {
			return err
		}
		tell(verdicts[0])
	}
	return nil
}
