package segment

import (
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/expression"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// maxFlips bounds how often a rule is run to see what time makes of it.
const maxFlips = 64

// outlook is what a rule says of a customer that is active and is not changed any
// more: whether it is in the segment, and the moments at which that turns.
//
// Without it there would be ways around a permit: suspend a customer, change what
// its denials follow from, and enable it; give a tag before the invitation is
// accepted; or set the day that a rule waits for to tomorrow.
type outlook struct {
	in    bool
	flips []time.Time
}

func (o outlook) equal(other outlook) bool {
	return o.in == other.in && slices.EqualFunc(o.flips, other.flips, time.Time.Equal)
}

// foresee returns the outlook of a rule for a customer, as facts of activated has
// it.
func foresee(l *expression.Language, rule string, customer map[string]any, now time.Time) outlook {
	outcome, due := run(l, rule, customer, now)
	o := outlook{in: outcome == isTrue}
	in := o.in
	for n := 0; !due.IsZero() && n < maxFlips; n++ {
		at := due
		if outcome, due = run(l, rule, customer, at); (outcome == isTrue) != in {
			in = !in
			o.flips = append(o.flips, at)
		}
	}
	return o
}

// activated returns a customer as it is once it is active.
func activated(a *storev1.Account) *storev1.Account {
	out := proto.CloneOf(a)
	out.State = identityv1.AccountState_ACCOUNT_STATE_ACTIVE
	return out
}

// unwritten returns what of a new customer nobody chose.
func unwritten(a *storev1.Account) *storev1.Account {
	return &storev1.Account{Name: a.GetName(), State: a.GetState(), CreateTime: a.GetCreateTime()}
}

// askAll asks the permit for the moves that a change of a customer makes, and for
// those that it makes sure of: when the customer is activated, and in time. The
// permit hears of all of them.
func (p Permit) askAll(l *expression.Language, was, now *storev1.Account, verdicts []verdict, at time.Time) error {
	if p == nil {
		return nil
	}
	if was == nil {
		was = unwritten(now)
	}
	before, after := facts(activated(was)), facts(activated(now))
	var refused error
	for _, v := range verdicts {
		rule := v.segment.GetRule()
		for _, m := range moves(v, foresee(l, rule, before, at), foresee(l, rule, after, at)) {
			if err := p.ask(m); err != nil {
				refused = err
			}
		}
	}
	return refused
}

// moves returns those that come of a verdict, and of another outlook.
func moves(v verdict, from, to outlook) (all []Move) {
	joins, leaves := v.in && !v.was, v.was && !v.in
	switch {
	case from.equal(to):
	case len(from.flips)+len(to.flips) > 0:
		joins, leaves = true, true
	default:
		joins, leaves = joins || to.in, leaves || !to.in
	}
	if joins {
		all = append(all, Move{Segment: v.segment.GetName(), Joins: true})
	}
	if leaves {
		all = append(all, Move{Segment: v.segment.GetName()})
	}
	return all
}
