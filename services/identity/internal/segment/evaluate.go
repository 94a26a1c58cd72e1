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

// Customers returns a page of an organisation's customers that are not deleted,
// by name, and where to go on behind it, nil at the end.
type Customers func(r kv.Reader, organization string, after []byte, limit int) ([]*storev1.Account, []byte, error)

// Evaluate begins to hold the rule of a segment against all customers, from the
// first. Errors are NotFound (SEGMENT_NOT_FOUND), Precondition
// (SEGMENT_NOT_RULE), and what the permit returns.
func (b *Book) Evaluate(tx *change.Tx, name string, permit Permit) (*identityv1.SegmentEvaluation, error) {
	s, err := b.withRule(tx, name)
	if err != nil {
		return nil, err
	}
	if err := permit.ask(name); err != nil {
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
	_, err := b.evaluations.Put(tx, &storev1.SegmentEvaluation{Evaluation: e}, "")
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

// Step evaluates some customers more. Where it is is part of the transaction, so
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
	accounts, next, err := customers(tx, resource.Parent(name), rec.Value.GetAfter(), stepSize)
	if err != nil {
		return err
	}
	now := proto.CloneOf(rec.Value)
	for _, a := range accounts {
		if err := b.evaluate(tx, s, a, now.GetEvaluation()); err != nil {
			return err
		}
	}
	if now.After = next; next == nil {
		now.Evaluation.State, now.Evaluation.EndTime = done, timestamppb.New(tx.Time)
	}
	_, err = b.evaluations.Update(tx, now, "")
	return err
}

// evaluate holds one rule against one customer and counts what comes of it.
func (b *Book) evaluate(tx *change.Tx, s *identityv1.Segment, a *storev1.Account, e *identityv1.SegmentEvaluation) error {
	verdicts, err := b.judge(tx, a, []*identityv1.Segment{s})
	if err != nil {
		return err
	}
	v := verdicts[0]
	e.EvaluatedCount++
	if v.in {
		e.MemberCount++
	}
	if v.in && !v.was {
		e.JoinedCount++
	}
	if v.was && !v.in {
		e.LeftCount++
	}
	return b.follow(tx, a.GetName(), v, byRuling)
}
