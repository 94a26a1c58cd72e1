package authn

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"guildhall.dev/pkg/errs"
)

func TestServiceCredentials_areVerifiedByTheirTarget(t *testing.T) {
	b := newBench(t)
	clock := func() time.Time { return b.now }
	creds := newServiceCredentials(b.cluster, "feedback", "identity", "authorization", "Bearer ", clock)
	md, err := creds.GetRequestMetadata(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	token, err := BearerToken([]string{md["authorization"]})
	if err != nil {
		t.Fatal(err)
	}
	caller, err := b.verifier.Verify(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	if caller.Service() != "feedback" || caller.Kind() != System || !caller.Expires.Equal(b.now.Add(serviceLifetime)) {
		t.Errorf("got %+v", caller)
	}
	b.now = b.now.Add(serviceLifetime + Skew)
	if _, err := b.verifier.Verify(t.Context(), token); errs.ReasonOf(err) != "TOKEN_EXPIRED" {
		t.Errorf("after its minute: %v", err)
	}
}

func TestServiceCredentials_reuseATokenForHalfItsLife(t *testing.T) {
	b := newBench(t)
	creds := newServiceCredentials(b.cluster, "gateway", "identity", ForwarderHeader, "", func() time.Time { return b.now })
	get := func() string {
		md, err := creds.GetRequestMetadata(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(md) != 1 || md[ForwarderHeader] == "" {
			t.Fatalf("got %v, want only %s", md, ForwarderHeader)
		}
		return md[ForwarderHeader]
	}
	first := get()
	b.now = b.now.Add(serviceLifetime/2 - time.Second)
	if get() != first {
		t.Error("minted a token while the last one was young")
	}
	b.now = b.now.Add(time.Second)
	if get() == first {
		t.Error("kept a token past half its life")
	}
}

func TestOpenClusterKey_isMadeOnceAndPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "cluster.key")
	keys := make([]*ClusterKey, 8)
	var all sync.WaitGroup
	for i := range keys {
		all.Go(func() {
			key, err := OpenClusterKey(path)
			if err != nil {
				t.Error(err)
			}
			keys[i] = key
		})
	}
	all.Wait()
	for _, key := range keys {
		if key == nil || !bytes.Equal(key.secret, keys[0].secret) {
			t.Fatal("processes that start together disagree on the key")
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".cluster-key-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestClusterKey_derivesAKeyForEachPurpose(t *testing.T) {
	key := NewClusterKey()
	derive := func(k *ClusterKey, purpose string) string {
		b, err := k.Derive(purpose)
		if err != nil || len(b) != 32 {
			t.Fatalf("derived %d bytes, %v", len(b), err)
		}
		return string(b)
	}
	service, err := key.derive("services/groupchat")
	if err != nil {
		t.Fatal(err)
	}
	first := derive(key, "services/groupchat")
	if first != derive(&ClusterKey{secret: bytes.Clone(key.secret)}, "services/groupchat") {
		t.Error("two processes disagree on a key")
	}
	for name, other := range map[string]string{
		"another purpose": derive(key, "x"), "another installation": derive(NewClusterKey(), "services/groupchat"), "a service": string(service),
	} {
		if other == first {
			t.Errorf("%s has the same key", name)
		}
	}
}

func TestOpenClusterKey_refuses(t *testing.T) {
	good := "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n"
	for name, c := range map[string]struct {
		text string
		mode os.FileMode
		want string
	}{
		"readable by the group": {good, 0o640, "chmod 600"},
		"readable by all":       {good, 0o604, "chmod 600"},
		"empty":                 {"", 0o600, "is empty"},
		"short":                 {"MDEy\n", 0o600, "not 32 bytes"},
		"no base64":             {strings.Repeat("!", 44), 0o600, "not 32 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "key")
			if err := os.WriteFile(path, []byte(c.text), c.mode); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, c.mode); err != nil {
				t.Fatal(err)
			}
			if _, err := OpenClusterKey(path); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	bench := newBench(b)
	token := bench.token(b)
	b.Run("remembered", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := bench.verifier.Verify(b.Context(), token); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("verified", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := bench.verifier.verify(b.Context(), token); err != nil {
				b.Fatal(err)
			}
		}
	})
	service, err := bench.cluster.mint("services/groupchat", "services/identity", bench.now)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("service token verified", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := bench.verifier.verify(b.Context(), service); err != nil {
				b.Fatal(err)
			}
		}
	})
}
