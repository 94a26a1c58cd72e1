package inspection_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"guildhall.dev/services/permission/internal/people/inspection"
)

func items(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("item %d", i)
	}
	return out
}

func TestSample_isTheSameForTheSameSeed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "seed")
		population := items(rapid.IntRange(0, 60).Draw(t, "population"))
		size := rapid.IntRange(1, 80).Draw(t, "size")
		sample := inspection.Sample(seed, population, size)
		if len(sample) != min(size, len(population)) {
			t.Fatalf("drew %d", len(sample))
		}
		for i, item := range sample {
			if !slices.Contains(population, item) || slices.Contains(sample[:i], item) {
				t.Fatalf("drew %q twice, or from elsewhere", item)
			}
		}
		shuffled := slices.Clone(population)
		rand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if again := inspection.Sample(seed, shuffled, size); !slices.Equal(again, sample) {
			t.Fatalf("in another order it drew %v, not %v", again, sample)
		}
	})
}

// TestSample_isFair draws 5 of 20 items with 4,000 seeds: each comes about a
// quarter of the time. The bound is five standard deviations.
func TestSample_isFair(t *testing.T) {
	population, drawn := items(20), map[string]int{}
	const draws = 4000
	for i := range draws {
		for _, item := range inspection.Sample(fmt.Appendf(nil, "seed %d", i), population, 5) {
			drawn[item]++
		}
	}
	bound := 5 * math.Sqrt(draws*0.25*0.75)
	for _, item := range population {
		if off := math.Abs(float64(drawn[item]) - draws*0.25); off > bound {
			t.Errorf("%s came %d times of %d", item, drawn[item], draws)
		}
	}
}

// TestWilson holds the interval against the values of Newcombe (1998, table I).
func TestWilson_publishedValues(t *testing.T) {
	for _, test := range []struct {
		successes, trials int
		low, high         float64
	}{{81, 263, 0.2553, 0.3662}, {15, 148, 0.0624, 0.1605}, {0, 20, 0, 0.1611}, {1, 29, 0.0061, 0.1718}} {
		low, high := inspection.Wilson(test.successes, test.trials)
		if math.Abs(low-test.low) > 5e-5 || math.Abs(high-test.high) > 5e-5 {
			t.Errorf("%d of %d: %.4f to %.4f, want %.4f to %.4f", test.successes, test.trials, low, high, test.low, test.high)
		}
	}
}
