package timeline_test

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/testkit"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/timeline"
)

// TestList_pagesStayInOrderWhileEventsComeIn: reading page after page, with events of
// any time added between, shows each that was there from the start once, and all by
// time.
func TestList_pagesStayInOrderWhileEventsComeIn(t *testing.T) {
	b := timeline.New()
	testkit.EachStore(t, "timeline", b.Tables(), func(t *testing.T, s kv.Store) {
		round := 0
		rapid.Check(t, func(t *rapid.T) {
			round++
			customer := fmt.Sprintf("organizations/acme/customers/c%d", round)
			n := 0
			add := func(at int) string {
				n++
				e := &identityv1.TimelineEvent{
					Name: fmt.Sprintf("%s/timelineEvents/x-%d", customer, n), Kind: identityv1.TimelineEvent_KIND_ORDER,
					EventTime: timestamppb.New(time.Unix(int64(at), 0)),
				}
				for range 2 { // told twice, it is one
					if err := s.Update(t.Context(), func(tx kv.Tx) error { return b.Add(tx, e) }); err != nil {
						t.Fatal(err)
					}
				}
				return e.GetName()
			}
			var first []string
			for _, at := range rapid.SliceOfN(rapid.IntRange(0, 5), 0, 12).Draw(t, "times") {
				first = append(first, add(at))
			}
			size := rapid.IntRange(1, 5).Draw(t, "size")
			var read []*identityv1.TimelineEvent
			for after, more := []byte(nil), true; more; more = after != nil {
				var some []*identityv1.TimelineEvent
				if err := s.View(t.Context(), func(r kv.Reader) (err error) {
					some, after, err = b.List(r, customer, nil, after, size)
					return err
				}); err != nil {
					t.Fatal(err)
				}
				read = append(read, some...)
				if n < 30 {
					add(rapid.IntRange(0, 5).Draw(t, "late"))
				}
			}
			if !slices.IsSortedFunc(read, func(a, b *identityv1.TimelineEvent) int {
				return cmp.Compare(b.GetEventTime().GetSeconds(), a.GetEventTime().GetSeconds())
			}) {
				t.Fatalf("not by time: %v", read)
			}
			seen := make(map[string]int)
			for _, e := range read {
				seen[e.GetName()]++
			}
			for _, name := range first {
				if seen[name] != 1 {
					t.Fatalf("%s is on %d pages", name, seen[name])
				}
			}
		})
	})
}

func TestForget_removesAllOfOneInParts(t *testing.T) {
	b := timeline.New()
	testkit.EachStore(t, "timeline", b.Tables(), func(t *testing.T, s kv.Store) {
		const gone, other = "organizations/acme/customers/c1", "organizations/acme/customers/c10"
		if err := s.Update(t.Context(), func(tx kv.Tx) error {
			for i := range 450 {
				for _, customer := range []string{gone, other} {
					if err := b.Add(tx, &identityv1.TimelineEvent{
						Name: fmt.Sprintf("%s/timelineEvents/x-%d", customer, i), EventTime: timestamppb.New(time.Unix(int64(i), 0)),
					}); err != nil {
						return err
					}
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		parts := 0
		for more := true; more; parts++ {
			if err := s.Update(t.Context(), func(tx kv.Tx) (err error) {
				more, err = b.Forget(tx, gone)
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		count := func(customer string) (n int) {
			if err := s.View(t.Context(), func(r kv.Reader) error {
				found, _, err := b.Of(r, customer, nil, 1000)
				n = len(found)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			return n
		}
		if count(gone) != 0 || count(other) != 450 || parts < 3 {
			t.Errorf("%d are left, %d of the other, after %d parts", count(gone), count(other), parts)
		}
	})
}
