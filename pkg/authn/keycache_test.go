package authn

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"guildhall.dev/pkg/errs"
)

func TestVerify_rotationIsFollowed(t *testing.T) {
	b := newBench(t)
	before := b.token(t)
	verify := func(token string) error {
		_, err := b.verifier.Verify(t.Context(), token)
		return err
	}
	if err := verify(before); err != nil {
		t.Fatal(err)
	}
	b.rotate(t)
	if err := verify(b.token(t)); err != nil {
		t.Errorf("a token of the next key, published ahead: %v", err)
	}
	if b.fetches != 1 {
		t.Errorf("%d fetches, want 1: both keys were published from the start", b.fetches)
	}
	b.rotate(t)
	b.now = b.now.Add(keysPause)
	if err := verify(b.token(t)); err != nil {
		t.Errorf("a token of a key published since: %v", err)
	}
	if b.fetches != 2 {
		t.Errorf("%d fetches, want 2", b.fetches)
	}
	if err := verify(before); errs.ReasonOf(err) != "TOKEN_INVALID" {
		t.Errorf("a remembered token of a withdrawn key: %v", err)
	}
}

func (b *bench) rotate(t *testing.T) {
	t.Helper()
	keys, err := b.keys.Rotate(newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	b.keys = keys
	if err := b.signer.SetKeys(keys); err != nil {
		t.Fatal(err)
	}
}

func TestVerify_unknownKidFetchesAtMostOnceAPause(t *testing.T) {
	b := newBench(t)
	stranger, err := NewSigner(issuer, KeySet{Current: newKey(t)})
	if err != nil {
		t.Fatal(err)
	}
	token, err := stranger.Sign(b.claims())
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if _, err := b.verifier.Verify(t.Context(), token); errs.ReasonOf(err) != "TOKEN_INVALID" {
			t.Fatalf("got %v", err)
		}
	}
	if b.fetches != 1 {
		t.Errorf("%d fetches for 100 tokens with a made-up key id", b.fetches)
	}
	b.now = b.now.Add(keysPause)
	b.verifier.Verify(t.Context(), token)
	if b.fetches != 2 {
		t.Errorf("%d fetches after the pause, want 2", b.fetches)
	}
}

func TestVerify_identityAway(t *testing.T) {
	b := newBench(t)
	b.away = errors.New("connection refused")
	if _, err := b.verifier.Verify(t.Context(), b.token(t)); !errs.Is(err, errs.Unavailable) {
		t.Fatalf("without any key: got %v, want Unavailable", err)
	}
	b.away = nil
	b.now = b.now.Add(keysRetry)
	if _, err := b.verifier.Verify(t.Context(), b.token(t)); err != nil {
		t.Fatalf("when identity is back: %v", err)
	}
	b.away = errors.New("connection refused")
	fetched := b.now
	b.now = fetched.Add(keysStale - time.Minute)
	if _, err := b.verifier.Verify(t.Context(), b.token(t)); err != nil {
		t.Errorf("on keys of almost a day ago: %v", err)
	}
	b.now = fetched.Add(keysStale)
	if _, err := b.verifier.Verify(t.Context(), b.token(t)); errs.ReasonOf(err) != "KEYS_UNAVAILABLE" {
		t.Errorf("on keys of a day ago: got %v, want KEYS_UNAVAILABLE", err)
	}
}

func TestVerify_oldKeysAreRefreshedByOneCall(t *testing.T) {
	b := newBench(t)
	key := b.keys.Current
	var fetches atomic.Int32
	release := make(chan struct{})
	cache := newKeyCache(func(context.Context) (JWKS, error) {
		if fetches.Add(1) > 1 {
			<-release
		}
		return b.keys.JWKS(), nil
	}, func() time.Time { return b.now })
	if k, err := cache.find(t.Context(), key.ID); k == nil || err != nil {
		t.Fatal(k, err)
	}
	b.now = b.now.Add(keysFresh)
	var all sync.WaitGroup
	var done atomic.Int32
	for range 8 {
		all.Go(func() {
			if k, err := cache.find(t.Context(), key.ID); k == nil || err != nil {
				t.Error(k, err)
			}
			// The last but one knows that only the fetching call is left.
			if done.Add(1) == 7 {
				close(release)
			}
		})
	}
	all.Wait()
	if n := fetches.Load(); n != 2 {
		t.Errorf("%d fetches, want 2", n)
	}
}

func TestVerify_waitsForKeysNoLongerThanItsContext(t *testing.T) {
	b := newBench(t)
	entered, release := make(chan struct{}), make(chan struct{})
	cache := newKeyCache(func(context.Context) (JWKS, error) {
		close(entered)
		<-release
		return b.keys.JWKS(), nil
	}, func() time.Time { return b.now })
	var first sync.WaitGroup
	first.Go(func() {
		if _, err := cache.find(t.Context(), b.keys.Current.ID); err != nil {
			t.Error(err)
		}
	})
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := cache.find(ctx, b.keys.Current.ID); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the end of the context", err)
	}
	close(release)
	first.Wait()
}
