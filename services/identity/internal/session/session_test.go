package session

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	storev1 "guildhall.dev/proto/gen/guildhall/identity/store/v1"
	"guildhall.dev/services/identity/internal/standing"
)

const account = "organizations/acme/staff/s1"

func newBook(t testing.TB, key string) *Book {
	t.Helper()
	b, err := New(Config{Key: []byte(strings.Repeat(key, 32)), Standing: standing.New()})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestToken_roundTrips(t *testing.T) {
	b, other := newBook(t, "k"), newBook(t, "o")
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.StringMatching(`[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?`).Draw(t, "id")
		n := rapid.Uint64().Draw(t, "number")
		token := b.token(id, n)
		gotID, gotN, err := b.parseToken(token)
		if err != nil || gotID != id || gotN != n {
			t.Fatalf("%q comes back as %q %d, %v", token, gotID, gotN, err)
		}
		if _, _, err := other.parseToken(token); err == nil {
			t.Fatal("a book takes another's token")
		}
	})
}

func FuzzParseToken(f *testing.F) {
	b, err := New(Config{Key: []byte(strings.Repeat("k", 32)), Standing: standing.New()})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b.token("s1", 1))
	f.Fuzz(func(t *testing.T, token string) {
		if id, n, err := b.parseToken(token); err == nil && b.token(id, n) != token {
			t.Errorf("%q is taken for %q", token, b.token(id, n))
		}
	})
}

func TestNew_refusesAShortKey(t *testing.T) {
	if _, err := New(Config{Key: []byte("short")}); err == nil {
		t.Error("a short key is taken")
	}
}

func TestEnds_isTheEarlierLimit(t *testing.T) {
	b := newBook(t, "k")
	begun := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		seen time.Duration
		want time.Duration
	}{
		{0, DefaultIdle},
		{10 * 24 * time.Hour, 24 * 24 * time.Hour},
		{20 * 24 * time.Hour, DefaultAbsolute},
	} {
		s := &storev1.Session{
			Name: Name(account, "1"), CreateTime: timestamppb.New(begun), LastSeenTime: timestamppb.New(begun.Add(c.seen)),
			ExpireTime: timestamppb.New(begun.Add(DefaultAbsolute)),
		}
		if got := b.ends(s).Sub(begun); got != c.want {
			t.Errorf("seen after %s it ends after %s, want %s", c.seen, got, c.want)
		}
	}
}

func TestSplit(t *testing.T) {
	for name, want := range map[string]bool{
		Name(account, "1"): true, account + "/sessions/-": true, account: false, "": false, "/sessions": false, account + "/x/1": false,
	} {
		if _, _, ok := Split(name); ok != want {
			t.Errorf("Split(%q) is %v", name, ok)
		}
	}
	if AccountOf(Name(account, "1")) != account || ID(Name(account, "1")) != "1" {
		t.Error("a name does not come apart")
	}
}
