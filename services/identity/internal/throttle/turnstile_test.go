package throttle_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/services/identity/internal/throttle"
)

func TestNetwork(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "::ffff:192.0.2.7": "192.0.2.7",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "2001:db8:1:2::": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64",
		"": "", "localhost": "", "192.0.2.7:80": "",
	} {
		if got := throttle.Network(address); got != want {
			t.Errorf("Network(%q) is %q, want %q", address, got, want)
		}
	}
}

// TestAdmit_aNetworkIsOneAttacker: all addresses of a /64 count as one, and
// those of another do not wait with them.
func TestAdmit_aNetworkIsOneAttacker(t *testing.T) {
	r := newSite(t, "bolt").replica(t, newClock(), throttle.Limits{})
	for i := range throttle.DefaultPair + 1 {
		r.guess(t, at(ada, fmt.Sprintf("2001:db8::%x", i+1)))
	}
	if r.guess(t, at(ada, "2001:db8::ffff")) == 0 {
		t.Error("another address of the same /64 is let through")
	}
	if wait := r.guess(t, at(ada, "2001:db8:0:1::1")); wait != 0 {
		t.Errorf("another /64 waits %s", wait)
	}
}

// TestAdmit_knownAndUnknownWaitAlike: what is counted is what was typed.
func TestAdmit_knownAndUnknownWaitAlike(t *testing.T) {
	r := newSite(t, "bolt").replica(t, newClock(), throttle.Limits{})
	for _, who := range []throttle.Attempt{at(ada, home), at("nobody@example.com", home), {Organization: "organizations/none", Identifier: ada, Address: home}} {
		if n := r.guesses(t, who); n != throttle.DefaultPair+1 {
			t.Errorf("%s in %s: %d guesses, want %d", who.Identifier, who.Organization, n, throttle.DefaultPair+1)
		}
		if wait := r.guess(t, who); wait != time.Second {
			t.Errorf("%s in %s waits %s", who.Identifier, who.Organization, wait)
		}
	}
}

func TestSucceed_endsThePairsWaitAndNotTheNetworks(t *testing.T) {
	eachEngine(t, throttle.Limits{Network: 30}, func(t *testing.T, _ *site, r *replica) {
		for range 3 {
			for range throttle.DefaultPair {
				r.guess(t, at(ada, home))
			}
			r.login(t, at(ada, home))
		}
		// 15 wrong ones are behind: the network is let through 16 more.
		n := 0
		for r.guess(t, at(fmt.Sprint(n), home)) == 0 {
			n++
		}
		if n != 16 {
			t.Errorf("the network is let through %d more, want 16: own logins must not buy guesses", n)
		}
		if wait := r.guess(t, at("x", home)); wait != time.Second {
			t.Errorf("the network waits %s", wait)
		}
	})
}

func TestSucceed_takesBackWhatItCountedAtTheAccount(t *testing.T) {
	r := newSite(t, "bolt").replica(t, newClock(), throttle.Limits{})
	for i := range 100 {
		r.login(t, at(ada, fmt.Sprintf("192.0.2.%d", i)))
	}
	for i := range throttle.DefaultAccount + 1 {
		if wait := r.guess(t, at(ada, fmt.Sprintf("198.51.100.%d", i))); wait != 0 {
			t.Fatalf("after logins guess %d waits %s", i, wait)
		}
	}
	wait := r.guess(t, at(ada, "203.0.113.1"))
	r.clock.advance(wait)
	r.login(t, at(ada, "203.0.113.1"))
	if again := r.guess(t, at(ada, "203.0.113.2")); again != 0 {
		t.Errorf("behind a login that had waited the next waits %s", again)
	}
}

