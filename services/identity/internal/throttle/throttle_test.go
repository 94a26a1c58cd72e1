package throttle_test

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/services/identity/internal/throttle"
)

// TestNIST_3_2_2_waitsGrowUpToALongest holds the numbers of the README: from a
// second on each wait doubles, up to a longest.
func TestNIST_3_2_2_waitsGrowUpToALongest(t *testing.T) {
	for name, c := range map[string]struct {
		free    int
		longest time.Duration
		next    func(i int) throttle.Attempt
	}{
		"account": {20, 5 * time.Minute, func(i int) throttle.Attempt { return at(ada, fmt.Sprintf("198.51.100.%d", i)) }},
		"pair":    {5, 15 * time.Minute, func(int) throttle.Attempt { return at(ada, home) }},
		"device":  {5, 15 * time.Minute, func(int) throttle.Attempt { return throttle.Attempt{Organization: org, Identifier: ada, Device: "d"} }},
		"network": {200, 30 * time.Second, func(i int) throttle.Attempt { return at(fmt.Sprint(i), home) }},
	} {
		t.Run(name, func(t *testing.T) {
			r := newSite(t, "bolt").replica(t, newClock(), throttle.Limits{})
			for i := range c.free + 1 {
				if wait := r.guess(t, c.next(i)); wait != 0 {
					t.Fatalf("attempt %d waits %s", i+1, wait)
				}
			}
			last := time.Duration(0)
			for i := range 12 {
				wait := r.guess(t, c.next(c.free+1+i))
				if i == 0 && wait != time.Second {
					t.Errorf("the first wait is %s, want a second", wait)
				}
				if wait < last || wait > c.longest {
					t.Errorf("wait %d is %s after %s, want more and at most %s", i, wait, last, c.longest)
				}
				last = wait
				r.clock.advance(wait)
				if again := r.guess(t, c.next(c.free+1+i)); again != 0 {
					t.Fatalf("who has waited %s waits %s more", wait, again)
				}
			}
			// While one waits, nearly one leaks out: they meet just below.
			if last < c.longest*3/4 {
				t.Errorf("the longest wait is %s, want nearly %s", last, c.longest)
			}
		})
	}
}

// TestASVS_6_1_1_noWaitLocksAnybodyOut: whatever strangers did, and do
// meanwhile, whoever waits for as long as the answer said is let through.
func TestASVS_6_1_1_noWaitLocksAnybodyOut(t *testing.T) {
	s := newSite(t, "bolt")
	rapid.Check(t, func(rt *rapid.T) {
		r := s.replica(t, newClock(), throttle.Limits{})
		n := rapid.Uint32().Draw(rt, "who")
		// A network of its own: in one of all cases it would be the network that waits.
		who, home := fmt.Sprint(n), fmt.Sprintf("2001:db8:%x:%x::1", n>>16, n&0xffff)
		for _, pause := range rapid.SliceOfN(rapid.IntRange(0, 900), 1, 60).Draw(rt, "pauses in seconds") {
			r.guess(t, at(who, home))
			r.clock.advance(time.Duration(pause) * time.Second)
		}
		wait := r.guess(t, at(who, home))
		if wait == 0 {
			return
		}
		for range 10 { // knocking meanwhile makes it no longer
			r.clock.advance(wait / 10)
			if r.guess(t, at(who, home)) == 0 {
				return
			}
		}
		r.clock.advance(wait % 10)
		if again := r.guess(t, at(who, home)); again != 0 {
			rt.Fatalf("after %s it has to wait %s more", wait, again)
		}
	})
}

func TestAdmit_refusedAttemptsChangeNothing(t *testing.T) {
	r := newSite(t, "bolt").replica(t, newClock(), throttle.Limits{})
	r.guesses(t, at(ada, home))
	first := r.guess(t, at(ada, home))
	for range 50 {
		if wait := r.guess(t, at(ada, home)); wait != first {
			t.Fatalf("knocking makes a wait of %s one of %s", first, wait)
		}
	}
}

// TestASVS_6_3_1_guessesAreFewOverADay bounds what an attacker gets who never
// rests, from one address and from everywhere.
func TestASVS_6_3_1_guessesAreFewOverADay(t *testing.T) {
	day := 24 * time.Hour
	for name, c := range map[string]struct {
		most int
		next func(i int) throttle.Attempt
	}{
		"from one address": {5 + 11 + 96, func(int) throttle.Attempt { return at(ada, home) }},
		"from everywhere":  {20 + 10 + 288, func(i int) throttle.Attempt { return at(ada, fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255)) }},
	} {
		t.Run(name, func(t *testing.T) {
			r := newSite(t, "bolt").replica(t, newClock(), throttle.Limits{})
			n := 0
			for end := r.clock.now().Add(day); r.clock.now().Before(end); {
				wait := r.guess(t, c.next(n))
				if wait == 0 {
					n++
				}
				r.clock.advance(wait)
			}
			if n > c.most {
				t.Errorf("%d guesses in a day, want at most %d", n, c.most)
			}
		})
	}
}

// TestASVS_6_3_1_parallelGuessesAreCounted: guesses that come at once, at two
// replicas, do not slip through under the count.
func TestASVS_6_3_1_parallelGuessesAreCounted(t *testing.T) {
	eachEngine(t, throttle.Limits{}, func(t *testing.T, s *site, r *replica) {
		replicas := []*replica{r, s.replica(t, r.clock, throttle.Limits{})}
		var through atomic.Int64
		var all sync.WaitGroup
		for i := range 60 {
			all.Go(func() {
				if ticket, err := replicas[i%2].Admit(t.Context(), at(ada, home)); err == nil {
					ticket.Failed(t.Context())
					through.Add(1)
				}
			})
		}
		all.Wait()
		if got := through.Load(); got != throttle.DefaultPair+1 {
			t.Errorf("%d of 60 guesses at once are let through, want %d", got, throttle.DefaultPair+1)
		}
	})
}

func TestAdmit_manyPeopleBehindOneAddress(t *testing.T) {
	eachEngine(t, throttle.Limits{}, func(t *testing.T, s *site, r *replica) {
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() {
				ticket, err := r.Admit(t.Context(), at(fmt.Sprint(i), home))
				if err != nil {
					t.Errorf("login %d: %v", i, err)
					return
				}
				if err := ticket.Succeed(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := r.buckets(t); n != 0 {
			t.Errorf("%d buckets are left after logins that were all right", n)
		}
	})
}

// buckets counts what lies in the store.
func (r *replica) buckets(t testing.TB) (n int) {
	t.Helper()
	if err := r.store.View(t.Context(), func(v kv.Reader) error {
		n = 0
		for _, err := range v.Scan(r.book.Tables()[0], kv.Range{}) {
			if err != nil {
				return err
			}
			n++
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestStore_showsNobody: neither what was typed nor from where is in the store.
func TestStore_showsNobody(t *testing.T) {
	r := newSite(t, "bolt").replica(t, newClock(), throttle.Limits{})
	r.guess(t, at(ada, home))
	err := r.store.View(t.Context(), func(v kv.Reader) error {
		for _, table := range r.book.Tables() {
			for item, err := range v.Scan(table, kv.Range{}) {
				if err != nil {
					return err
				}
				for _, secret := range []string{ada, "ada", home, "acme"} {
					if bytes.Contains(item.Key, []byte(secret)) || bytes.Contains(item.Value, []byte(secret)) {
						t.Errorf("%q is in table %s", secret, table)
					}
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
