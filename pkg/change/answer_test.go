package change_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

func TestDo_aRetryGetsTheFirstResponse(t *testing.T) {
	eachStore(t, func(t *testing.T, s kv.Store) {
		svc := serviceOn(t, s)
		first, err := svc.createGroup(asAlice(t.Context()), create("r1", "Orders"))
		if err != nil {
			t.Fatal(err)
		}
		restarted := serviceOn(t, s)
		restarted.now = func() time.Time { return start.Add(23 * time.Hour) }
		again, err := restarted.createGroup(asAlice(t.Context()), create("r1", "Orders"))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(first, again, protocmp.Transform()); diff != "" {
			t.Errorf("the retry's response (-first +again):\n%s", diff)
		}
		svc.checkTrace(t, 1)

		_, err = svc.createGroup(asAlice(t.Context()), create("r1", "Returns"))
		if !errs.Is(err, errs.Invalid) || errs.ReasonOf(err) != "REQUEST_ID_REUSED" {
			t.Errorf("another body: got %v, want Invalid REQUEST_ID_REUSED", err)
		}
		bob := authn.WithCaller(t.Context(), authn.Caller{Name: acme + "/staff/bob"})
		other, err := svc.createGroup(bob, create("r1", "Orders"))
		if err != nil || other.GetName() == first.GetName() {
			t.Errorf("another caller's id: got %v, %v; want a group of its own", other, err)
		}
		svc.checkTrace(t, 2)
	})
}

func TestDo_concurrentRetriesTakeEffectOnce(t *testing.T) {
	eachStore(t, func(t *testing.T, s kv.Store) {
		svc := serviceOn(t, s)
		names := make([]string, 8)
		var wg sync.WaitGroup
		for i := range names {
			wg.Go(func() {
				g, err := svc.createGroup(asAlice(t.Context()), create("r1", "Orders"))
				if err != nil {
					t.Error(err)
				}
				names[i] = g.GetName()
			})
		}
		wg.Wait()
		if len(slices.Compact(names)) != 1 {
			t.Errorf("got %v, want one group", names)
		}
		svc.checkTrace(t, 1)
	})
}

func TestDo_withoutAnIDEachCallCounts(t *testing.T) {
	s := openBolt(t)
	svc := serviceOn(t, s)
	for range 3 {
		if _, err := svc.createGroup(asAlice(t.Context()), create("", "Orders")); err != nil {
			t.Fatal(err)
		}
	}
	svc.checkTrace(t, 3)
}

func TestDo_refusesIDsThatCannotBeKept(t *testing.T) {
	svc := serviceOn(t, openBolt(t))
	for _, id := range []string{strings.Repeat("x", 65), "a b", "a\n", "ä", "\x00", "\xff"} {
		if _, err := svc.createGroup(asAlice(t.Context()), create(id, "x")); errs.ReasonOf(err) != "REQUEST_ID_INVALID" {
			t.Errorf("id %q: got %v, want REQUEST_ID_INVALID", id, err)
		}
	}
	if _, err := svc.createGroup(t.Context(), create("guessable", "x")); errs.ReasonOf(err) != "REQUEST_ID_INVALID" {
		t.Errorf("a caller without an account: got %v, want REQUEST_ID_INVALID", err)
	}
	for _, id := range []string{strings.Repeat("~", 64), "1", "8b1f6a58-2c0b-4a0e-9d67-0a1c43a3bb2f"} {
		if _, err := svc.createGroup(asAlice(t.Context()), create(id, "x")); err != nil {
			t.Errorf("id %q: %v", id, err)
		}
	}
}

