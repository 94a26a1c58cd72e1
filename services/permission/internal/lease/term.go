package lease

import "time"

// drift is the part of a length that a term leaves unused, one in drift: how
// far the rates of two clocks may differ.
const drift = 16

// term is the time in which its holder may answer from memory.
type term struct {
	begun  time.Time // before the renewal was sent
	usable time.Duration
}

func newTerm(begun time.Time, length time.Duration) *term {
	return &term{begun: begun, usable: length - length/drift}
}

// runs reports whether the term runs at a time read on the holder's clock. The
// monotonic clock decides. It stands still while a machine is suspended, which
// the wall clock shows: where that says that the term is over, it is, for a
// clock that was stepped can only make a term shorter.
func (t *term) runs(now time.Time) bool {
	return now.Sub(t.begun) < t.usable && now.Round(0).Sub(t.begun.Round(0)) < t.usable
}
