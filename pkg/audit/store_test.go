package audit_test

import (
	"testing"

	"guildhall.dev/pkg/audit"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/testkit"
)

func openBolt(t *testing.T) kv.Store {
	t.Helper()
	return testkit.Store(t, "bolt", "test", audit.Tables())
}

func eachStore(t *testing.T, fn func(t *testing.T, s kv.Store)) {
	t.Helper()
	testkit.EachStore(t, "test", audit.Tables(), fn)
}
