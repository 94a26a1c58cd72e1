package decision

import (
	"errors"
	"math"
	"strconv"
)

// Share is the part of all decisions that is logged, 0 to 1. It is written
// "off", "full", or as a number between: "0.01".
type Share float64

// Off and Full log no decision, and every one.
const (
	Off  Share = 0
	Full Share = 1
)

var errShare = errors.New(`must be "off", "full", or a number from 0 to 1, as in "0.01"`)

// UnmarshalText reads a share.
func (s *Share) UnmarshalText(text []byte) error {
	switch word := string(text); word {
	case "off":
		*s = Off
	case "full":
		*s = Full
	default:
		n, err := strconv.ParseFloat(word, 64)
		if err != nil || !(n >= 0 && n <= 1) { // not a number is in no range
			return errShare
		}
		*s = Share(n)
	}
	return nil
}

// MarshalText writes the share as String does.
func (s Share) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// String writes the share as it is read.
func (s Share) String() string {
	switch s {
	case Off:
		return "off"
	case Full:
		return "full"
	}
	return strconv.FormatFloat(float64(s), 'g', -1, 64)
}

// below returns the number below which a random one keeps a decision; the
// greatest one for all of them.
func (s Share) below() uint64 {
	if s >= Full {
		return math.MaxUint64
	}
	return uint64(float64(s) * math.MaxUint64)
}
