package lease

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"guildhall.dev/pkg/errs"
)

// bubble runs a test in a world whose time is its own.
func bubble(t *testing.T, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(newWorld(t)) })
}

func (w *world) joinThree() (a, b, c *replica) {
	w.t.Helper()
	a, b, c = w.join(Config{}, 0), w.join(Config{}, 0), w.join(Config{}, 0)
	w.await(func() bool { return a.keeper.Holds() && b.keeper.Holds() && c.keeper.Holds() })
	return a, b, c
}

func TestSettle_allHaveAppliedWhenItReturns(t *testing.T) {
	bubble(t, func(w *world) {
		a, b, c := w.joinThree()
		for i := range 20 {
			n, took := []*replica{a, b, c}[i%3].change()
			if took > DefaultRenewal+2*lastPause {
				t.Errorf("a change took %s", took)
			}
			for _, r := range []*replica{a, b, c} {
				r.wantAtLeast(n)
				if !r.keeper.Holds() {
					t.Error("a replica that is well holds no lease")
				}
			}
		}
	})
}

func TestSettle_aloneWaitsForNobody(t *testing.T) {
	bubble(t, func(w *world) {
		a := w.join(Config{}, 0)
		w.await(a.keeper.Holds)
		n, took := a.change()
		a.wantAtLeast(n)
		if took != 0 {
			t.Errorf("took %s", took)
		}
		// One that holds no lease itself is not expected: it waits for the
		// renewal after that which has seen its change.
		if _, took := w.idle(Config{}, 0).change(); took > 2*DefaultRenewal+2*lastPause {
			t.Errorf("took %s", took)
		}
	})
}

// TestSettle_frozenReplica stops a replica at each moment of its work, for
// shorter and for longer than its lease, while another makes a change; and
// lets it go on right after the change has returned.
func TestSettle_frozenReplica(t *testing.T) {
	for at := range moments + 1 {
		for _, before := range []time.Duration{0, time.Second, 4 * time.Second} {
			t.Run(fmt.Sprintf("moment=%d/before=%s", at, before), func(t *testing.T) {
				bubble(t, func(w *world) {
					a, b, c := w.joinThree()
					b.store.freeze(at)
					time.Sleep(before)
					n, took := a.change()
					if took > DefaultLength+2*lastPause {
						t.Errorf("the change took %s", took)
					}
					b.wantAtLeast(n)
					c.wantAtLeast(n)
					b.store.thaw()
					for range 1000 {
						b.wantAtLeast(n)
						time.Sleep(time.Millisecond)
					}
					if !b.keeper.Holds() {
						t.Error("it did not come back")
					}
				})
			})
		}
	}
}

// TestSettle_replicaThatComesBack stops one that everybody has given up at each
// moment of its return, while a change goes by that does not wait for it; and
// once more at each moment after that.
func TestSettle_replicaThatComesBack(t *testing.T) {
	for at := range moments {
		for then := range moments {
			t.Run(fmt.Sprintf("moment=%d/then=%d", at, then), func(t *testing.T) {
				bubble(t, func(w *world) {
					a, b, _ := w.joinThree()
					b.store.gone.Store(true)
					a.change()
					b.store.freeze(at)
					b.store.gone.Store(false)
					time.Sleep(DefaultRenewal + 50*time.Millisecond) // it stands there
					n, _ := a.change()
					b.store.freeze(then)
					for range 500 {
						b.wantAtLeast(n)
						time.Sleep(time.Millisecond)
					}
					b.store.thaw()
					w.await(b.keeper.Holds)
					b.wantAtLeast(n)
				})
			})
		}
	}
}

func TestSettle_deadReplicaIsWaitedForOnce(t *testing.T) {
	bubble(t, func(w *world) {
		a, b, _ := w.joinThree()
		b.store.freeze(moments)
		if _, took := a.change(); took < DefaultLength/2 || took > DefaultLength+2*lastPause {
			t.Errorf("the first change took %s", took)
		}
		if _, took := a.change(); took > DefaultRenewal+2*lastPause {
			t.Errorf("the second change took %s", took)
		}
		w.await(func() bool { return len(w.rows()) == 2 }) // swept
		b.store.thaw()
		w.await(func() bool { return len(w.rows()) == 3 && b.keeper.Holds() })
	})
}

