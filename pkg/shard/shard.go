// Package shard spreads resources over a fixed number of counters.
//
// A sequence without gaps needs a counter that its writers take turns at. One
// counter for a whole service would make every mutation wait for every other,
// so the feed and the audit log keep several and choose by the resource. All
// that lies below one root resource shares a counter, and so keeps its order.
// It is not sharding of a store: where rows lie is the engine's business.
package shard

import (
	"hash/fnv"
	"strings"
)

// rootSegments is how much of a name decides: "organizations/acme/groups/g1"
// of "organizations/acme/groups/g1/messages/42".
const rootSegments = 4

// Root returns the resource that decides for name: its first two pairs of
// collection and id, or all of a shorter name.
func Root(name string) string {
	end := 0
	for range rootSegments {
		i := strings.IndexByte(name[end:], '/')
		if i < 0 {
			return name
		}
		end += i + 1
	}
	return name[:end-1]
}

// Of returns the shard of name, below n. It never changes for one n, on any
// machine: stored sequences depend on it. It is 0 when n is 0.
func Of(name string, n uint32) uint32 {
	if n == 0 {
		return 0
	}
	h := fnv.New64a()
	h.Write([]byte(Root(name))) // a hash never fails to write
	sum := h.Sum64()
	// FNV's low bits depend on the low bits of the input only; fold the high
	// ones in, since n is most often a power of two.
	return uint32((sum ^ sum>>32) % uint64(n))
}
