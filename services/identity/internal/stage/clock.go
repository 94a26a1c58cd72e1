package stage

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/revise"
)

// A clock runs while a customer is in a stage that time ends: since when it has
// bought nothing. It is found by how long that is, so that a sweep reads only those
// whose time is over.

// timed reports whether time ends a stage.
func timed(s identityv1.LifecycleStage) bool { return s == Customer || s == AtRisk || s == WonBack }

// Wind sets the clock of a customer who is in a stage now and bought last at a time,
// zero for never; since is when it came there, and byHand says that somebody put it
// there: then it has its time from there. No clock runs in other stages.
func (b *Book) Wind(tx kv.Tx, customer string, s identityv1.LifecycleStage, bought, since time.Time, byHand bool) error {
	if !timed(s) {
		return b.Unwind(tx, customer)
	}
	idle := bought
	if bought.IsZero() || byHand && since.After(bought) {
		idle = since
	}
	_, err := b.clocks.Put(tx, &storev1.StageClock{Customer: customer, Stage: s, IdleSince: timestamppb.New(idle)}, "")
	return err
}

// Bought sets a clock that runs to a purchase, unless that is older than what it
// says.
func (b *Book) Bought(tx kv.Tx, customer string, at time.Time) error {
	rec, found, err := b.clocks.Find(tx, key(customer))
	if err != nil || !found || !at.After(rec.Value.GetIdleSince().AsTime()) {
		return err
	}
	_, err = b.clocks.Modify(tx, key(customer), "", func(c *storev1.StageClock) error {
		c.IdleSince = timestamppb.New(at)
		return nil
	})
	return err
}

// Unwind stops the clock of a customer, if one runs.
func (b *Book) Unwind(tx kv.Tx, customer string) error {
	_, err := b.clocks.Remove(tx, key(customer))
	return err
}

// Idle returns the names of up to limit customers whose time in their stage is over,
// of organisations whose policy says how long it is.
func (b *Book) Idle(r kv.Reader, now time.Time, limit int) (names []string, err error) {
	for policy, err := range b.Policies.Scan(r, kv.Query{Index: byPeriods}) {
		if err != nil {
			return nil, err
		}
		for _, s := range All() {
			period := periodOf(policy.Value, s)
			if period == 0 {
				continue
			}
			page, err := b.clocks.List(r, kv.Query{
				Index: byIdle, Prefix: kv.Key{kv.String(revise.ParentOf(policy.Value.GetName())), kv.String(Name(s))},
				Until: kv.Key{kv.Time(now.Add(-period).Add(1))}, Limit: limit - len(names),
			})
			if err != nil {
				return nil, err
			}
			for _, rec := range page.Records {
				names = append(names, rec.Value.GetCustomer())
			}
			if len(names) == limit {
				return names, nil
			}
		}
	}
	return names, nil
}

// periodOf returns after how long without a purchase a policy ends a stage; zero is
// never.
func periodOf(p *identityv1.StagePolicy, s identityv1.LifecycleStage) time.Duration {
	risk, lapse := p.GetAtRiskAfter().AsDuration(), p.GetLapsedAfter().AsDuration()
	switch {
	case !timed(s):
		return 0
	case s == AtRisk || risk == 0:
		return lapse
	default:
		return risk
	}
}

// Due returns where a customer goes from a stage because of the time that its clock
// says, and that time; the stage itself when it stays.
func (b *Book) Due(r kv.Reader, p *identityv1.StagePolicy, customer string, s identityv1.LifecycleStage, now time.Time) (identityv1.LifecycleStage, time.Time, error) {
	rec, found, err := b.clocks.Find(r, key(customer))
	if err != nil || !found || rec.Value.GetStage() != s {
		return s, time.Time{}, err
	}
	since := rec.Value.GetIdleSince().AsTime()
	return aged(p, s, now.Sub(since)), since, nil
}

// aged returns where a customer is who was in a stage and has bought nothing for a
// time.
func aged(p *identityv1.StagePolicy, s identityv1.LifecycleStage, idle time.Duration) identityv1.LifecycleStage {
	risk, lapse := p.GetAtRiskAfter().AsDuration(), p.GetLapsedAfter().AsDuration()
	switch {
	case !timed(s):
		return s
	case lapse > 0 && idle >= lapse:
		return Lapsed
	case risk > 0 && idle >= risk:
		return AtRisk
	default:
		return s
	}
}

// Follows returns where a customer goes from a stage, to which it came at a time, by
// a purchase of another; the stage itself when it stays. Excused says that it would
// not have come there, had the purchase been told of in time.
func Follows(s identityv1.LifecycleStage, since, bought time.Time, excused bool) identityv1.LifecycleStage {
	switch {
	case s == Lead || s == Prospect:
		return Customer
	case (s == AtRisk || s == Lapsed) && (excused || bought.After(since)):
		return WonBack
	default:
		return s
	}
}

// Excused reports whether a purchase of a time, of which is told now, keeps a
// customer from where time has brought it: orders come a day late from many systems.
// Where somebody has put it, it stays.
func (b *Book) Excused(r kv.Reader, p *identityv1.StagePolicy, customer string, bought, now time.Time) (bool, error) {
	last, err := b.last(r, customer)
	return err == nil && last.GetCause() == Inactivity && periodOf(p, Customer) > 0 && aged(p, Customer, now.Sub(bought)) == Customer, err
}