// TestSettle_whatIsNotAppliedIsNotAcknowledged: a replica that reads of a change
// and cannot bring its memory up to date loses its lease over it.
func TestSettle_whatIsNotAppliedIsNotAcknowledged(t *testing.T) {
	bubble(t, func(w *world) {
		a, b, _ := w.joinThree()
		b.forgetful.Store(true)
		n, _ := a.change()
		b.wantAtLeast(n)
		if b.keeper.Holds() {
			t.Error("it holds a lease on memory that is old")
		}
		b.forgetful.Store(false)
		w.await(b.keeper.Holds)
		b.wantAtLeast(n)
	})
}

func TestSettle_lengthIsThatOfTheRow(t *testing.T) {
	bubble(t, func(w *world) {
		short, long := w.join(Config{Length: time.Second}, 0), w.join(Config{Length: 10 * time.Second}, 0)
		w.await(func() bool { return short.keeper.Holds() && long.keeper.Holds() })
		long.store.freeze(moments)
		n, took := short.change()
		if took < 9*time.Second || took > 10*time.Second+2*lastPause {
			t.Errorf("took %s", took)
		}
		long.wantAtLeast(n)
	})
}

func TestSettle_cutOffIsPendingAndWaitsAgain(t *testing.T) {
	bubble(t, func(w *world) {
		a, b, _ := w.joinThree()
		b.store.freeze(moments)
		n, err := a.commit(w.t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Second)
		defer cancel()
		err = a.keeper.Settle(ctx)
		if !errs.Is(err, errs.Unavailable) || errs.ReasonOf(err) != ReasonPending || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if v, remembered := b.check(); v >= n || !remembered {
			t.Error("the change is in effect: the test proves nothing")
		}
		if err := a.keeper.Settle(w.t.Context()); err != nil {
			t.Error(err)
		}
		b.wantAtLeast(n)
	})
}

func TestHolds_endsWhenTheStoreIsGone(t *testing.T) {
	bubble(t, func(w *world) {
		a := w.join(Config{}, 0)
		w.await(a.keeper.Holds)
		a.store.gone.Store(true)
		time.Sleep(DefaultLength / 2)
		if !a.keeper.Holds() {
			t.Error("the lease ended early")
		}
		time.Sleep(DefaultLength / 2)
		if a.keeper.Holds() {
			t.Error("the lease has not ended")
		}
		a.store.gone.Store(false)
		w.await(a.keeper.Holds)
	})
}

func TestRun_gracefulStopGivesTheLeaseBack(t *testing.T) {
	bubble(t, func(w *world) {
		a, b, c := w.joinThree()
		b.stop()
		if b.keeper.Holds() || len(w.rows()) != 2 {
			t.Errorf("holds %t, %d rows", b.keeper.Holds(), len(w.rows()))
		}
		n, took := a.change()
		if took > DefaultRenewal+2*lastPause {
			t.Errorf("took %s", took)
		}
		c.wantAtLeast(n)
	})
}

