package keyring_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/seal"
	"guildhall.dev/pkg/testkit"
	"guildhall.dev/services/identity/internal/keyring"
)

const issuer = "https://guildhall.example"

// clock is a clock that a test moves between calls.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func open(t *testing.T, s kv.Store, c *clock) *keyring.Ring {
	t.Helper()
	r, err := keyring.Open(context.Background(), keyring.Config{Store: s, Issuer: issuer, Rotation: 24 * time.Hour, Clock: c.now})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func ids(r *keyring.Ring) []string {
	var out []string
	for _, k := range r.Public().Keys {
		out = append(out, k.ID)
	}
	return out
}

func sign(t *testing.T, r *keyring.Ring, c *clock) string {
	t.Helper()
	token, err := r.Sign(authn.Claims{
		Subject: "organizations/acme/staff/s1", Session: "1", ID: "1", IssuedAt: c.at, Expires: c.at.Add(5 * time.Minute),
	})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func verifier(t *testing.T, r *keyring.Ring, c *clock) *authn.Verifier {
	t.Helper()
	v, err := authn.NewVerifier(authn.VerifierConfig{
		Issuer: issuer, Cluster: authn.NewClusterKey(), Services: []string{"identity"}, Now: c.now,
		Keys: func(context.Context) (authn.JWKS, error) { return r.Public(), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestRing_rotates(t *testing.T) {
	testkit.EachStore(t, "identity", append(keyring.Tables(), kv.RawTables()...), func(t *testing.T, s kv.Store) {
		c := &clock{at: time.Now()}
		one, two := open(t, s, c), open(t, s, c)
		first := ids(one)
		if strings.Join(ids(two), " ") != strings.Join(first, " ") || len(first) != 2 {
			t.Fatalf("replicas hold %v and %v", first, ids(two))
		}
		old := sign(t, one, c)
		if err := one.Refresh(context.Background()); err != nil || strings.Join(ids(one), " ") != strings.Join(first, " ") {
			t.Fatalf("before its time the ring is %v, %v", ids(one), err)
		}
		c.at = c.at.Add(24 * time.Hour)
		// Replicas whose time comes together rotate once.
		var rotating sync.WaitGroup
		for _, r := range []*keyring.Ring{one, two} {
			rotating.Go(func() {
				if err := r.Refresh(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}
		rotating.Wait()
		second := ids(one)
		if strings.Join(ids(two), " ") != strings.Join(second, " ") {
			t.Fatalf("after rotation replicas hold %v and %v", second, ids(two))
		}
		if len(second) != 3 || second[0] != first[1] || second[2] != first[0] {
			t.Errorf("from %v the keys turn to %v: want the next to sign and the last still published", first, second)
		}
		if three := open(t, s, c); strings.Join(ids(three), " ") != strings.Join(second, " ") {
			t.Errorf("a replica that starts now holds %v", ids(three))
		}
		c.at = c.at.Add(-24*time.Hour + time.Minute)
		if _, err := verifier(t, two, c).Verify(context.Background(), old); err != nil {
			t.Errorf("a token of the previous key: %v", err)
		}
		if _, err := verifier(t, one, c).Verify(context.Background(), sign(t, two, c)); err != nil {
			t.Errorf("a token of another replica: %v", err)
		}
	})
}

func TestRing_isSealedInTheStore(t *testing.T) {
	raw := testkit.Store(t, "bolt", "identity", keyring.Tables())
	ring, err := seal.New()
	if err != nil {
		t.Fatal(err)
	}
	c := &clock{at: time.Now()}
	before := ids(open(t, ring.Wrap(raw), c))
	if after := ids(open(t, ring.Wrap(raw), c)); strings.Join(before, " ") != strings.Join(after, " ") {
		t.Errorf("reopened, the ring is %v, was %v", after, before)
	}
	if _, err := keyring.Open(context.Background(), keyring.Config{Store: raw, Issuer: issuer}); err == nil {
		t.Error("the keys can be read without the keyset")
	}
}

func TestOpen_renewsAllKeys(t *testing.T) {
	s := testkit.Store(t, "bolt", "identity", keyring.Tables())
	c := &clock{at: time.Now()}
	before := open(t, s, c)
	renewed, err := keyring.Open(context.Background(), keyring.Config{Store: s, Issuer: issuer, Clock: c.now, Renew: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verifier(t, renewed, c).Verify(context.Background(), sign(t, before, c)); err == nil {
		t.Error("a token of a key that was thrown away is good")
	}
	if err := before.Refresh(context.Background()); err != nil || strings.Join(ids(before), " ") != strings.Join(ids(renewed), " ") {
		t.Errorf("another replica holds %v, %v; want %v", ids(before), err, ids(renewed))
	}
}

func TestOpen_refusesAHastyRotation(t *testing.T) {
	s := testkit.Store(t, "bolt", "identity", keyring.Tables())
	if _, err := keyring.Open(context.Background(), keyring.Config{Store: s, Issuer: issuer, Rotation: time.Minute}); err == nil {
		t.Error("keys may rotate faster than verifiers learn of them")
	}
}
