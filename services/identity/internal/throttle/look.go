package throttle

import (
	"math"
	"time"

	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
)

// Look is what the buckets say of an account.
type Look struct {
	// Attempts is how many attempts from anywhere count now, failed ones and
	// those under way.
	Attempts int
	// Ready is until when everybody waits who has no known device; zero when
	// nobody does.
	Ready time.Time
	// Waiting is how many networks and devices wait by themselves.
	Waiting int
}

// Look returns what counts at an account, under all that may be typed for it, its
// name among it; guesses at its second factors too.
func (b *Book) Look(r kv.Reader, organization string, identifiers []string, now time.Time) (Look, error) {
	var out Look
	level := 0.0
	err := b.each(r, organization, identifiers, func(t *storev1.Throttle) error {
		l := b.limits[t.GetScope()]
		wait := l.wait(t, now)
		switch {
		case t.GetScope() == scopeAccount || t.GetScope() == scopeFactor:
			level += l.level(t, now)
			if ready := now.Add(wait); wait > 0 && ready.After(out.Ready) {
				out.Ready = ready
			}
		case wait > 0:
			out.Waiting++
		}
		return nil
	})
	out.Attempts = int(math.Ceil(level))
	return out, err
}

// Clear empties the buckets of an account, those of its pairs and devices too,
// and returns how many there were. What a network has to wait stays.
func (b *Book) Clear(tx kv.Tx, organization string, identifiers []string) (n int, err error) {
	err = b.each(tx, organization, identifiers, b.empty(tx, &n))
	return n, err
}

// ClearPasswords is Clear for guesses at passwords only: who has a new password has
// proven no second factor.
func (b *Book) ClearPasswords(tx kv.Tx, organization string, identifiers []string) (n int, err error) {
	for _, identifier := range identifiers {
		if err := b.ofSubject(tx, b.subject(organization, identifier), b.empty(tx, &n)); err != nil {
			return n, err
		}
	}
	return n, nil
}

// empty returns what empties buckets and counts them.
func (b *Book) empty(tx kv.Tx, n *int) func(*storev1.Throttle) error {
	return func(t *storev1.Throttle) error {
		*n++
		_, err := b.table.Delete(tx, keyOf(t), "")
		return err
	}
}

// each gives all buckets of the identifiers to do.
func (b *Book) each(r kv.Reader, organization string, identifiers []string, do func(*storev1.Throttle) error) error {
	for _, identifier := range identifiers {
		if err := b.ofSubject(r, b.subject(organization, identifier), do); err != nil {
			return err
		}
		if err := b.ofSubject(r, b.factorSubject(organization, identifier), do); err != nil {
			return err
		}
	}
	return nil
}

func (b *Book) ofSubject(r kv.Reader, subject []byte, do func(*storev1.Throttle) error) error {
	for rec, err := range b.table.Scan(r, kv.Query{Prefix: kv.Key{kv.Bytes(subject)}}) {
		if err != nil {
			return err
		}
		if err := do(rec.Value); err != nil {
			return err
		}
	}
	return nil
}

// sweepBatch is how many buckets are removed in a transaction.
const sweepBatch = 200

// removeEmpty removes some buckets that have leaked empty.
func (b *Book) removeEmpty(tx kv.Tx, now time.Time) (n int, err error) {
	return b.table.RemoveDue(tx, byExpiry, now, sweepBatch)
}
