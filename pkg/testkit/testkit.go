// Package testkit gives tests the real servers that the suite runs on: private
// PostgreSQL and Redis processes on free ports, and stores of both engines.
//
// There are no fakes of them and no skips: a machine that lacks a server fails
// the test and is told what to install. Servers end with the test process,
// however it ends, and take their folders with them.
package testkit

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"testing"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/kv/kvopen"
)

// Engines are the names of the storage engines, as subtests are named.
func Engines() []string { return []string{"bolt", "postgres"} }

// EachStore runs test once for each engine, in the subtests "bolt" and
// "postgres", with an empty store of that name and those tables.
func EachStore(t *testing.T, name string, tables []string, test func(t *testing.T, s kv.Store)) {
	t.Helper()
	for _, engine := range Engines() {
		t.Run(engine, func(t *testing.T) { test(t, Store(t, engine, name, tables)) })
	}
}

// Store opens an empty store on the engine, "bolt" or "postgres", and closes it
// when the test ends.
func Store(t testing.TB, engine, name string, tables []string) kv.Store {
	t.Helper()
	s, err := kvopen.Open(context.Background(), StoreURL(t, engine), kvopen.Options{Name: name, Tables: tables})
	if err != nil {
		t.Fatalf("open %s store: %v", engine, err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close %s store: %v", engine, err)
		}
	})
	return s
}

// StoreURL returns the URL of a place for stores that this test has to itself:
// a temporary folder for "bolt", a fresh database for "postgres".
func StoreURL(t testing.TB, engine string) string {
	t.Helper()
	switch engine {
	case "bolt":
		return "bolt://" + t.TempDir()
	case "postgres":
		return Postgres(t)
	}
	t.Fatalf("testkit: no engine %q", engine)
	return ""
}

// word returns a fresh random word that is safe in names and URLs.
func word() string {
	b := make([]byte, 8)
	rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
