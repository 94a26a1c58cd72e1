package importer

import (
	"testing"
	"time"

	"guildhall.dev/pkg/errs"
)

func TestClock_readsTimes(t *testing.T) {
	for _, c := range []struct{ layout, zone, text, want string }{
		{"", "", "2011-12-09T12:50:00Z", "2011-12-09T12:50:00Z"},
		{"yyyy-MM-dd HH:mm:ss", "", "2010-12-01 08:26:00", "2010-12-01T08:26:00Z"},
		{"yyyy-MM-dd HH:mm:ss", "Europe/London", "2011-07-01 08:26:00", "2011-07-01T07:26:00Z"},
		{"d/M/yy H:mm", "Asia/Shanghai", "1/12/10 8:26", "2010-12-01T00:26:00Z"},
		{"MM/dd/yyyy hh:mm a", "", "12/09/2011 12:50 PM", "2011-12-09T12:50:00Z"},
		{"yyyy年M月d日", "", "2011年7月1日", "2011-07-01T00:00:00Z"},
		{"yyyy-MM-dd'T'HH:mm", "", "2011-07-01T08:26", "2011-07-01T08:26:00Z"},
		{"yyyy-MM-dd", "", "2011-02-29", ""},
		{"yyyy-MM-dd", "", "2011-02-28 10:00", ""},
	} {
		clock, err := newClock(c.layout, c.zone)
		if err != nil {
			t.Errorf("%s: %v", c.layout, err)
			continue
		}
		at, ok := clock.read(c.text)
		got := ""
		if ok {
			got = at.UTC().Format(time.RFC3339)
		}
		if got != c.want {
			t.Errorf("%s in %s %s is %q, want %q", c.text, c.layout, c.zone, got, c.want)
		}
	}
}

func TestClock_refusesLayoutsThatTellNoDay(t *testing.T) {
	for _, layout := range []string{"yyyy-MM", "HH:mm", "2006-01-02", "yyyy-MM-dd EEE", "yyyy_MM_dd", "yyyy-MM-ddZ", "dd MMM yyyy", "mm/dd/yyyy", "\xff"} {
		if _, err := newClock(layout, ""); errs.ReasonOf(err) != "TIME_LAYOUT_INVALID" {
			t.Errorf("%q: %v", layout, err)
		}
	}
	for _, zone := range []string{"Local", "Atlantis", "../etc/passwd", "london"} {
		if _, err := newClock("", zone); errs.ReasonOf(err) != "TIME_ZONE_UNKNOWN" {
			t.Errorf("%q: %v", zone, err)
		}
	}
}
