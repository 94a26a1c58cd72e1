package resource

import (
	"testing"
	"time"
)

func TestNewID_laterSortsLaterWithinAMillisecond(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	last := newID(start)
	for step := time.Microsecond; step < 3*time.Millisecond; step += time.Microsecond {
		id := newID(start.Add(step))
		if id.String() <= last.String() {
			t.Fatalf("id at +%v is %s, not after %s", step, id, last)
		}
		last = id
	}
}
