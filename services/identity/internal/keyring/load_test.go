package keyring_test

import (
	"context"
	"encoding/json"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/testkit"
	"guildhall.dev/services/identity/internal/keyring"
)

// movable is a clock that moves while others read it.
type movable struct{ at atomic.Int64 }

func (c *movable) now() time.Time { return time.Unix(0, c.at.Load()) }

// TestRing_rotatesUnderLoadWithoutARefusal: while two replicas sign, and a
// verifier of another process takes the keys as they are published, keys turn over
// ten times, on one replica sooner than on the other. No good token is refused.
func TestRing_rotatesUnderLoadWithoutARefusal(t *testing.T) {
	s := testkit.Store(t, "bolt", "identity", append(keyring.Tables(), kv.RawTables()...))
	c := &movable{}
	c.at.Store(time.Now().UnixNano())
	var rings []*keyring.Ring
	for range 2 {
		r, err := keyring.Open(t.Context(), keyring.Config{Store: s, Issuer: issuer, Rotation: keyring.MinRotation, Clock: c.now})
		if err != nil {
			t.Fatal(err)
		}
		rings = append(rings, r)
	}
	v, err := authn.NewVerifier(authn.VerifierConfig{
		Issuer: issuer, Cluster: authn.NewClusterKey(), Services: []string{"identity"}, Now: c.now,
		Keys: func(context.Context) (set authn.JWKS, err error) {
			text, err := json.Marshal(rings[1].Public()) // the one that hears of a rotation last
			if err == nil {
				err = json.Unmarshal(text, &set)
			}
			return set, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	// Held for writing while time passes, so that no token ages between its making
	// and its use; keys rotate meanwhile all the same.
	var passing sync.RWMutex
	var good atomic.Int64
	signers, ctx := sync.WaitGroup{}, t.Context()
	stop := make(chan struct{})
	for i := range 4 {
		signers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				passing.RLock()
				token, err := rings[i%2].Sign(authn.Claims{
					Subject: "organizations/acme/staff/s1", Session: "1", ID: "1", IssuedAt: c.now(), Expires: c.now().Add(5 * time.Minute),
				})
				if err == nil {
					_, err = v.Verify(ctx, token)
				}
				passing.RUnlock()
				if err != nil {
					t.Errorf("after %d good tokens one is refused: %v", good.Load(), err)
					return
				}
				good.Add(1)
			}
		})
	}
	first := ids(rings[0])[0]
	for range 10 {
		passing.Lock()
		c.at.Add(int64(keyring.MinRotation))
		passing.Unlock()
		for _, r := range rings {
			if err := r.Refresh(ctx); err != nil {
				t.Error(err)
			}
			for until := good.Load() + 50; good.Load() < until && !t.Failed(); {
				runtime.Gosched()
			}
		}
	}
	close(stop)
	signers.Wait()
	if last := ids(rings[0])[0]; last == first {
		t.Error("the keys did not rotate")
	}
	t.Logf("%d tokens, none refused", good.Load())
}
