package survey

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestWilson_knownVectors(t *testing.T) {
	for _, c := range []struct {
		hits, n   int64
		low, high float64
	}{
		{90, 100, 0.8256, 0.9448},
		{9, 10, 0.5958, 0.9821},
		{0, 20, 0, 0.1611},
		{20, 20, 0.8389, 1},
	} {
		p, ok := wilson(c.hits, c.n)
		if !ok {
			t.Fatalf("wilson(%d, %d) has no result", c.hits, c.n)
		}
		if math.Abs(p.Low-c.low) > 5e-5 || math.Abs(p.High-c.high) > 5e-5 {
			t.Errorf("wilson(%d, %d) = %.4f..%.4f, want %.4f..%.4f", c.hits, c.n, p.Low, p.High, c.low, c.high)
		}
	}
}

func TestWilson_noAnswersNoValue(t *testing.T) {
	if _, ok := wilson(0, 0); ok {
		t.Error("a share of nothing has a value")
	}
}

func TestWilson_holdsItsShareAndStaysInRange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(1, 1_000_000).Draw(t, "n")
		hits := rapid.Int64Range(0, n).Draw(t, "hits")
		p, _ := wilson(hits, n)
		const slack = 1e-12 // rounding at the ends
		if p.Low < 0 || p.High > 1 || p.Low > p.Value+slack || p.High < p.Value-slack {
			t.Fatalf("wilson(%d, %d) = %+v", hits, n, p)
		}
	})
}