// TestStats_sayHowWaitsEnd also holds the cost of Holds, which each check pays.
func TestStats_sayHowWaitsEnd(t *testing.T) {
	bubble(t, func(w *world) {
		reader := metric.NewManualReader()
		meter := metric.NewMeterProvider(metric.WithReader(reader)).Meter("test")
		a, b := w.join(Config{Meter: meter}, 0), w.join(Config{}, 0)
		w.await(func() bool { return a.keeper.Holds() && b.keeper.Holds() })
		a.change()
		b.store.freeze(moments)
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Millisecond)
		defer cancel()
		if err := a.keeper.Settle(ctx); err == nil {
			a.commit(w.t.Context())
			err = a.keeper.Settle(ctx)
			if err == nil {
				t.Error("nobody was waited for")
			}
		}
		a.change()
		var all metricdata.ResourceMetrics
		if err := reader.Collect(w.t.Context(), &all); err != nil {
			t.Fatal(err)
		}
		waits := make(map[string]uint64)
		for _, m := range all.ScopeMetrics[0].Metrics {
			if data, ok := m.Data.(metricdata.Histogram[float64]); ok && m.Name == "guildhall.permission.change.wait" {
				for _, p := range data.DataPoints {
					outcome, _ := p.Attributes.Value("outcome")
					waits[outcome.AsString()] = p.Count
				}
			}
		}
		for _, outcome := range []string{outcomeAcknowledged, outcomeRanOut, outcomePending} {
			if waits[outcome] == 0 {
				t.Errorf("no wait ended %s: %v", outcome, waits)
			}
		}
		if n := testing.AllocsPerRun(100, func() { a.keeper.Holds() }); n != 0 {
			t.Errorf("Holds makes %v allocations", n)
		}
	})
}

func TestTerm_isOverByEitherClock(t *testing.T) {
	now := time.Now()
	term := newTerm(now, 16*time.Second)
	for d, want := range map[time.Duration]bool{0: true, 15*time.Second - 1: true, 15 * time.Second: false, time.Hour: false} {
		if got := term.runs(now.Add(d)); got != want {
			t.Errorf("after %s: %t", d, got)
		}
	}
	// A time without its monotonic reading stands for a wall clock that has
	// gone on by itself, while the machine slept.
	if term.runs(now.Round(0).Add(time.Minute)) {
		t.Error("runs although the wall clock says that it is over")
	}
}

func TestNew_refusesLengthsThatCannotBe(t *testing.T) {
	w := newWorld(t)
	for _, cfg := range []Config{
		{Length: time.Millisecond}, {Length: time.Hour}, {Length: time.Second, Renewal: time.Second}, {Renewal: -1}, {Length: -1},
	} {
		cfg.Store, cfg.Apply = w.store, (&replica{}).apply
		if _, err := New(cfg); err == nil {
			t.Errorf("%+v is taken", cfg)
		}
	}
}

// TestSettle_randomly lets replicas with clocks of different rates be slow,
// freeze, stop and join, while they make changes and check.
func TestSettle_randomly(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			bubble(t, func(w *world) { runRandomly(w, rand.New(rand.NewPCG(seed, 0))) })
		})
	}
}

func runRandomly(w *world, random *rand.Rand) {
	var mu sync.Mutex
	dice := func(n int) int { mu.Lock(); defer mu.Unlock(); return random.IntN(n) }
	cfg := Config{Length: time.Second, Renewal: 200 * time.Millisecond}
	w.delay = func(moment) {
		switch d := dice(1000); {
		case d < 4:
			time.Sleep(time.Duration(dice(3000)) * time.Millisecond)
		case d < 200:
			time.Sleep(time.Duration(dice(20)) * time.Millisecond)
		}
	}
	start := func() *replica { return w.join(cfg, 0.98+float64(dice(5))/100) }
	var returned atomic.Uint64
	replicas := []*replica{start(), start(), start()}
	end := time.Now().Add(20 * time.Second)
	for time.Now().Before(end) {
		var acting sync.WaitGroup
		for _, r := range replicas {
			acting.Go(func() {
				for range 20 {
					seen := returned.Load()
					r.wantAtLeast(seen)
					time.Sleep(time.Duration(dice(30)) * time.Millisecond)
				}
			})
		}
		writer := replicas[dice(len(replicas))]
		acting.Go(func() {
			n, _ := writer.change()
			for old := returned.Load(); old < n && !returned.CompareAndSwap(old, n); old = returned.Load() {
			}
		})
		acting.Wait()
		if i := dice(len(replicas)); dice(4) == 0 {
			replicas[i].stop()
			replicas[i] = start()
		}
	}
}
