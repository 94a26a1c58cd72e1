package throttle

import (
	"context"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/kv"
	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
)

// Ticket is one attempt that was let through. It counts as failed until its
// holder says otherwise, once: a process that dies has not given a guess back.
type Ticket struct {
	turnstile *Turnstile
	of        []*storev1.Throttle
	poured    []poured // what became of the same buckets
}

// poured is what an attempt did to a bucket.
type poured struct {
	bucket *storev1.Throttle // by its key
	// was and set are its ready_time before and after.
	was, set time.Time
	begun    bool
}

// Failed says that the attempt was a wrong guess, and reports whether by it the
// account began to wait, so that somebody should be told.
func (t *Ticket) Failed(ctx context.Context) (begun bool) {
	defer t.turnstile.flights.land(t.of)
	for _, p := range t.poured {
		if p.begun {
			t.turnstile.begun.Add(ctx, 1, labelled(p.bucket))
			begun = begun || p.bucket.GetScope() != scopeNetwork
		}
	}
	return begun
}

// Return says that there was no attempt: nothing was compared.
func (t *Ticket) Return(ctx context.Context) error { return t.settle(ctx, false) }

// Succeed says that the guess was right. It ends the waits of the pair, or of
// the device, and takes back what was counted at the account and the network,
// but no more: who guesses at one account may be at home in another, and an
// account's owner who comes in does not make room for strangers.
func (t *Ticket) Succeed(ctx context.Context) error { return t.settle(ctx, true) }

// settle goes on when the caller is gone, who could else keep an account waiting
// by hanging up.
func (t *Ticket) settle(ctx context.Context, right bool) error {
	defer t.turnstile.flights.land(t.of)
	if len(t.poured) == 0 {
		return nil
	}
	return t.turnstile.cfg.Lanes.Update(context.WithoutCancel(ctx), lane, func(tx kv.Tx) error {
		for _, p := range t.poured {
			if err := t.turnstile.takeOut(tx, p, right); err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *Turnstile) takeOut(tx kv.Tx, p poured, right bool) error {
	b, now := t.cfg.Book, t.cfg.Clock()
	key := keyOf(p.bucket)
	rec, found, err := b.table.Find(tx, key)
	if err != nil || !found {
		return err
	}
	scope := p.bucket.GetScope()
	ends := right && slices.Contains([]storev1.ThrottleScope{scopePair, scopeDevice}, scope)
	left := proto.CloneOf(rec.Value)
	b.limits[scope].takeOut(left, p, now)
	if ends || !left.GetEmptyTime().AsTime().After(now) {
		_, err = b.table.Delete(tx, key, "")
	} else {
		_, err = b.table.Put(tx, left, "")
	}
	return err
}
