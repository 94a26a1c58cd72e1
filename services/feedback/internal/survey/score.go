package survey

import "math"

// z95 is the 97.5 % quantile of the standard normal distribution: a two-sided
// interval of 95 %.
const z95 = 1.959963984540054

// Proportion is a share with its 95 % interval, all from 0 to 1.
type Proportion struct {
	Value, Low, High float64
}

// wilson returns the share hits of n with Wilson's score interval (Wilson
// 1927), which stays within 0 and 1 and says something at 0 of n and n of n,
// where the textbook interval has no width. There is no share of nothing: n
// of 0 has no result.
func wilson(hits, n int64) (p Proportion, ok bool) {
	if n <= 0 {
		return Proportion{}, false
	}
	share, count := float64(hits)/float64(n), float64(n)
	z2 := z95 * z95
	centre := (share + z2/(2*count)) / (1 + z2/count)
	half := z95 / (1 + z2/count) * math.Sqrt(share*(1-share)/count+z2/(4*count*count))
	return Proportion{
		Value: share,
		Low:   max(0, centre-half),
		High:  min(1, centre+half),
	}, true
}
