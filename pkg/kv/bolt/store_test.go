package bolt_test

import (
	"testing"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/kv/bolt"
	"guildhall.dev/pkg/kv/kvtest"
)

func TestConformance(t *testing.T) {
	kvtest.Run(t, func(t *testing.T) kv.Store { return open(t, t.TempDir()) })
}

func open(t *testing.T, folder string) *bolt.Store {
	t.Helper()
	s, err := bolt.Open(t.Context(), folder, options())
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func options() kv.Options { return kv.Options{Name: "test", Tables: kvtest.Tables()} }
