package reading

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/testkit"
	storev1 "guildhall.dev/proto/gen/guildhall/permission/store/v1"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/permission/internal/people/peopletest"
)

const (
	acme = peopletest.Acme
	sue  = acme + "/staff/sue"
)

// office is a store that several replicas count in.
type office struct {
	*peopletest.House
	rules []*permissionv1.SeparationRule
}

// eachOffice runs a test on both engines, with the rule that a hundred resources
// a minute are too many.
func eachOffice(t *testing.T, test func(o *office)) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			o := &office{peopletest.New(t), []*permissionv1.SeparationRule{ruleOf(100)}}
			o.Open(engine, New(nil, nil).Tables())
			o.Now = at
			test(o)
		})
	}
}

// replica returns a counter as a replica has it, before its Run.
func (o *office) replica() *Counter {
	o.T.Helper()
	c := New(o.Roles.Catalogue().Permissions(), func(kv.Reader) ([]*permissionv1.SeparationRule, error) { return o.rules, nil })
	err := c.Open(Config{
		Store: o.Store, Journal: o.Journal, Key: make([]byte, 32), Logger: slog.New(slog.DiscardHandler),
		Clock: func() time.Time { return o.Now },
	})
	if err != nil {
		o.T.Fatal(err)
	}
	c.refresh(o.T.Context())
	return c
}

// read has sue read resources from the one number to before the other.
func (c *Counter) read(ctx context.Context, from, until int, now time.Time) {
	for i := from; i < until; i++ {
		c.count(ctx, note{acme, sue, "identity.customers.get", fmt.Sprintf("%s/customers/c%d", acme, i), now})
	}
}

func (o *office) alarms() (found []*permissionv1.Alarm) {
	o.T.Helper()
	o.View(func(r kv.Reader) (err error) {
		found, _, err = New(nil, nil).List(r, acme, nil, 100)
		return err
	})
	return found
}

func (o *office) wantAlarms(n int, when string) {
	o.T.Helper()
	if found := o.alarms(); len(found) != n {
		o.T.Errorf("%s: %d alarms, want %d: %v", when, len(found), n, found)
	}
}

func TestMerge_alarmIsOfTheSum(t *testing.T) {
	eachOffice(t, func(o *office) {
		ctx, one, two := t.Context(), o.replica(), o.replica()
		one.read(ctx, 0, 70, o.Now)
		two.read(ctx, 70, 140, o.Now)
		one.merge(ctx)
		o.wantAlarms(0, "one has merged")
		two.merge(ctx)
		o.wantAlarms(1, "both have merged")
		if a := o.alarms()[0]; a.GetSubject() != sue || a.GetRule() != o.rules[0].GetName() || a.GetResources() < 120 || a.GetResources() > 160 {
			t.Errorf("raised %v", a)
		}
		// Both go on: it is the same window.
		for i := range 5 {
			one.read(ctx, 140+20*i, 150+20*i, o.Now)
			two.read(ctx, 150+20*i, 160+20*i, o.Now)
			one.merge(ctx)
			two.merge(ctx)
		}
		o.wantAlarms(1, "within the window")
		if n := one.raised.Load() + two.raised.Load(); n != 1 {
			t.Errorf("counted %d alarms", n)
		}
		// And this is the next one.
		later := o.Now.Add(61 * time.Second)
		one.read(ctx, 0, 70, later)
		two.read(ctx, 70, 140, later)
		one.merge(ctx)
		two.merge(ctx)
		o.wantAlarms(2, "in the next window")
		if n := len(o.Events(raised)); n != 2 {
			t.Errorf("%d events", n)
		}
	})
}

func TestMerge_oneResourceReadThroughTwoReplicasIsOne(t *testing.T) {
	eachOffice(t, func(o *office) {
		ctx, one, two := t.Context(), o.replica(), o.replica()
		for range 2 {
			one.read(ctx, 0, 70, o.Now)
			two.read(ctx, 0, 70, o.Now)
			one.merge(ctx)
			two.merge(ctx)
		}
		o.wantAlarms(0, "seventy resources")
	})
}

func TestMerge_oneReplicaThatHasSeenEnoughWaitsForNothing(t *testing.T) {
	eachOffice(t, func(o *office) {
		o.replica().read(t.Context(), 0, 130, o.Now)
		o.wantAlarms(1, "before a merge is due")
	})
}

