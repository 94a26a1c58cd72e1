package importer

import (
	"strings"
	"time"
	"unicode"

	"guildhall.dev/pkg/errs"
)

// clock reads the times of a file.
type clock struct {
	layout string // Go's
	zone   *time.Location
}

// letters are those of Unicode's date formats (UTS 35 section 4) that a layout may
// have, longest first, as Go writes them. Go's hour of 24 reads one digit too.
var letters = []struct{ unicode, layout string }{
	{"yyyy", "2006"}, {"yy", "06"}, {"MM", "01"}, {"M", "1"}, {"dd", "02"}, {"d", "2"},
	{"HH", "15"}, {"H", "15"}, {"hh", "03"}, {"h", "3"}, {"mm", "04"}, {"ss", "05"}, {"a", "PM"}, {"'T'", "T"},
}

// newClock returns what reads times of a layout and a zone; of RFC 3339 and UTC when
// they are empty. Errors are Invalid: TIME_LAYOUT_INVALID and TIME_ZONE_UNKNOWN.
func newClock(layout, zone string) (clock, error) {
	c := clock{layout: time.RFC3339, zone: time.UTC}
	if layout != "" {
		var ok bool
		if c.layout, ok = translate(layout); !ok {
			return clock{}, errs.InvalidField("options.time_layout", "TIME_LAYOUT_INVALID",
				"write times as in yyyy-MM-dd HH:mm:ss, with the year, the month and the day")
		}
	}
	// Local is the zone of this machine, which is nobody's business.
	location, err := time.LoadLocation(zone)
	if err != nil || zone == "Local" {
		return clock{}, errs.InvalidField("options.time_zone", "TIME_ZONE_UNKNOWN", "name a time zone of IANA's, as in Europe/London")
	}
	c.zone = location
	return c, nil
}

// translate returns Go's layout for one of Unicode's. It is not ok when it has other
// letters, or does not tell one day from all others.
func translate(layout string) (string, bool) {
	var out strings.Builder
	for rest := layout; rest != ""; {
		length := 0
		for _, l := range letters {
			if strings.HasPrefix(rest, l.unicode) {
				out.WriteString(l.layout)
				length = len(l.unicode)
				break
			}
		}
		// A field is all of a letter that stands together: MMM is no MM and M.
		if length > 0 && strings.HasPrefix(rest[length:], rest[:1]) && rest[0] != '\'' {
			return "", false
		}
		if length == 0 {
			r := []rune(rest)[0]
			if r <= unicode.MaxASCII && !strings.ContainsRune(" -/.:,", r) || r == unicode.ReplacementChar {
				return "", false
			}
			out.WriteRune(r)
			length = len(string(r))
		}
		rest = rest[length:]
	}
	// What a layout leaves out, or has in an order that cannot be read, does not come
	// back.
	day := time.Date(2033, 11, 24, 0, 0, 0, 0, time.UTC)
	back, err := time.Parse(out.String(), day.Format(out.String()))
	return out.String(), err == nil && back.Equal(day)
}

// read reads a time; not ok when it is none.
func (c clock) read(text string) (time.Time, bool) {
	at, err := time.ParseInLocation(c.layout, text, c.zone)
	return at, err == nil
}
