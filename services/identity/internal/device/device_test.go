package device

import (
	"bytes"
	"testing"
	"time"
)

var begun = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func owner() Owner { return Owner{Account: "organizations/acme/staff/s1", PasswordTime: begun} }

func newSealer(t testing.TB, key string) *Sealer {
	t.Helper()
	s, err := NewSealer(bytes.Repeat([]byte(key), 32))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestToken_isOfOneOwnerForATime(t *testing.T) {
	s, id := newSealer(t, "k"), NewID()
	token := s.Token(owner(), id, begun)
	if got, ok := s.ID(owner(), token, begun.Add(Lifetime-time.Second)); !ok || got != id {
		t.Errorf("the token is of %x, %t; want %x", got, ok, id)
	}
	for name, ask := range map[string]func() (string, bool){
		"another account": func() (string, bool) {
			return s.ID(Owner{Account: "organizations/acme/staff/s2", PasswordTime: begun}, token, begun)
		},
		"another password": func() (string, bool) {
			return s.ID(Owner{Account: owner().Account, PasswordTime: begun.Add(1)}, token, begun)
		},
		"too old":     func() (string, bool) { return s.ID(owner(), token, begun.Add(Lifetime)) },
		"another key": func() (string, bool) { return newSealer(t, "o").ID(owner(), token, begun) },
		"empty":       func() (string, bool) { return s.ID(owner(), "", begun) },
	} {
		if _, ok := ask(); ok {
			t.Errorf("%s: the token is taken", name)
		}
	}
}

func TestToken_forgedOneIsRefused(t *testing.T) {
	s := newSealer(t, "k")
	token := s.Token(owner(), NewID(), begun)
	for i := range len(token) {
		for _, c := range []string{"A", "B"} {
			if forged := token[:i] + c + token[i+1:]; forged != token {
				if _, ok := s.ID(owner(), forged, begun); ok {
					t.Fatalf("with character %d changed the token is taken", i)
				}
			}
		}
	}
}

func TestNewSealer_refusesAShortKey(t *testing.T) {
	if _, err := NewSealer([]byte("short")); err == nil {
		t.Error("a short key is taken")
	}
}

func FuzzID(f *testing.F) {
	s := newSealer(f, "k")
	f.Add(s.Token(owner(), NewID(), begun))
	f.Fuzz(func(t *testing.T, token string) {
		if id, ok := s.ID(owner(), token, begun); ok && len(id) != idSize {
			t.Errorf("%q is of a device of %d bytes", token, len(id))
		}
	})
}
