package change_test

import (
	"testing"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/testkit"
)

func openBolt(t testing.TB) kv.Store {
	t.Helper()
	return testkit.Store(t, "bolt", storeOptions().Name, storeOptions().Tables)
}

func eachStore(t *testing.T, fn func(t *testing.T, s kv.Store)) {
	t.Helper()
	testkit.EachStore(t, storeOptions().Name, storeOptions().Tables, fn)
}

// eachStoreURL is eachStore for tests whose child processes open the store.
func eachStoreURL(t *testing.T, fn func(t *testing.T, url string)) {
	t.Helper()
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) { fn(t, testkit.StoreURL(t, engine)) })
	}
}
