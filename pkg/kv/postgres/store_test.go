package postgres_test

import (
	"testing"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/kv/kvtest"
	"guildhall.dev/pkg/testkit"
)

func TestConformance(t *testing.T) {
	kvtest.Run(t, func(t *testing.T) kv.Store { return testkit.Store(t, "postgres", "test", kvtest.Tables()) })
}
