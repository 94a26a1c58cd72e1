package cache

import (
	"fmt"
	"runtime"
	"testing"

	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// heap returns how many bytes are reachable.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what finalizers and pools had
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestMemory_isBounded asks about more accounts than there is room for: those
// that memory has given up come from Redis, and from the store when Redis is
// gone, and all answers are right.
func TestMemory_isBounded(t *testing.T) {
	const accounts, bound = 4000, 1 << 20
	s := newSuite(t, "bolt")
	client, server := dialRedis(t)
	account := func(i int) string { return fmt.Sprintf("%s/staff/s%d", acme, i) }
	s.change(s.store, func(tx kv.Tx) error {
		for i := 0; i < accounts; i += 2 {
			g := &permissionv1.Grant{Name: acme + "/grants/" + resource.NewID(), Subject: account(i), Role: "roles/viewer", Resource: acme}
			if _, _, err := s.loader.Grants.Create(tx, at, g); err != nil {
				return err
			}
		}
		return nil
	})
	c := s.running(s.sized(&shared{Store: s.store}, client, bound))
	askAll := func() (fromRedis, fromStore int64) {
		fromRedis, fromStore = c.Stats().Redis.Load(), c.Stats().Store.Load()
		for i := range accounts {
			s.wantMay(c, i%2 == 0, account(i))
		}
		c.memory.CleanUp()
		if size := c.memory.WeightedSize(); size > bound || size < bound/2 {
			t.Errorf("entries of %d bytes are kept, %d may be", size, bound)
		}
		return c.Stats().Redis.Load() - fromRedis, c.Stats().Store.Load() - fromStore
	}
	if _, n := askAll(); n < accounts {
		t.Errorf("%d of %d accounts were read from the store", n, accounts)
	}
	awaitKeys(t, client, accounts/4)
	if n, _ := askAll(); n < accounts/10 {
		t.Errorf("%d of %d accounts came from Redis", n, accounts)
	}
	server.Stop()
	if n, m := askAll(); n != 0 || m < accounts/4 {
		t.Errorf("without Redis %d accounts came from it and %d of %d from the store", n, m, accounts)
	}
	// What entries weigh is about what they take.
	full, weight := heap(), c.memory.WeightedSize()
	c.memory.InvalidateAll()
	c.memory.CleanUp()
	if freed := full - heap(); freed > 2*int64(weight) || freed < int64(weight)/2 {
		t.Errorf("entries that weigh %d took %d bytes", weight, freed)
	}
}
