package feed_test

import (
	"testing"

	"guildhall.dev/pkg/feed"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/testkit"
)

// counters is a table of the tests' own, for the effects of events.
const counters = "counters"

func storeOptions() kv.Options {
	return kv.Options{Name: "test", Tables: append(feed.Tables(), counters)}
}

func openBolt(t *testing.T) kv.Store {
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
