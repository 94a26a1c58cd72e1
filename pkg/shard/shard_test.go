package shard_test

import (
	"fmt"
	"testing"

	"guildhall.dev/pkg/shard"
)

func TestRoot_isTheFirstTwoPairs(t *testing.T) {
	for name, want := range map[string]string{
		"":                             "",
		"organizations/acme":           "organizations/acme",
		"organizations/acme/groups/g1": "organizations/acme/groups/g1",
		"organizations/acme/groups/g1/messages/42":     "organizations/acme/groups/g1",
		"organizations/acme/groups/g1/messages/42/a/b": "organizations/acme/groups/g1",
		"organizations/acme/settings":                  "organizations/acme/settings",
	} {
		if got := shard.Root(name); got != want {
			t.Errorf("Root(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestOf_childrenStayWithTheirRoot(t *testing.T) {
	for i := range 100 {
		root := fmt.Sprintf("organizations/acme/groups/g%d", i)
		if a, b := shard.Of(root, 32), shard.Of(root+"/messages/7", 32); a != b {
			t.Errorf("%s is in shard %d, its message in %d", root, a, b)
		}
	}
}

// The numbers are stored in feeds and audit logs: a change of them breaks the
// order of events across the upgrade.
func TestOf_neverChanges(t *testing.T) {
	for name, want := range map[string]uint32{
		"organizations/acme":              22,
		"organizations/acme/groups/g1":    16,
		"organizations/acme/customers/c1": 29,
	} {
		if got := shard.Of(name, 32); got != want {
			t.Errorf("Of(%q, 32) = %d, want %d", name, got, want)
		}
	}
}

func TestOf_spreadsEvenly(t *testing.T) {
	const n, names = 32, 32000
	var count [n]int
	for i := range names {
		count[shard.Of(fmt.Sprintf("organizations/acme/groups/%d", i), n)]++
	}
	for s, c := range count {
		if c < names/n*8/10 || c > names/n*12/10 {
			t.Errorf("shard %d holds %d of %d names; want within 20%% of %d", s, c, names, names/n)
		}
	}
}
