package order

import (
	"math"
	"math/bits"
	"strings"

	"golang.org/x/text/currency"
	"google.golang.org/genproto/googleapis/type/money"

	"guildhall.dev/pkg/errs"
)

// Micros is money in millionths of its currency: exact, and to six decimals, which
// is more than any currency has and enough for the price of one of many.
type Micros int64

const (
	perUnit       = 1_000_000
	nanosPerMicro = 1_000
)

const moneyText = "send units and nanos of one sign, and at most six decimals"

// fromMoney reads an amount in a currency. Errors are Invalid on the field:
// CURRENCY_MISMATCH, MONEY_INVALID and AMOUNT_OVERFLOW.
func fromMoney(field string, m *money.Money, code string) (Micros, error) {
	units, nanos := m.GetUnits(), int64(m.GetNanos())
	switch {
	case m.GetCurrencyCode() != code:
		return 0, errs.InvalidField(field, "CURRENCY_MISMATCH", "an order has one currency; send all its money in it")
	case nanos <= -1e9 || nanos >= 1e9, units > 0 && nanos < 0, units < 0 && nanos > 0, nanos%nanosPerMicro != 0:
		return 0, errs.InvalidField(field, "MONEY_INVALID", moneyText)
	}
	whole, ok := times(units, perUnit)
	if !ok {
		return 0, overflow(field)
	}
	sum, ok := plus(whole, Micros(nanos/nanosPerMicro))
	if !ok {
		return 0, overflow(field)
	}
	return sum, nil
}

// toMoney returns an amount as the API has it.
func toMoney(code string, m Micros) *money.Money {
	return &money.Money{CurrencyCode: code, Units: int64(m / perUnit), Nanos: int32(m % perUnit * nanosPerMicro)}
}

// ParseMicros reads an amount as files write it: digits, a point and up to six
// decimals, with or without a minus. It is not ok for anything else, and for more
// than there can be.
func ParseMicros(text string) (m Micros, ok bool) {
	digits, negative := strings.CutPrefix(text, "-")
	whole, decimals, point := strings.Cut(digits, ".")
	decimals = strings.TrimRight(decimals, "0")
	if whole == "" || point && strings.HasSuffix(digits, ".") || len(decimals) > 6 {
		return 0, false
	}
	for _, d := range whole + decimals + strings.Repeat("0", 6-len(decimals)) {
		if d < '0' || d > '9' {
			return 0, false
		}
		if m, ok = times(int64(m), 10); !ok {
			return 0, false
		}
		if m, ok = plus(m, Micros(d-'0')); !ok {
			return 0, false
		}
	}
	if negative {
		m = -m
	}
	return m, true
}

// times multiplies without overflow.
func times(a int64, b Micros) (Micros, bool) {
	high, low := bits.Mul64(magnitude(a), magnitude(int64(b)))
	if high != 0 || low > math.MaxInt64 {
		return 0, false
	}
	if (a < 0) != (b < 0) {
		return -Micros(low), true
	}
	return Micros(low), true
}

func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

// plus adds without overflow. The least of int64 counts as one: its negative is
// none.
func plus(a, b Micros) (Micros, bool) {
	sum := a + b
	return sum, (sum > a) == (b > 0) && sum != math.MinInt64
}

// CheckCurrency refuses what is no currency of ISO 4217, as Invalid
// (CURRENCY_INVALID) on the field.
func CheckCurrency(field, code string) error {
	if _, err := currency.ParseISO(code); err != nil || strings.ToUpper(code) != code {
		return errs.InvalidField(field, "CURRENCY_INVALID", "send a currency of ISO 4217, as in GBP")
	}
	return nil
}

func overflow(field string) error {
	return errs.InvalidField(field, "AMOUNT_OVERFLOW", "the amounts are larger than can be added up exactly; check quantities and prices")
}
