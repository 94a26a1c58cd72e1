package recurrence_test

import (
	"strings"
	"testing"
	"time"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/services/identity/internal/recurrence"
)

// series returns the days of a series from its first time, at most some.
func series(t *testing.T, rule string, first time.Time, most int) string {
	t.Helper()
	r, err := recurrence.Parse("task.recurrence", rule)
	if err != nil {
		t.Fatal(err)
	}
	days := []string{first.Format("06-01-02")}
	at, n := first, 1
	for len(days) < most {
		var ok bool
		if at, n, ok = r.Next(at, n, time.Time{}); !ok {
			return strings.Join(append(days, "end"), " ")
		}
		days = append(days, at.Format("06-01-02"))
	}
	return strings.Join(days, " ")
}

// TestNext_asInTheExamplesOfRFC5545 is of section 3.8.5.3, whose series begin at
// 09:00 in New York; clocks there change in between.
func TestNext_asInTheExamplesOfRFC5545(t *testing.T) {
	york, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	day := func(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 9, 0, 0, 0, york) }
	for _, c := range []struct {
		rule  string
		first time.Time
		want  string
	}{
		{"FREQ=DAILY;COUNT=3", day(1997, 9, 2), "97-09-02 97-09-03 97-09-04 end"},
		{"FREQ=DAILY;INTERVAL=10;COUNT=5", day(1997, 9, 2), "97-09-02 97-09-12 97-09-22 97-10-02 97-10-12 end"},
		{"FREQ=DAILY;UNTIL=19970904T000000Z", day(1997, 9, 2), "97-09-02 97-09-03 end"},
		{"FREQ=DAILY;UNTIL=19970904", day(1997, 9, 2), "97-09-02 97-09-03 97-09-04 end"},
		{"FREQ=WEEKLY;INTERVAL=2", day(1997, 9, 2), "97-09-02 97-09-16 97-09-30 97-10-14 97-10-28 97-11-11"},
		{"FREQ=WEEKLY;COUNT=10;BYDAY=TU,TH", day(1997, 9, 2), "97-09-02 97-09-04 97-09-09 97-09-11 97-09-16 97-09-18"},
		{"FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,WE,FR", day(1997, 9, 1), "97-09-01 97-09-03 97-09-05 97-09-15 97-09-17 97-09-19"},
		{"FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU", day(1997, 8, 5), "97-08-05 97-08-10 97-08-19 97-08-24 97-09-02 97-09-07"},
		{"FREQ=MONTHLY;BYMONTHDAY=-1", day(1997, 9, 30), "97-09-30 97-10-31 97-11-30 97-12-31 98-01-31 98-02-28"},
		{"FREQ=MONTHLY;BYMONTHDAY=30", day(2007, 1, 30), "07-01-30 07-03-30 07-04-30 07-05-30 07-06-30 07-07-30"},
		{"FREQ=MONTHLY;BYMONTHDAY=15", day(2007, 1, 3), "07-01-03 07-01-15 07-02-15 07-03-15 07-04-15 07-05-15"},
		{"FREQ=MONTHLY;INTERVAL=18", day(1997, 9, 10), "97-09-10 99-03-10 00-09-10 02-03-10 03-09-10 05-03-10"},
		{"FREQ=YEARLY", day(1996, 2, 29), "96-02-29 00-02-29 04-02-29 08-02-29 12-02-29 16-02-29"},
	} {
		if got := series(t, c.rule, c.first, 6); got != c.want {
			t.Errorf("%s: %s, want %s", c.rule, got, c.want)
		}
	}
}

func TestNext_leavesOutWhatHasPassedAndCountsIt(t *testing.T) {
	r, err := recurrence.Parse("", "FREQ=DAILY;COUNT=5")
	if err != nil {
		t.Fatal(err)
	}
	first := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	at, n, ok := r.Next(first, 1, first.AddDate(0, 0, 2))
	if !ok || n != 4 || at != first.AddDate(0, 0, 3) {
		t.Errorf("next: %v %d %v", at, n, ok)
	}
	if _, _, ok := r.Next(first, 1, first.AddDate(0, 0, 9)); ok {
		t.Error("a series that has passed has a next")
	}
}

func TestParse_refusesWhatItDoesNotKnow(t *testing.T) {
	for _, rule := range []string{
		"", "FREQ=HOURLY", "INTERVAL=2", "FREQ=DAILY;INTERVAL=0", "FREQ=DAILY;INTERVAL=401", "FREQ=DAILY;INTERVAL=+1", "FREQ=DAILY;COUNT=1001",
		"FREQ=DAILY;COUNT=2;UNTIL=20260101", "FREQ=DAILY;UNTIL=2026-01-01", "FREQ=DAILY;BYDAY=MO", "FREQ=WEEKLY;BYDAY=1MO", "FREQ=WEEKLY;BYDAY=MO,MO",
		"FREQ=MONTHLY;BYMONTHDAY=0", "FREQ=MONTHLY;BYMONTHDAY=32", "FREQ=MONTHLY;BYDAY=MO", "FREQ=MONTHLY;INTERVAL=120", "FREQ=YEARLY;INTERVAL=10", "FREQ=DAILY;FREQ=DAILY", "FREQ=DAILY;BYSETPOS=1", "FREQ=DAILY;", "freq=daily",
	} {
		if _, err := recurrence.Parse("task.recurrence", rule); !errs.Is(err, errs.Invalid) || errs.ReasonOf(err) != recurrence.Reason {
			t.Errorf("%q: %v", rule, err)
		}
	}
}