// TestMerge_countOutlivesTheReplica: what was merged is not lost with the
// process, nor is who was told.
func TestMerge_countOutlivesTheReplica(t *testing.T) {
	eachOffice(t, func(o *office) {
		ctx, one := t.Context(), o.replica()
		one.read(ctx, 0, 80, o.Now)
		one.merge(ctx)
		two := o.replica()
		two.read(ctx, 80, 140, o.Now)
		two.merge(ctx)
		o.wantAlarms(1, "by the second")
		three := o.replica()
		three.read(ctx, 0, 200, o.Now)
		three.merge(ctx)
		o.wantAlarms(1, "by the third")
	})
}

// TestMerge_storeThatFailsLosesNothing: what could not be merged is merged later.
func TestMerge_storeThatFailsLosesNothing(t *testing.T) {
	eachOffice(t, func(o *office) {
		ctx, one := t.Context(), o.replica()
		o.Store.Broken = true
		one.read(ctx, 0, 150, o.Now)
		one.merge(ctx)
		o.wantAlarms(0, "while the store is broken")
		o.Store.Broken = false
		one.merge(ctx)
		o.wantAlarms(1, "when it is well")
	})
}

// TestMerge_clockThatIsBehindCounts: the reads through a replica whose clock is
// behind another's by many windows count, and do not count for ever.
func TestMerge_clockThatIsBehindCounts(t *testing.T) {
	eachOffice(t, func(o *office) {
		ctx, one, behind := t.Context(), o.replica(), o.replica()
		ahead := o.Now.Add(time.Hour)
		one.read(ctx, 0, 70, ahead)
		one.merge(ctx)
		behind.read(ctx, 70, 140, o.Now)
		behind.merge(ctx)
		o.wantAlarms(1, "with clocks an hour apart")
		// A window later nothing is left of it, by whichever clock.
		one.read(ctx, 1000, 1010, ahead.Add(2*time.Minute))
		one.merge(ctx)
		behind.read(ctx, 1010, 1060, o.Now.Add(2*time.Minute))
		behind.merge(ctx)
		o.wantAlarms(1, "a window later")
	})
}

// TestMerge_ruleThatChangesBeginsAnew: bits of another size say nothing.
func TestMerge_ruleThatChangesBeginsAnew(t *testing.T) {
	eachOffice(t, func(o *office) {
		ctx, one := t.Context(), o.replica()
		one.read(ctx, 0, 90, o.Now)
		one.merge(ctx)
		changed := ruleOf(300)
		changed.Name = o.rules[0].GetName()
		o.rules = []*permissionv1.SeparationRule{changed}
		one.refresh(ctx)
		one.read(ctx, 0, 250, o.Now)
		one.merge(ctx)
		o.wantAlarms(0, "below the new threshold")
		one.read(ctx, 250, 380, o.Now)
		o.wantAlarms(1, "above it")
	})
}

func TestSweep_leavesWhatStillCounts(t *testing.T) {
	eachOffice(t, func(o *office) {
		ctx, c := t.Context(), o.replica()
		records := func() (n int) {
			o.View(func(r kv.Reader) error {
				n = 0
				for _, err := range c.readings.Scan(r, kv.Query{}) {
					if err != nil {
						return err
					}
					n++
				}
				return nil
			})
			return n
		}
		c.read(ctx, 0, 5, o.Now)
		c.merge(ctx)
		old := &storev1.Reading{Rule: "r", Subject: "s", EndTime: timestamppb.New(o.Now.Add(-time.Hour))}
		if err := o.Store.Update(ctx, func(tx kv.Tx) error { _, err := c.readings.Put(tx, old, ""); return err }); err != nil {
			t.Fatal(err)
		}
		if c.refresh(ctx); records() != 1 {
			t.Errorf("%d records are left, want 1", records())
		}
		o.Now = o.Now.Add(2 * time.Hour)
		if c.refresh(ctx); records() != 0 {
			t.Errorf("%d records are left, want none", records())
		}
	})
}

// TestRun_replicasAtWork merge by themselves, and at last when they end.
func TestRun_replicasAtWork(t *testing.T) {
	eachOffice(t, func(o *office) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var running sync.WaitGroup
		for i := range 2 {
			c := o.replica()
			for j := range 70 {
				c.Note(acme, sue, "identity.customers.get", fmt.Sprintf("%s/customers/%d-%d", acme, i, j), o.Now)
			}
			running.Go(func() { c.Run(ctx) })
		}
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for deadline := time.Now().Add(30 * time.Second); len(o.alarms()) == 0 && time.Now().Before(deadline); {
			<-tick.C
		}
		cancel()
		running.Wait()
		o.wantAlarms(1, "at the end")
	})
}
