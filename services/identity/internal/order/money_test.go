package order

import (
	"fmt"
	"math"
	"math/big"
	"testing"

	"google.golang.org/genproto/googleapis/type/money"
	"pgregory.net/rapid"

	"guildhall.dev/pkg/errs"
)

func TestFromMoney_refusesWhatIsNotExact(t *testing.T) {
	for _, c := range []struct {
		units  int64
		nanos  int32
		want   Micros
		reason string
	}{
		{2, 550_000_000, 2_550_000, ""},
		{0, 1_000, 1, ""},
		{0, 1_500, 0, "MONEY_INVALID"},
		{0, 999, 0, "MONEY_INVALID"},
		{-1, -500_000_000, -1_500_000, ""},
		{1, -500_000_000, 0, "MONEY_INVALID"},
		{-1, 500_000_000, 0, "MONEY_INVALID"},
		{0, 1_000_000_000, 0, "MONEY_INVALID"},
		{math.MaxInt64/perUnit + 1, 0, 0, "AMOUNT_OVERFLOW"},
		{math.MaxInt64 / perUnit, 999_999_000, 0, "AMOUNT_OVERFLOW"},
		{math.MinInt64, 0, 0, "AMOUNT_OVERFLOW"},
	} {
		got, err := fromMoney("f", &money.Money{CurrencyCode: "GBP", Units: c.units, Nanos: c.nanos}, "GBP")
		if got != c.want || errs.ReasonOf(err) != c.reason {
			t.Errorf("%d units %d nanos: %d, %v; want %d %s", c.units, c.nanos, got, err, c.want, c.reason)
		}
	}
	if _, err := fromMoney("f", &money.Money{CurrencyCode: "EUR"}, "GBP"); errs.ReasonOf(err) != "CURRENCY_MISMATCH" {
		t.Errorf("another currency: %v", err)
	}
}

func TestMoney_comesBackAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := Micros(rapid.Int64Min(-math.MaxInt64).Draw(t, "micros"))
		if back, err := fromMoney("f", toMoney("CNY", m), "CNY"); err != nil || back != m {
			t.Fatalf("%d comes back as %d, %v", m, back, err)
		}
		sign, size := "", magnitude(int64(m))
		if m < 0 {
			sign = "-"
		}
		text := fmt.Sprintf("%s%d.%06d", sign, size/perUnit, size%perUnit)
		if back, ok := ParseMicros(text); !ok || back != m {
			t.Fatalf("%s is read as %d, %t", text, back, ok)
		}
	})
}

func TestParseMicros(t *testing.T) {
	for text, want := range map[string]Micros{
		"2.55": 2_550_000, "0": 0, "7": 7_000_000, "-1.5": -1_500_000, "0.000001": 1, "1.0000000": 1_000_000, "9223372036854.775807": math.MaxInt64,
	} {
		if got, ok := ParseMicros(text); !ok || got != want {
			t.Errorf("%s is %d, %t; want %d", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "-", ".", "1.", ".5", "1,5", "1e3", "+1", "--1", "1.-5", " 1", "0.0000001", "9223372036854.775808", "99999999999999999999", "１"} {
		if got, ok := ParseMicros(text); ok {
			t.Errorf("%q is read as %d", text, got)
		}
	}
}

// TestArithmetic_overflowsAreSeen compares with arithmetic without bounds.
func TestArithmetic_overflowsAreSeen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Int64().Draw(t, "a"), rapid.Int64().Draw(t, "b")
		if rapid.Bool().Draw(t, "small") {
			a, b = a>>33, b>>33
		}
		check := func(name string, got Micros, ok bool, want *big.Int) {
			fits := want.IsInt64() && want.Int64() != math.MinInt64
			if ok != fits || ok && int64(got) != want.Int64() {
				t.Fatalf("%s of %d and %d is %d, %t; want %s", name, a, b, got, ok, want)
			}
		}
		x, y := big.NewInt(a), big.NewInt(b)
		got, ok := times(a, Micros(b))
		check("product", got, ok, new(big.Int).Mul(x, y))
		if a != math.MinInt64 && b != math.MinInt64 {
			got, ok = plus(Micros(a), Micros(b))
			check("sum", got, ok, new(big.Int).Add(x, y))
		}
	})
}