func TestDo_secretsAreNotKept(t *testing.T) {
	s := openBolt(t)
	svc := serviceOn(t, s)
	const code = "the-invitation-code"
	invite := func() (*identityv1.Invitation, error) {
		return change.Do(asAlice(t.Context()), svc.journal, create("r1", "x"), func(tx *change.Tx) (*identityv1.Invitation, error) {
			tx.Record(change.Change{Resource: acme + "/customers/c1"})
			return &identityv1.Invitation{Code: code, ExpireTime: timestamppb.New(tx.Time)}, nil
		})
	}
	first, err := invite()
	if err != nil || first.GetCode() != code {
		t.Fatalf("first: got %v, %v; want the code", first, err)
	}
	again, err := invite()
	if err != nil || again.GetCode() != "" || !again.GetExpireTime().AsTime().Equal(start) {
		t.Errorf("retry: got %v, %v; want all but the code", again, err)
	}
	var all strings.Builder
	if err := s.Snapshot(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(all.String(), code) {
		t.Error("the store holds the code")
	}
}

func TestSweep_forgetsAnswersPastTheirTime(t *testing.T) {
	eachStore(t, func(t *testing.T, s kv.Store) {
		svc := serviceOn(t, s)
		ctx := asAlice(t.Context())
		for i := range 3 {
			if _, err := svc.createGroup(ctx, create(fmt.Sprint("old", i), "x")); err != nil {
				t.Fatal(err)
			}
		}
		svc.now = func() time.Time { return start.Add(time.Hour) }
		if _, err := svc.createGroup(ctx, create("young", "x")); err != nil {
			t.Fatal(err)
		}
		svc.now = func() time.Time { return start.Add(24 * time.Hour) }
		// An id that is used again after its time, before the sweep.
		if _, err := svc.createGroup(ctx, create("old0", "another")); err != nil {
			t.Fatalf("an id past its time: %v", err)
		}
		if n, err := svc.journal.Sweep(t.Context()); n != 3 || err != nil {
			t.Errorf("Sweep = %d, %v; want 3", n, err)
		}
		for id, name := range map[string]string{"young": "x", "old0": "another"} {
			if _, err := svc.createGroup(ctx, create(id, name+"!")); errs.ReasonOf(err) != "REQUEST_ID_REUSED" {
				t.Errorf("id %s: got %v, want it to be kept", id, err)
			}
		}
		if _, err := svc.createGroup(ctx, create("old1", "changed")); err != nil {
			t.Errorf("an id that was swept: %v", err)
		}
	})
}

// TestForgetAnswers_removesThoseThatSpeakOfAName: and not those of a longer one.
func TestForgetAnswers_removesThoseThatSpeakOfAName(t *testing.T) {
	eachStore(t, func(t *testing.T, s kv.Store) {
		svc := serviceOn(t, s)
		answer := func(id, resource string) string {
			t.Helper()
			got, err := change.Do(asAlice(t.Context()), svc.journal, create(id, id), func(tx *change.Tx) (*identityv1.Invitation, error) {
				tx.Record(change.Change{Resource: resource})
				return &identityv1.Invitation{Account: resource, Delivery: tx.NewID()}, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			return got.GetDelivery()
		}
		const c1, c10 = acme + "/customers/c1", acme + "/customers/c10"
		one, ten := answer("r1", c1), answer("r10", c10)
		if n, err := svc.journal.ForgetAnswers(t.Context(), c1); n != 1 || err != nil {
			t.Errorf("ForgetAnswers = %d, %v; want 1", n, err)
		}
		if answer("r1", c1) == one {
			t.Error("the answer about the name is kept")
		}
		if answer("r10", c10) != ten {
			t.Error("the answer about another name is forgotten")
		}
	})
}

// TestForgetAnswers_removesThoseToAnAccount: whatever they speak of.
func TestForgetAnswers_removesThoseToAnAccount(t *testing.T) {
	eachStore(t, func(t *testing.T, s kv.Store) {
		svc := serviceOn(t, s)
		if _, err := svc.createGroup(asAlice(t.Context()), create("r1", "x")); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]int{alice[:len(alice)-1]: 0, alice: 1} {
			if n, err := svc.journal.ForgetAnswers(t.Context(), name); n != want || err != nil {
				t.Errorf("ForgetAnswers(%s) = %d, %v; want %d", name, n, err, want)
			}
		}
	})
}
