// Package recurrence reads when something recurs, in a part of RFC 5545's RRULE,
// and finds the next time.
//
// It takes the part that a person can say of a task, and refuses the rest rather
// than getting it nearly right: FREQ with INTERVAL, COUNT or UNTIL, BYDAY of weeks
// and one BYMONTHDAY of months. Each rule of this part has a next time within a
// bounded number of steps, which is not true of all RRULEs, and the time before is
// all that is needed to find it: it keeps nothing of the start of a series.
package recurrence

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"guildhall.dev/pkg/errs"
)

// Reason is that of the error for what is no rule.
const Reason = "RECURRENCE_INVALID"

const (
	maxInterval = 400
	// maxYears is how far the next time may be.
	maxYears = 9
	maxCount = 1000
	// maxSkips is how many months without the day are left out: a 29 February comes
	// back after eight years at most, and any other day at once or never.
	maxSkips = 12 * 8
)

// Rule says when something recurs.
type Rule struct {
	freq     string
	interval int
	// count is 0 for no limit, until zero for none.
	count int
	until time.Time
	// untilDate says that until is a date, of the clocks of the series.
	untilDate bool
	weekdays  []time.Weekday
	// monthDay is 0 for that of the time before, and -1 for the last.
	monthDay int
}

// Parse reads a rule. The error is Invalid (RECURRENCE_INVALID) on the field.
func Parse(field, text string) (Rule, error) {
	r := Rule{interval: 1}
	seen := map[string]bool{}
	for part := range strings.SplitSeq(text, ";") {
		name, value, ok := strings.Cut(part, "=")
		if !ok || seen[name] || !r.read(name, value) {
			return Rule{}, refuse(field, "cannot use "+strconv.Quote(part))
		}
		seen[name] = true
	}
	switch {
	case r.freq == "":
		return Rule{}, refuse(field, "FREQ is missing")
	case seen["COUNT"] && seen["UNTIL"]:
		return Rule{}, refuse(field, "COUNT and UNTIL exclude each other")
	case r.weekdays != nil && r.freq != "WEEKLY", r.monthDay != 0 && r.freq != "MONTHLY":
		return Rule{}, refuse(field, "BYDAY is for WEEKLY and BYMONTHDAY for MONTHLY")
	case r.freq == "YEARLY" && r.interval > maxYears, r.freq == "MONTHLY" && r.interval > 12*maxYears:
		return Rule{}, refuse(field, "INTERVAL is too long")
	}
	return r, nil
}

func refuse(field, why string) error {
	return errs.InvalidField(field, Reason, why+"; send a rule as in FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,TH, see Task.recurrence")
}

// read takes one part of a rule in, and reports whether it is one.
func (r *Rule) read(name, value string) (ok bool) {
	switch name {
	case "FREQ":
		r.freq = value
		return slices.Contains([]string{"DAILY", "WEEKLY", "MONTHLY", "YEARLY"}, value)
	case "INTERVAL":
		r.interval, ok = number(value, 1, maxInterval)
	case "COUNT":
		r.count, ok = number(value, 1, maxCount)
	case "UNTIL":
		return r.readUntil(value)
	case "BYDAY":
		return r.readDays(value)
	case "BYMONTHDAY":
		r.monthDay, ok = number(value, -1, 31)
		ok = ok && r.monthDay != 0
	}
	return ok
}

func number(text string, least, most int) (int, bool) {
	n, err := strconv.Atoi(text)
	return n, err == nil && least <= n && n <= most && strconv.Itoa(n) == text
}

func (r *Rule) readUntil(value string) bool {
	at, err := time.Parse("20060102T150405Z", value)
	if err != nil {
		at, err = time.Parse("20060102", value)
		r.untilDate = true
	}
	r.until = at
	return err == nil
}

func (r *Rule) readDays(value string) bool {
	names := []string{"SU", "MO", "TU", "WE", "TH", "FR", "SA"}
	for name := range strings.SplitSeq(value, ",") {
		d := time.Weekday(slices.Index(names, name))
		if d < 0 || slices.Contains(r.weekdays, d) {
			return false
		}
		r.weekdays = append(r.weekdays, d)
	}
	return true
}

// Next returns the first time of the series that is behind that of the n-th
// occurrence and after now, and which one it is: those that have passed meanwhile
// count and are left out. It is false at the end of the series. The clocks are those
// of the time before.
func (r Rule) Next(before time.Time, n int, now time.Time) (at time.Time, occurrence int, ok bool) {
	for at = before; ; {
		if at, ok = r.step(at); !ok {
			return at, 0, false
		}
		n++
		if r.count > 0 && n > r.count || r.over(at) {
			return at, 0, false
		}
		if at.After(now) {
			return at, n, true
		}
	}
}

// over reports whether a time is past the last that the rule allows.
func (r Rule) over(at time.Time) bool {
	if r.untilDate {
		return at.Format(time.DateOnly) > r.until.Format(time.DateOnly)
	}
	return !r.until.IsZero() && at.After(r.until)
}

// step returns the time behind one of the series; false when there is none.
func (r Rule) step(at time.Time) (time.Time, bool) {
	switch r.freq {
	case "DAILY":
		return at.AddDate(0, 0, r.interval), true
	case "WEEKLY":
		return r.stepWeek(at), true
	case "MONTHLY":
		return r.stepMonth(at, r.interval)
	default:
		return r.stepMonth(at, 12*r.interval)
	}
}

// stepWeek goes on to the next of the weekdays in the week, which begins on Monday
// (RFC 5545's default), or else to the first in the next week that counts.
func (r Rule) stepWeek(at time.Time) time.Time {
	if r.weekdays == nil {
		return at.AddDate(0, 0, 7*r.interval)
	}
	for d := at.AddDate(0, 0, 1); d.Weekday() != time.Monday; d = d.AddDate(0, 0, 1) {
		if slices.Contains(r.weekdays, d.Weekday()) {
			return d
		}
	}
	monday := at.AddDate(0, 0, -(int(at.Weekday())+6)%7+7*r.interval)
	for !slices.Contains(r.weekdays, monday.Weekday()) {
		monday = monday.AddDate(0, 0, 1)
	}
	return monday
}

// stepMonth goes on some months at a time to one that has the day.
func (r Rule) stepMonth(at time.Time, months int) (time.Time, bool) {
	want := r.monthDay
	if want == 0 {
		want = at.Day()
	}
	for i := range maxSkips { // from the present month: its day may be to come
		first := time.Date(at.Year(), at.Month()+time.Month(i*months), 1, at.Hour(), at.Minute(), at.Second(), at.Nanosecond(), at.Location())
		length := first.AddDate(0, 1, -1).Day()
		d := want
		if d < 0 {
			d = length
		}
		if next := first.AddDate(0, 0, d-1); d <= length && next.After(at) {
			return next, true
		}
	}
	return at, false
}
