package change_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
)

// counting counts the transactions of a store, and can hold them up.
type counting struct {
	kv.Store
	updates atomic.Int64
	entered chan struct{} // gets one for each held one
	hold    chan struct{} // nil does not
}

func (c *counting) Update(ctx context.Context, fn func(kv.Tx) error) error {
	c.updates.Add(1)
	if c.hold != nil {
		c.entered <- struct{}{}
		<-c.hold
	}
	return c.Store.Update(ctx, fn)
}

// number takes the next number of one sequence, which conflicts with all
// others that do, or fails after it has written.
func (s *service) number(ctx context.Context, l *change.Lanes, id string, fail func() error) (*groupchatv1.Group, error) {
	return change.DoTogether(ctx, l, acme, create(id, "Orders"), func(tx *change.Tx) (*groupchatv1.Group, error) {
		name := acme + "/groups/sequence"
		rec, found, err := s.groups.Find(tx, kv.Key{kv.String(name)})
		if err != nil {
			return nil, err
		}
		g := &groupchatv1.Group{Name: name}
		if found {
			g = proto.CloneOf(rec.Value)
		}
		g.LastSequence++
		if _, err := s.groups.Put(tx, g, ""); err != nil {
			return nil, err
		}
		tx.Record(change.Change{Resource: name, Type: "guildhall.groupchat.group.updated.v1"})
		if fail != nil {
			return nil, fail()
		}
		return g, nil
	})
}

func TestDoTogether_eachTakesEffectOnceAndInFewTransactions(t *testing.T) {
	eachStore(t, func(t *testing.T, s kv.Store) {
		store := &counting{Store: s}
		svc := serviceOn(t, store)
		lanes := change.NewLanes(svc.journal)
		before := store.updates.Load()
		const n = 100
		seen := make([]atomic.Int64, n+1)
		var wg sync.WaitGroup
		for i := range 2 * n { // each id twice, as client and retry at once
			wg.Go(func() {
				g, err := svc.number(asAlice(t.Context()), lanes, fmt.Sprint(i%n), nil)
				if err != nil {
					t.Error(err)
					return
				}
				seen[g.GetLastSequence()].Add(1)
			})
		}
		wg.Wait()
		for i := 1; i <= n; i++ {
			if got := seen[i].Load(); got != 2 {
				t.Errorf("number %d was given %d times, want to the call and its retry", i, got)
			}
		}
		if events := len(svc.events(t)); events != n {
			t.Errorf("%d events, want %d", events, n)
		}
		if updates := store.updates.Load() - before; updates >= 2*n {
			t.Errorf("%d transactions for %d calls", updates, 2*n)
		}
	})
}

func TestDoTogether_aFailureIsTheFailingCallersAlone(t *testing.T) {
	eachStore(t, func(t *testing.T, s kv.Store) {
		svc := serviceOn(t, s)
		lanes := change.NewLanes(svc.journal)
		refused := errors.New("refused")
		var wg sync.WaitGroup
		for i := range 60 {
			wg.Go(func() {
				defer func() {
					if r := recover(); (r != nil) != (i%3 == 2) {
						t.Errorf("call %d: panic %v", i, r)
					}
				}()
				var fail func() error
				switch i % 3 {
				case 1:
					fail = func() error { return refused }
				case 2:
					fail = func() error { panic("a bug") }
				}
				_, err := svc.number(asAlice(t.Context()), lanes, "", fail)
				if i%3 == 0 && err != nil || i%3 == 1 && !errors.Is(err, refused) {
					t.Errorf("call %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		g, err := svc.number(asAlice(t.Context()), lanes, "", nil)
		if err != nil || g.GetLastSequence() != 21 || len(svc.events(t)) != 21 {
			t.Errorf("after 20 successes: %v, %v, %d events", g, err, len(svc.events(t)))
		}
	})
}

func TestDoTogether_whoGivesUpWhileWaitingLeavesNothing(t *testing.T) {
	store := &counting{Store: openBolt(t)}
	svc := serviceOn(t, store)
	lanes := change.NewLanes(svc.journal)
	store.entered, store.hold = make(chan struct{}, 8), make(chan struct{})
	first := make(chan error, 1)
	go func() {
		_, err := svc.number(asAlice(t.Context()), lanes, "", nil)
		first <- err
	}()
	<-store.entered // the first leads
	ctx, cancel := context.WithCancel(asAlice(t.Context()))
	cancel()
	if _, err := svc.number(ctx, lanes, "", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that gave up: %v", err)
	}
	close(store.hold)
	if err := <-first; err != nil {
		t.Error(err)
	}
	if g, err := svc.number(asAlice(t.Context()), lanes, "", nil); err != nil || g.GetLastSequence() != 2 {
		t.Errorf("the next: %v, %v", g, err)
	}
}

func TestDoTogether_aReusedIDIsRefused(t *testing.T) {
	svc := serviceOn(t, openBolt(t))
	lanes := change.NewLanes(svc.journal)
	if _, err := svc.number(asAlice(t.Context()), lanes, "a", nil); err != nil {
		t.Fatal(err)
	}
	_, err := change.DoTogether(asAlice(t.Context()), lanes, acme, create("a", "Other"), func(*change.Tx) (*groupchatv1.Group, error) {
		t.Error("the closure ran")
		return nil, nil
	})
	if errs.ReasonOf(err) != "REQUEST_ID_REUSED" {
		t.Errorf("got %v", err)
	}
}

func TestLanesUpdate_manyInFewTransactions(t *testing.T) {
	eachStore(t, func(t *testing.T, s kv.Store) {
		store := &counting{Store: s}
		svc := serviceOn(t, store)
		lanes := change.NewLanes(svc.journal)
		before := store.updates.Load()
		key := kv.Key{kv.String(acme + "/groups/sequence")}
		refused := errors.New("refused")
		const n = 100
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				err := lanes.Update(t.Context(), "sequence", func(tx kv.Tx) error {
					rec, found, err := svc.groups.Find(tx, key)
					if err != nil {
						return err
					}
					g := &groupchatv1.Group{Name: acme + "/groups/sequence"}
					if found {
						g = proto.CloneOf(rec.Value)
					}
					g.LastSequence++
					if _, err := svc.groups.Put(tx, g, ""); err != nil {
						return err
					}
					if i == n/2 {
						return refused
					}
					return nil
				})
				if (i == n/2) != errors.Is(err, refused) || i != n/2 && err != nil {
					t.Errorf("update %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		if used := store.updates.Load() - before; used >= n {
			t.Errorf("%d updates in %d transactions", n, used)
		}
		err := s.View(t.Context(), func(r kv.Reader) error {
			rec, err := svc.groups.Get(r, key)
			if err == nil && rec.Value.GetLastSequence() != n-1 {
				t.Errorf("%d updates took effect, want %d", rec.Value.GetLastSequence(), n-1)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}
