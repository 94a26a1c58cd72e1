package workday

import (
	"time"

	"google.golang.org/genproto/googleapis/type/timeofday"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// maxSearch is how many days off in a row are looked through for a business day: a
// year, so that a calendar of holidays alone ends too.
const maxSearch = 366

// Calendar tells business days from days off. It does not change, and is safe for
// concurrent use.
type Calendar struct {
	place    *time.Location
	weekdays [7]bool
	// off and made are days, as their midnights in UTC.
	off, made map[time.Time]bool
	closing   *timeofday.TimeOfDay
}

func newCalendar(c *identityv1.WorkingCalendar) (*Calendar, error) {
	place, err := location(c.GetTimeZone())
	if err != nil {
		return nil, err
	}
	out := &Calendar{place: place, off: map[time.Time]bool{}, made: map[time.Time]bool{}, closing: c.GetClosingTime()}
	for _, d := range c.GetWeekdays() {
		out.weekdays[int(d)%7] = true // 7 is Sunday, which time.Weekday calls 0
	}
	for _, h := range c.GetHolidays() {
		first, last, _ := span(h) // it was checked when it was set
		for d := first; !d.After(last); d = d.Add(day) {
			out.off[d] = true
		}
	}
	for _, d := range c.GetMakeUpDays() {
		at, _ := dateOf(d)
		out.made[at] = true
	}
	return out, nil
}

// Location returns where the calendar's clocks hang.
func (c *Calendar) Location() *time.Location { return c.place }

// Works reports whether a time is on a business day.
func (c *Calendar) Works(at time.Time) bool {
	at = at.In(c.place)
	d := time.Date(at.Year(), at.Month(), at.Day(), 0, 0, 0, 0, time.UTC)
	return c.made[d] || c.weekdays[at.Weekday()] && !c.off[d]
}

// Move returns a time on a day off as the rule has it, and any other as it is. The
// error is Precondition (NO_BUSINESS_DAY).
func (c *Calendar) Move(at time.Time, rule identityv1.Task_DayOffRule) (time.Time, error) {
	switch rule {
	case identityv1.Task_DAY_OFF_RULE_KEEP:
		return at, nil
	case identityv1.Task_DAY_OFF_RULE_PREVIOUS:
		return c.find(at, -1)
	default:
		return c.find(at, 1)
	}
}

// After returns the closing time of the n-th business day after that of a time; of
// that day itself, or of the next one that is worked, for 0. The error is
// Precondition (NO_BUSINESS_DAY).
func (c *Calendar) After(at time.Time, n int) (time.Time, error) {
	local := at.In(c.place)
	closing := time.Date(local.Year(), local.Month(), local.Day(), int(c.closing.GetHours()), int(c.closing.GetMinutes()), 0, 0, c.place)
	for range n {
		var err error
		if closing, err = c.find(closing.AddDate(0, 0, 1), 1); err != nil {
			return at, err
		}
	}
	return c.find(closing, 1)
}

// find returns the first time on a business day of those that are some days from at.
func (c *Calendar) find(at time.Time, step int) (time.Time, error) {
	local := at.In(c.place)
	for range maxSearch {
		if c.Works(local) {
			return local, nil
		}
		local = local.AddDate(0, 0, step)
	}
	return at, errs.New(errs.Precondition, "NO_BUSINESS_DAY", "the working calendar has no business day within a year of the due time; correct the calendar, or keep the day off")
}