func TestReturn_givesTheAttemptBack(t *testing.T) {
	r := newSite(t, "bolt").replica(t, newClock(), throttle.Limits{})
	for range 50 {
		ticket, err := r.Admit(t.Context(), at(ada, home))
		if err != nil {
			t.Fatal(err)
		}
		if err := ticket.Return(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := r.buckets(t); n != 0 {
		t.Errorf("%d buckets are left of attempts that were none", n)
	}
}

// TestAdmit_aKnownDevicePasses: while strangers guess, the owner's device is let
// through, and who stole it may guess no more than a stranger.
func TestAdmit_aKnownDevicePasses(t *testing.T) {
	eachEngine(t, throttle.Limits{}, func(t *testing.T, _ *site, r *replica) {
		for i := range 60 {
			r.guess(t, at(ada, fmt.Sprintf("198.51.100.%d", i)))
		}
		if r.guess(t, at(ada, home)) == 0 {
			t.Fatal("the account is not under attack")
		}
		known := throttle.Attempt{Organization: org, Identifier: ada, Address: home, Device: "phone"}
		r.login(t, known)
		if n := r.guesses(t, known); n != throttle.DefaultPair+1 {
			t.Errorf("a stolen device is let through %d times, want %d", n, throttle.DefaultPair+1)
		}
		other := known
		other.Device = "laptop"
		if wait := r.guess(t, other); wait != 0 {
			t.Errorf("another device waits %s for the stolen one", wait)
		}
	})
}

// TestAdmit_rightOnesAtOnceDoNotWaitForEachOther: but who stands by while wrong
// ones are compared is told to wait when they have landed.
func TestAdmit_rightOnesAtOnceDoNotWaitForEachOther(t *testing.T) {
	eachEngine(t, throttle.Limits{}, func(t *testing.T, _ *site, r *replica) {
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() { r.login(t, at(ada, home)) })
		}
		all.Wait()
		var tickets []*throttle.Ticket
		for range throttle.DefaultPair + 1 {
			ticket, err := r.Admit(t.Context(), at(ada, home))
			if err != nil {
				t.Fatal(err)
			}
			tickets = append(tickets, ticket)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := r.Admit(gone, at(ada, home)); !errors.Is(err, context.Canceled) {
			t.Errorf("who is gone stands by and gets %v", err)
		}
		late := make(chan time.Duration, 1)
		go func() { late <- r.guess(t, at(ada, home)) }()
		for _, ticket := range tickets {
			ticket.Failed(t.Context())
		}
		if wait := <-late; wait != time.Second {
			t.Errorf("behind wrong ones the wait is %s, want a second", wait)
		}
	})
}

func TestAdmit_countsSurviveARestart(t *testing.T) {
	eachEngine(t, throttle.Limits{}, func(t *testing.T, s *site, r *replica) {
		r.guesses(t, at(ada, home))
		again := s.replica(t, r.clock, throttle.Limits{})
		if wait := again.guess(t, at(ada, home)); wait != time.Second {
			t.Errorf("after a restart the wait is %s, want a second", wait)
		}
	})
}

// TestAdmit_clocksDiffer: replicas whose clocks are apart neither let more
// through than the skew allows, nor does a clock that was wrong lock anybody out.
func TestAdmit_clocksDiffer(t *testing.T) {
	s := newSite(t, "bolt")
	right, fast, wrong := newClock(), newClock(), newClock()
	fast.advance(10 * time.Second)
	wrong.advance(1000 * time.Hour)
	r, f, w := s.replica(t, right, throttle.Limits{}), s.replica(t, fast, throttle.Limits{}), s.replica(t, wrong, throttle.Limits{})
	n := f.guesses(t, at(ada, home))
	if wait := r.guess(t, at(ada, home)); wait != 11*time.Second {
		t.Errorf("ten seconds behind, %d guesses later, the wait is %s, want 11s", n, wait)
	}
	w.guesses(t, at("bob", home))
	if wait := r.guess(t, at("bob", home)); wait != 0 {
		t.Errorf("a clock that was wrong by weeks makes others wait %s", wait)
	}
	if wait := r.guess(t, at("bob", home)); wait == 0 || wait > 15*time.Minute {
		t.Errorf("after an attempt by a right clock the wait is %s", wait)
	}
}

func TestFailed_tellsOnceThatWaitsBegin(t *testing.T) {
	r := newSite(t, "bolt").replica(t, newClock(), throttle.Limits{})
	told := 0
	guess := func() {
		ticket, err := r.Admit(t.Context(), at(ada, home))
		if err == nil && ticket.Failed(t.Context()) {
			told++
		}
	}
	for range 300 { // for three days, at just the rate that is let through
		guess()
		r.clock.advance(15 * time.Minute)
	}
	for range 20 {
		guess()
		r.clock.advance(15 * time.Minute)
	}
	if told != 0 {
		t.Errorf("a guess each quarter of an hour makes nobody wait, but was told of %d times", told)
	}
	for range 40 {
		guess()
		r.clock.advance(time.Minute)
	}
	if told != 1 {
		t.Errorf("of waits that began once was told %d times", told)
	}
	r.clock.advance(24 * time.Hour)
	for range throttle.DefaultPair + 1 {
		guess()
	}
	if told != 2 {
		t.Errorf("of waits that began anew was told %d times, want 2", told)
	}
}

func TestSweep_removesWhatIsOver(t *testing.T) {
	eachEngine(t, throttle.Limits{}, func(t *testing.T, _ *site, r *replica) {
		for i := range 10 {
			r.guess(t, at(fmt.Sprint(i), home))
		}
		if n, err := r.Sweep(t.Context()); n != 0 || err != nil {
			t.Errorf("%d buckets that count are removed, %v", n, err)
		}
		r.clock.advance(3 * time.Hour)
		if n, err := r.Sweep(t.Context()); n != 21 || err != nil || r.buckets(t) != 0 {
			t.Errorf("%d buckets are removed, want 21, %v; %d are left", n, err, r.buckets(t))
		}
	})
}

func TestLookAndClear(t *testing.T) {
	eachEngine(t, throttle.Limits{}, func(t *testing.T, _ *site, r *replica) {
		name := org + "/customers/ada"
		for i := range 60 {
			r.guess(t, at(ada, fmt.Sprintf("198.51.100.%d", i)))
		}
		r.guesses(t, at(name, home))
		look := func() (l throttle.Look) {
			t.Helper()
			if err := r.store.View(t.Context(), func(v kv.Reader) (err error) {
				l, err = r.book.Look(v, org, []string{name, ada}, r.clock.now())
				return err
			}); err != nil {
				t.Fatal(err)
			}
			return l
		}
		if got := look(); got.Attempts != 27 || got.Waiting != 1 || !got.Ready.Equal(r.clock.now().Add(time.Second)) {
			t.Errorf("the look is %+v", got)
		}
		var cleared int
		if err := r.store.Update(t.Context(), func(tx kv.Tx) (err error) {
			cleared, err = r.book.Clear(tx, org, []string{name, ada})
			return err
		}); err != nil || cleared == 0 {
			t.Fatalf("clear: %d, %v", cleared, err)
		}
		if got := look(); got != (throttle.Look{}) {
			t.Errorf("after it was cleared the look is %+v", got)
		}
		if wait := r.guess(t, at(name, home)); wait != 0 {
			t.Errorf("after it was cleared the wait is %s", wait)
		}
	})
}
