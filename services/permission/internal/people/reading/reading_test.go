package reading

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"pgregory.net/rapid"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

var at = time.Unix(1_800_000_000, 0)

// ruleOf returns a rule that so many resources a minute are too many.
func ruleOf(threshold int32) *permissionv1.SeparationRule {
	return &permissionv1.SeparationRule{
		Name: fmt.Sprintf("organizations/acme/separationRules/r%d", threshold),
		Rule: &permissionv1.SeparationRule_BulkRead{BulkRead: &permissionv1.BulkRead{Threshold: threshold, Window: durationpb.New(time.Minute)}},
	}
}

// hasher hashes resources as a counter does.
func hasher() func(resource any) uint64 {
	c := New(nil, nil)
	c.hashing = make([]byte, 32)
	c.cfg.Key = c.hashing
	return func(resource any) uint64 { return c.hash(fmt.Sprint(resource)) }
}

func TestAdd_estimatesDistinctResources(t *testing.T) {
	hash := hasher()
	for _, threshold := range []int32{100, 1000, 100_000} {
		tr := newTracker(ruleOf(threshold))
		var estimate float64
		for range 3 { // again is not more
			for i := range threshold {
				estimate = tr.add(hash(i), at)
			}
		}
		// Five times the stated standard error.
		if bound := 5 * 0.74 / math.Sqrt(bitsEach*float64(threshold)); math.Abs(estimate/float64(threshold)-1) > bound {
			t.Errorf("of %d: about %.0f, want within %.1f %%", threshold, estimate, 100*bound)
		}
	}
}

func TestAdd_forgetsWhatIsOlderThanAWindow(t *testing.T) {
	hash, tr := hasher(), newTracker(ruleOf(100))
	var estimate float64
	for i := range 90 {
		estimate = tr.add(hash(i), at.Add(time.Duration(i)*time.Second/3))
	}
	if estimate < 70 {
		t.Errorf("within a window: about %.0f, want about 90", estimate)
	}
	if estimate = tr.add(1, at.Add(65*time.Second)); estimate > 5 {
		t.Errorf("after a pause: about %.0f, want 1", estimate)
	}
}

func TestTracker_memoryIsBounded(t *testing.T) {
	c := New(nil, nil)
	refused := false
	for i := range 100 {
		refused = c.tracker(key{"rule", fmt.Sprint(i)}, ruleOf(1_000_000)) == nil
	}
	if c.used > room || !refused {
		t.Errorf("%d bytes are used, %d there are", c.used, room)
	}
}

func TestGaps_areReadAsTheyAreWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.Uint64(), 1, 8).Draw(t, "words")
		got := make([]uint64, len(words))
		if !fill(got, gaps(words)) || !slices.Equal(got, words) {
			t.Fatalf("%x is read as %x", words, got)
		}
		if fill(make([]uint64, len(words)), append(gaps(words), uint32(64*len(words)))) {
			t.Fatal("a bit behind the end is taken")
		}
	})
}

// TestWith_isWhatOneCounterWouldHave: several replicas, each of whom merges when
// it likes, have counted together what one would have that noted everything.
func TestWith_isWhatOneCounterWouldHave(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := ruleOf(100)
		k := key{rule.GetName(), "organizations/acme/staff/sue"}
		one, now := newTracker(rule), at
		replicas := []*tracker{newTracker(rule), newTracker(rule), newTracker(rule)}
		shared := newTracker(rule).with(nil)
		merge := func(r *tracker) {
			*r = *r.with(shared.record(k))
			shared = r.with(r.record(k))
		}
		merge(replicas[0])
		for range rapid.IntRange(1, 60).Draw(t, "reads") {
			// Nobody keeps anything for longer than half a window.
			if pause := rapid.SampledFrom([]time.Duration{0, time.Second, 5 * time.Second}).Draw(t, "pause"); pause > 0 {
				now = now.Add(pause)
				for _, r := range replicas {
					merge(r)
				}
			}
			hash := rapid.Uint64().Draw(t, "resource")
			one.add(hash, now)
			r := rapid.SampledFrom(replicas).Draw(t, "replica")
			r.add(hash, now)
			if rapid.Bool().Draw(t, "merges") {
				merge(r)
			}
		}
		for _, r := range replicas {
			merge(r)
		}
		if one.ones != shared.ones || !one.start.Equal(shared.start) {
			t.Fatalf("%d bits since %v, want %d since %v", shared.ones, shared.start, one.ones, one.start)
		}
	})
}
