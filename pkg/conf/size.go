package conf

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Size is a number of bytes, written "512", "64KiB", "4MiB" or "1GiB". Decimal
// units are not taken: "MB" means two things, and a limit should mean one.
type Size int64

// Units of Size.
const (
	KiB Size = 1 << 10
	MiB Size = 1 << 20
	GiB Size = 1 << 30
	TiB Size = 1 << 40
)

var errSize = errors.New(`must be a size as in "512", "64KiB", "4MiB" or "1GiB"`)

// UnmarshalText reads a size.
func (s *Size) UnmarshalText(text []byte) error {
	number, unit := string(text), Size(1)
	for suffix, u := range map[string]Size{"KiB": KiB, "MiB": MiB, "GiB": GiB, "TiB": TiB} {
		if rest, ok := strings.CutSuffix(number, suffix); ok {
			number, unit = rest, u
			break
		}
	}
	n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
	if err != nil || n < 0 || n > int64((1<<63-1)/unit) {
		return errSize
	}
	*s = Size(n) * unit
	return nil
}

// MarshalText writes the size as String does.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// String writes the size in the largest unit that divides it.
func (s Size) String() string {
	for _, u := range []struct {
		unit Size
		name string
	}{{TiB, "TiB"}, {GiB, "GiB"}, {MiB, "MiB"}, {KiB, "KiB"}} {
		if s != 0 && s%u.unit == 0 {
			return fmt.Sprintf("%d%s", s/u.unit, u.name)
		}
	}
	return strconv.FormatInt(int64(s), 10)
}
