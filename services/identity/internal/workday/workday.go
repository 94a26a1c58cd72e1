// Package workday knows which days the staff of an organisation work, and keeps
// what each organisation has set of it.
//
// A day is a business day when it is one of the calendar's weekdays and in no
// holiday, or when it is a make-up day: China's public holidays are worked off on
// weekends (调休), so that a rule of weekdays and holidays alone is wrong there.
//
// A day is one of the calendar's time zone. Moving a time to another day leaves
// the time of day as it is on the clocks there.
package workday

import (
	"time"

	"google.golang.org/genproto/googleapis/type/date"
	"google.golang.org/genproto/googleapis/type/dayofweek"
	"google.golang.org/genproto/googleapis/type/timeofday"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/revise"
)

// Pattern is the form of the name of an organisation's calendar.
const Pattern = resource.Pattern("organizations/{organization}/workingCalendar")

const invalid = "WORKING_CALENDAR_INVALID"

// maxHoliday is the most days of one holiday.
const maxHoliday = 61

// Book keeps the calendars, (organisation) -> WorkingCalendar. It is safe for concurrent
// use.
type Book struct {
	// Settings are what organisations have set. Errors of changes are also Invalid:
	// TIME_ZONE_UNKNOWN, WORKING_CALENDAR_INVALID.
	Settings *revise.Setting[*identityv1.WorkingCalendar]
}

// New returns a book.
func New() *Book {
	return &Book{revise.NewSetting(revise.SettingConfig[*identityv1.WorkingCalendar]{
		Table: "working_calendars", ID: "workingCalendar",
		Rules: revise.Rules[*identityv1.WorkingCalendar]{
			Event:  "guildhall.identity.working_calendar",
			Fields: []string{"time_zone", "weekdays", "holidays", "make_up_days", "closing_time"},
			Follow: func(_, now *identityv1.WorkingCalendar) error { return check(now) },
		},
		Complete: complete,
	})}
}

// Tables returns the raw tables of a book.
func (b *Book) Tables() []string { return b.Settings.Tables() }

// Of returns an organisation's calendar, to count with.
func (b *Book) Of(r kv.Reader, organization string) (*Calendar, error) {
	c, err := b.Settings.Of(r, organization)
	if err != nil {
		return nil, err
	}
	return newCalendar(c)
}

func complete(c *identityv1.WorkingCalendar) {
	if c.GetTimeZone() == "" {
		c.TimeZone = "UTC"
	}
	if len(c.GetWeekdays()) == 0 {
		for d := dayofweek.DayOfWeek_MONDAY; d <= dayofweek.DayOfWeek_FRIDAY; d++ {
			c.Weekdays = append(c.Weekdays, d)
		}
	}
	if c.GetClosingTime() == nil {
		c.ClosingTime = &timeofday.TimeOfDay{Hours: 18}
	}
}

// check refuses a calendar that cannot be counted with. Errors are Invalid:
// TIME_ZONE_UNKNOWN and WORKING_CALENDAR_INVALID, on the field.
func check(c *identityv1.WorkingCalendar) error {
	if _, err := location(c.GetTimeZone()); err != nil {
		return err
	}
	for _, h := range c.GetHolidays() {
		first, last, ok := span(h)
		if !ok || last.Before(first) || last.Sub(first) >= maxHoliday*day {
			return refuse("holidays", "a holiday goes from one date to the same or a later one, and has at most 61 days")
		}
	}
	for _, d := range c.GetMakeUpDays() {
		at, ok := dateOf(d)
		if !ok {
			return refuse("make_up_days", "send dates with a year, a month and a day, as in 2026-10-10")
		}
		for _, h := range c.GetHolidays() {
			if first, last, _ := span(h); !at.Before(first) && !at.After(last) {
				return refuse("make_up_days", "a day is worked or off: none of them can be in a holiday")
			}
		}
	}
	if t := c.GetClosingTime(); t.GetHours() < 0 || t.GetHours() > 23 || t.GetMinutes() < 0 || t.GetMinutes() > 59 || t.GetSeconds() != 0 || t.GetNanos() != 0 {
		return refuse("closing_time", "send a time of day to the minute, 00:00 to 23:59")
	}
	return nil
}

func refuse(field, text string) error {
	return errs.InvalidField("working_calendar."+field, invalid, text)
}

// location returns the place of an IANA name. The machine's own is none of them.
func location(name string) (*time.Location, error) {
	l, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, errs.InvalidField("working_calendar.time_zone", "TIME_ZONE_UNKNOWN", "name a time zone of IANA's, as in Asia/Shanghai")
	}
	return l, nil
}

const day = 24 * time.Hour

// span returns the first and the last day of a holiday.
func span(h *identityv1.Holiday) (first, last time.Time, ok bool) {
	first, ok = dateOf(h.GetStartDate())
	if h.GetEndDate() == nil || !ok {
		return first, first, ok
	}
	last, ok = dateOf(h.GetEndDate())
	return first, last, ok
}

// dateOf returns a date as its midnight in UTC, where all days are of one length,
// and whether there is such a date.
func dateOf(d *date.Date) (time.Time, bool) {
	at := time.Date(int(d.GetYear()), time.Month(d.GetMonth()), int(d.GetDay()), 0, 0, 0, 0, time.UTC)
	return at, d.GetYear() > 0 && at.Month() == time.Month(d.GetMonth()) && at.Day() == int(d.GetDay())
}
