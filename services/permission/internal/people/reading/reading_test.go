package reading

import (
	"fmt"
	"hash/maphash"
	"math"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

var at = time.Unix(1_800_000_000, 0)

func newTracker(c *Counter, threshold int32) *tracker {
	return c.tracker(key{"rule", fmt.Sprint(threshold)}, &permissionv1.BulkRead{Threshold: threshold, Window: durationpb.New(time.Minute)})
}

func TestAdd_estimatesDistinctResources(t *testing.T) {
	c := New(nil, nil)
	for _, threshold := range []int32{100, 1000, 100_000} {
		tr := newTracker(c, threshold)
		var estimate float64
		for range 3 { // again is not more
			for i := range threshold {
				estimate = tr.add(maphash.String(c.seed, fmt.Sprint("resource", i)), at)
			}
		}
		// Five times the stated standard error.
		if bound := 5 * 0.74 / math.Sqrt(bitsEach*float64(threshold)); math.Abs(estimate/float64(threshold)-1) > bound {
			t.Errorf("of %d: about %.0f, want within %.1f %%", threshold, estimate, 100*bound)
		}
	}
}

func TestAdd_forgetsWhatIsOlderThanAWindow(t *testing.T) {
	c := New(nil, nil)
	tr := newTracker(c, 100)
	var estimate float64
	for i := range 90 {
		estimate = tr.add(maphash.String(c.seed, fmt.Sprint(i)), at.Add(time.Duration(i)*time.Second/3))
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
	b := &permissionv1.BulkRead{Threshold: 1_000_000, Window: durationpb.New(time.Minute)}
	refused := false
	for i := range 100 {
		refused = c.tracker(key{"rule", fmt.Sprint(i)}, b) == nil
	}
	if c.used > room || !refused {
		t.Errorf("%d bytes are used, %d there are", c.used, room)
	}
}
