package inspection

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	encoding "encoding/hex"
	"math"
	"slices"
)

// MaxPopulation is the most items that a sample is drawn from.
const MaxPopulation = 10_000

// SeedSize is the length of a seed in bytes.
const SeedSize = 32

// Sample draws size of the items without replacement, all of them when there
// are no more: those of the lowest ranks, in the order of the ranks. An item's
// rank is HMAC-SHA-256(seed, item), which is as good as a random number for who
// does not know the seed, and the same for everybody who does (Ohlsson 1995,
// permanent random numbers). The items are distinct; their order plays no part.
func Sample(seed []byte, items []string, size int) []string {
	type ranked struct {
		item string
		rank []byte
	}
	all := make([]ranked, len(items))
	for i, item := range items {
		mac := hmac.New(sha256.New, seed)
		mac.Write([]byte(item))
		all[i] = ranked{item, mac.Sum(nil)}
	}
	slices.SortFunc(all, func(a, b ranked) int { return bytes.Compare(a.rank, b.rank) })
	out := make([]string, min(size, len(all)))
	for i := range out {
		out[i] = all[i].item
	}
	return out
}

// hashOf returns the hash of a population that is in order.
func hashOf(items []string) string {
	h := sha256.New()
	for _, item := range items {
		h.Write([]byte(item))
		h.Write([]byte{'\n'})
	}
	return hex(h.Sum(nil))
}

func hash(seed []byte) string {
	sum := sha256.Sum256(seed)
	return hex(sum[:])
}

func hex(b []byte) string { return encoding.EncodeToString(b) }

// Wilson returns the score interval of a share of successes (Wilson 1927), at
// 95 %. Unlike the textbook one it is never empty and never leaves 0 to 1, also
// for a few items that all conform. trials is greater than zero.
func Wilson(successes, trials int) (low, high float64) {
	const z = 1.959963984540054 // the 97.5 % point of the normal distribution
	n, p := float64(trials), float64(successes)/float64(trials)
	middle := (p + z*z/(2*n)) / (1 + z*z/n)
	half := z / (1 + z*z/n) * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return max(0, middle-half), min(1, middle+half)
}
