package inspection

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	encoding "encoding/hex"
	"hash"
	"math"
	"slices"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// MaxPopulation is the most items that a sample is drawn from.
const MaxPopulation = 100_000

// SeedSize is the length of a seed in bytes.
const SeedSize = 32

// Lot draws a sample without replacement while it is told of the population,
// item by item in any order, and keeps nothing of it but the names: those of the
// lowest ranks, in the order of the ranks; all when there are no more. An item's
// rank is HMAC-SHA-256(seed, item), which is as good as a random number for who
// does not know the seed, and the same for everybody who does (Ohlsson 1995,
// permanent random numbers).
type Lot struct {
	of    *permissionv1.Inspection // as it was before the draw
	size  int
	ranks hash.Hash
	items []string
	low   []ticket // by rank
}

// ticket is an item that is drawn unless enough others have lower ranks.
type ticket struct {
	rank []byte
	item *permissionv1.SampledItem
}

func newLot(seed []byte, size int) *Lot { return &Lot{size: size, ranks: hmac.New(sha256.New, seed)} }

// Add tells of an item. Told again it counts once.
func (l *Lot) Add(item string) { l.add(&permissionv1.SampledItem{Item: item}) }

// AddDecision tells of an item that is an entry of the decision log.
func (l *Lot) AddDecision(d *permissionv1.Decision) {
	l.add(&permissionv1.SampledItem{Item: d.GetName(), Decision: d})
}

func (l *Lot) add(item *permissionv1.SampledItem) {
	l.items = append(l.items, item.GetItem())
	l.ranks.Reset()
	l.ranks.Write([]byte(item.GetItem()))
	rank := l.ranks.Sum(nil)
	at, known := slices.BinarySearchFunc(l.low, rank, func(t ticket, rank []byte) int { return bytes.Compare(t.rank, rank) })
	if known || at == l.size {
		return
	}
	l.low = slices.Insert(l.low[:min(len(l.low), l.size-1)], at, ticket{rank, item})
}

// Full reports whether the population is too large already.
func (l *Lot) Full() bool { return len(l.items) > MaxPopulation }

// population returns how many items there are and their hash.
func (l *Lot) population() (size int, hash string) {
	items := slices.Compact(slices.Sorted(slices.Values(l.items)))
	h := sha256.New()
	for _, item := range items {
		h.Write([]byte(item))
		h.Write([]byte{'\n'})
	}
	return len(items), hex(h.Sum(nil))
}

// drawn returns the sample.
func (l *Lot) drawn() []*permissionv1.SampledItem {
	out := make([]*permissionv1.SampledItem, len(l.low))
	for i, t := range l.low {
		out[i] = t.item
	}
	return out
}

// Sample returns what a lot draws of the items, as anybody can who has the seed.
func Sample(seed []byte, items []string, size int) []string {
	l := newLot(seed, size)
	for _, item := range items {
		l.Add(item)
	}
	out := make([]string, len(l.low))
	for i, t := range l.low {
		out[i] = t.item.GetItem()
	}
	return out
}

func hashOf(seed []byte) string {
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
