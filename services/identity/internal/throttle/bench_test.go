package throttle_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"guildhall.dev/pkg/audit"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/feed"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/page"
	"guildhall.dev/pkg/seal"
	"guildhall.dev/pkg/testkit"
	"guildhall.dev/services/identity/internal/throttle"
)

const (
	org  = "organizations/acme"
	ada  = "ada@example.com"
	home = "192.0.2.7"
)

// clock is one that a test moves.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.at.Store(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.at.Load()) }
func (c *clock) advance(d time.Duration) { c.at.Add(int64(d)) }

// site is a store and the key of its hashes: what outlives a process.
type site struct {
	store kv.Store
	ring  *seal.Ring
}

func newSite(t testing.TB, engine string) *site {
	t.Helper()
	ring, err := seal.New()
	if err != nil {
		t.Fatal(err)
	}
	book, err := throttle.New(ring, throttle.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return &site{ring: ring, store: testkit.Store(t, engine, "identity", append(kv.RawTables(book), change.Tables()...))}
}

// replica is one process at a site.
type replica struct {
	*throttle.Turnstile
	book  *throttle.Book
	store kv.Store
	clock *clock
}

func (s *site) replica(t testing.TB, c *clock, l throttle.Limits) *replica {
	t.Helper()
	pages, err := page.NewCodec(make([]byte, page.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	events, err := feed.Open(context.Background(), feed.Config{Service: "identity", Store: s.store})
	if err != nil {
		t.Fatal(err)
	}
	entries, err := audit.New(audit.Config{Store: s.store, Pages: pages})
	if err != nil {
		t.Fatal(err)
	}
	journal, err := change.NewJournal(change.Config{Service: "identity", Store: s.store, Feed: events, Audit: entries})
	if err != nil {
		t.Fatal(err)
	}
	book, err := throttle.New(s.ring, l)
	if err != nil {
		t.Fatal(err)
	}
	turnstile, err := throttle.NewTurnstile(throttle.Config{Store: s.store, Lanes: change.NewLanes(journal), Book: book, Clock: c.now})
	if err != nil {
		t.Fatal(err)
	}
	return &replica{Turnstile: turnstile, book: book, store: s.store, clock: c}
}

// guess makes an attempt that is wrong, and returns how long it was told to
// wait, 0 when it was let through.
func (r *replica) guess(t testing.TB, a throttle.Attempt) time.Duration {
	t.Helper()
	ticket, err := r.Admit(t.Context(), a)
	if err == nil {
		ticket.Failed(t.Context())
		return 0
	}
	if e := errs.From(err); e.Kind != errs.Exhausted || e.Reason != "LOGIN_THROTTLED" || e.RetryAfter <= 0 {
		t.Fatalf("an attempt is refused with %v", err)
	}
	return errs.From(err).RetryAfter
}

// login makes an attempt that is right.
func (r *replica) login(t testing.TB, a throttle.Attempt) {
	t.Helper()
	ticket, err := r.Admit(t.Context(), a)
	if err != nil {
		t.Fatalf("the right password is refused: %v", err)
	}
	if err := ticket.Succeed(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// guesses is how many wrong guesses are let through at once.
func (r *replica) guesses(t testing.TB, a throttle.Attempt) (n int) {
	t.Helper()
	for r.guess(t, a) == 0 {
		if n++; n > 10_000 {
			t.Fatal("nothing stops the guesses")
		}
	}
	return n
}

// eachEngine runs a test at one replica of a new site of each engine.
func eachEngine(t *testing.T, l throttle.Limits, test func(t *testing.T, s *site, r *replica)) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			s := newSite(t, engine)
			test(t, s, s.replica(t, newClock(), l))
		})
	}
}

func at(identifier, address string) throttle.Attempt {
	return throttle.Attempt{Organization: org, Identifier: identifier, Address: address}
}
