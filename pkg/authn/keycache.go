package authn

import (
	"context"
	"crypto/ed25519"
	"sync/atomic"
	"time"

	"guildhall.dev/pkg/errs"
)

// KeySource fetches identity's published keys: its GetJwks RPC, or in identity
// itself Signer.JWKS.
type KeySource func(ctx context.Context) (JWKS, error)

const (
	// keysFresh is how long fetched keys are used without asking again. A key
	// that identity withdraws is refused after that at the latest.
	keysFresh = 5 * time.Minute
	// keysStale is how long fetched keys are used while identity is away.
	keysStale = 24 * time.Hour
	// keysPause is the least time between two fetches that an unknown key id
	// asks for, so that made-up ids cost identity nothing.
	keysPause = 10 * time.Second
	// keysRetry is the pause after a fetch that failed.
	keysRetry = time.Second
	// keysTimeout bounds one fetch.
	keysTimeout = 5 * time.Second
)

// keyCache holds the last fetched keys. Reads take no lock.
type keyCache struct {
	source KeySource
	now    func() time.Time
	state  atomic.Pointer[keyState]
	// turn is held by the one call that fetches. A channel, so that a call
	// that waits for its turn still ends with its context.
	turn chan struct{}
}

type keyState struct {
	keys    map[string]ed25519.PublicKey
	fetched time.Time // of keys; zero before the first success
	tried   time.Time
	failed  error // of the last try
}

func newKeyCache(source KeySource, now func() time.Time) *keyCache {
	c := &keyCache{source: source, now: now, turn: make(chan struct{}, 1)}
	c.state.Store(&keyState{})
	return c
}

// find returns the key, or nil when identity does not publish it. The error is
// Unavailable: no keys can be had that are young enough to decide.
func (c *keyCache) find(ctx context.Context, id string) (ed25519.PublicKey, error) {
	now := c.now()
	s := c.state.Load()
	key := s.keys[id]
	age := now.Sub(s.fetched)
	switch {
	case key != nil && age < keysFresh:
		return key, nil
	case key != nil && age < keysStale:
		// Old but usable: one call looks for newer keys, the others do not
		// wait for it.
		select {
		case c.turn <- struct{}{}:
			s = c.refresh(ctx, now)
			<-c.turn
		default:
		}
		return s.keys[id], nil
	}
	select {
	case c.turn <- struct{}{}:
		s = c.refresh(ctx, now)
		<-c.turn
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	key = s.keys[id]
	usable := now.Sub(s.fetched) < keysStale
	if key != nil && usable {
		return key, nil
	}
	// An unknown id is a forgery only if the keys it is missing from are the
	// newest there are.
	if s.failed != nil || !usable {
		return nil, errs.New(errs.Unavailable, "KEYS_UNAVAILABLE",
			"tokens cannot be verified at the moment; try again", errs.Cause(s.failed), errs.RetryAfter(keysRetry))
	}
	return nil, nil
}

// refresh fetches the keys unless that was done too recently, and returns the
// newest state. The caller holds the turn.
func (c *keyCache) refresh(ctx context.Context, now time.Time) *keyState {
	old := c.state.Load()
	pause := keysPause
	if old.failed != nil {
		pause = keysRetry
	}
	if !old.tried.IsZero() && now.Sub(old.tried) < pause {
		return old
	}
	// The keys are for everybody, so one impatient caller must not end the
	// fetch for the others.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keysTimeout)
	defer cancel()
	set, err := c.source(ctx)
	next := &keyState{keys: old.keys, fetched: old.fetched, tried: now, failed: err}
	if err == nil {
		next.fetched = now
		next.keys = make(map[string]ed25519.PublicKey, len(set.Keys))
		for _, k := range set.Keys {
			if k.ID != "" && len(k.Key) == ed25519.PublicKeySize {
				next.keys[k.ID] = k.Key
			}
		}
	}
	c.state.Store(next)
	return next
}
