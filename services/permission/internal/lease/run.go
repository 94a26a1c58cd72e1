package lease

import (
	"context"
	"sync"
	"time"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/services/permission/internal/sequence"
)

// Run holds the lease until ctx ends, and then gives it back, so that nobody
// waits for it. It is called once.
func (k *Keeper) Run(ctx context.Context) {
	var running sync.WaitGroup
	if k.cfg.Redis != nil {
		running.Go(func() { k.publish(ctx) })
		running.Go(func() { k.subscribe(ctx) })
	}
	ticker := time.NewTicker(k.cfg.Renewal)
	defer ticker.Stop()
	for ctx.Err() == nil {
		k.renew(ctx)
		k.await(ctx, ticker.C)
	}
	running.Wait()
	k.release(ctx)
}

// await returns when it is time to renew: after an interval, or when memory has
// something that the row does not say yet, and somebody may wait to read it.
func (k *Keeper) await(ctx context.Context, tick <-chan time.Time) {
	for k.failing || !k.owes() {
		select {
		case <-ctx.Done():
			return
		case <-tick:
			return
		case <-k.moved:
		case <-k.wake:
			if !k.failing {
				_, _ = k.looks.Get(ctx, struct{}{}) // where it fails, the renewal will too, and say so
			}
		}
	}
}

// owes reports whether the row is behind memory, and read by anybody.
func (k *Keeper) owes() bool {
	applied := k.applied.Load()
	return k.stats.others.Load() > 0 && applied != nil && *applied != k.written
}

// renew sends one renewal and, when it has come through, makes the term that
// counts from before it was sent.
func (k *Keeper) renew(ctx context.Context) {
	bounded, cancel := context.WithTimeout(ctx, k.cfg.Length)
	defer cancel()
	begun := k.cfg.Clock()
	s, err := k.raise(bounded)
	if err != nil {
		k.failed(ctx, err)
		return
	}
	k.term.Store(newTerm(begun, k.cfg.Length))
	k.stats.renewed.Add(1)
	if k.failing {
		k.failing = false
		k.cfg.Logger.InfoContext(ctx, "the lease is renewed again: checks are answered from memory")
	}
	k.sweep(bounded, s.others)
}

// raise puts the row and then looks. Only a look that begins when the row is
// there makes the lease good: a writer that looked before it was there has
// committed before this look.
func (k *Keeper) raise(ctx context.Context) (*sight, error) {
	var applied sequence.Vector
	if v := k.applied.Load(); v != nil {
		applied = *v
	}
	k.beat++
	l := row{id: k.id, beat: k.beat, length: k.cfg.Length, applied: applied}
	if err := k.cfg.Store.Update(ctx, l.put); err != nil {
		return nil, err
	}
	k.written = applied
	return k.looks.Get(ctx, struct{}{})
}

func (k *Keeper) failed(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	k.stats.failed.Add(1)
	if !k.failing {
		k.failing = true
		k.cfg.Logger.WarnContext(ctx, "the lease cannot be renewed: when it has run out, checks read the store", "error", err)
	}
}

// sweep deletes the rows of holders that have long been silent. One that comes
// back puts its row again.
func (k *Keeper) sweep(ctx context.Context, others []other) {
	for _, o := range others {
		if o.silent < sweepAfter*o.length {
			continue
		}
		err := k.cfg.Store.Update(ctx, func(tx kv.Tx) error { return sweep(tx, o.id, o.beat) })
		if err != nil {
			k.cfg.Logger.DebugContext(ctx, "the row of a dead replica cannot be deleted yet", "error", err)
			continue
		}
		k.cfg.Logger.InfoContext(ctx, "the lease of a replica that is gone was deleted", "lease", o.id, "silent", o.silent)
	}
}

// release takes the term back and then deletes the row, in this order.
func (k *Keeper) release(ctx context.Context) {
	k.term.Store(nil)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	if err := k.cfg.Store.Update(ctx, func(tx kv.Tx) error { return remove(tx, k.id) }); err != nil {
		k.cfg.Logger.WarnContext(ctx, "the lease could not be given back: changes wait until it has run out", "error", err)
	}
}

// releaseTimeout bounds the courtesy of giving the lease back.
const releaseTimeout = time.Second
