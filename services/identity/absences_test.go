package identity_test

import (
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/type/date"
	"google.golang.org/genproto/googleapis/type/dayofweek"
	"google.golang.org/protobuf/types/known/durationpb"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// friday is 30 October 2026, 10:00 in Shanghai.
func friday() time.Time { return time.Date(2026, 10, 30, 2, 0, 0, 0, time.UTC) }

func TestTask_isDueOnBusinessDays(t *testing.T) {
	eachEngineAt(t, time.Date(2026, 9, 30, 2, 0, 0, 0, time.UTC), func(t *testing.T, p *process) { // a Wednesday
		ctx := p.asAdmin()
		p.china(ctx)
		due := func(id string, rule identityv1.Task_DayOffRule, day int) string {
			made := p.task(ctx, id, &identityv1.Task{DueTime: dated(time.Date(2026, 10, day, 2, 0, 0, 0, time.UTC)), DayOffRule: rule})
			return made.GetEffectiveDueTime().AsTime().Format("01-02 15:04")
		}
		for id, c := range map[string]struct {
			rule identityv1.Task_DayOffRule
			day  int
			want string
		}{
			"after-the-holiday":  {0, 3, "10-08 02:00"},
			"before-the-holiday": {identityv1.Task_DAY_OFF_RULE_PREVIOUS, 3, "09-30 02:00"},
			"in-the-holiday":     {identityv1.Task_DAY_OFF_RULE_KEEP, 3, "10-03 02:00"},
			"make-up-saturday":   {0, 10, "10-10 02:00"},
			"sunday":             {0, 11, "10-12 02:00"},
		} {
			if got := due(id, c.rule, c.day); got != c.want {
				t.Errorf("%s: %s, want %s", id, got, c.want)
			}
		}
		for n, want := range map[int32]string{0: "09-30 10:00", 1: "10-08 10:00", 3: "10-10 10:00", 4: "10-12 10:00"} {
			made, err := p.tasks().CreateTask(ctx, &identityv1.CreateTaskRequest{Parent: org, BusinessDays: &n, Task: &identityv1.Task{Title: "x"}})
			if err != nil || made.GetEffectiveDueTime().AsTime().Format("01-02 15:04") != want {
				t.Errorf("in %d business days: %v %v, want %s", n, made, err, want)
			}
		}
	})
}

func TestWorkingCalendar_refusesWhatCannotBeCountedWith(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	day := func(m, d int32) *date.Date { return &date.Date{Year: 2026, Month: m, Day: d} }
	name := org + "/workingCalendar"
	got, err := p.workdays().GetWorkingCalendar(ctx, &identityv1.GetWorkingCalendarRequest{Name: name})
	if err != nil || got.GetTimeZone() != "UTC" || len(got.GetWeekdays()) != 5 || got.GetClosingTime().GetHours() != 18 || got.GetUpdateTime() != nil {
		t.Errorf("defaults: %v %v", got, err)
	}
	for _, c := range []struct {
		set    *identityv1.WorkingCalendar
		reason string
	}{
		{&identityv1.WorkingCalendar{TimeZone: "Atlantis"}, "TIME_ZONE_UNKNOWN"},
		{&identityv1.WorkingCalendar{TimeZone: "Local"}, "TIME_ZONE_UNKNOWN"},
		{&identityv1.WorkingCalendar{Holidays: []*identityv1.Holiday{{StartDate: day(2, 30)}}}, "WORKING_CALENDAR_INVALID"},
		{&identityv1.WorkingCalendar{Holidays: []*identityv1.Holiday{{StartDate: day(3, 2), EndDate: day(3, 1)}}}, "WORKING_CALENDAR_INVALID"},
		{&identityv1.WorkingCalendar{Holidays: []*identityv1.Holiday{{StartDate: day(1, 1), EndDate: day(12, 31)}}}, "WORKING_CALENDAR_INVALID"},
		{&identityv1.WorkingCalendar{Holidays: []*identityv1.Holiday{{StartDate: day(3, 1)}}, MakeUpDays: []*date.Date{day(3, 1)}}, "WORKING_CALENDAR_INVALID"},
	} {
		c.set.Name = name
		_, err := p.workdays().UpdateWorkingCalendar(ctx, &identityv1.UpdateWorkingCalendarRequest{WorkingCalendar: c.set})
		wantError(t, err, errs.Invalid, c.reason)
	}
	set := p.china(ctx)
	_, err = p.workdays().UpdateWorkingCalendar(ctx, &identityv1.UpdateWorkingCalendarRequest{
		WorkingCalendar: &identityv1.WorkingCalendar{Name: name, Weekdays: []dayofweek.DayOfWeek{dayofweek.DayOfWeek_MONDAY}, Etag: "other"},
	})
	wantError(t, err, errs.Conflict, "ETAG_MISMATCH")
	if set.GetEtag() == "" || set.GetTimeZone() != "Asia/Shanghai" || len(set.GetWeekdays()) != 5 {
		t.Errorf("set: %v", set)
	}
	chief, _ := other(t, p, ctx)
	_, err = p.workdays().GetWorkingCalendar(chief, &identityv1.GetWorkingCalendarRequest{Name: name})
	wantError(t, err, errs.NotFound, "RESOURCE_NOT_FOUND")
}

func TestAbsence_itsTasksGoToWhoStandsIn(t *testing.T) {
	eachEngineAt(t, friday(), func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		_, asAda := p.colleague(ctx, "ada")
		p.colleague(ctx, "bob")
		p.colleague(ctx, "cy")
		now := p.clock.now()
		create := func(parent, substitute string, from, until time.Duration) (*identityv1.Absence, error) {
			return p.workdays().CreateAbsence(ctx, &identityv1.CreateAbsenceRequest{Parent: parent, Absence: &identityv1.Absence{
				StartTime: dated(now.Add(from)), EndTime: dated(now.Add(until)), Substitute: substitute,
			}})
		}
		_, err := create(ada, ada, 0, time.Hour)
		wantError(t, err, errs.Invalid, "SUBSTITUTE_INVALID")
		_, err = create(ada, org+"/staff/none", 0, time.Hour)
		wantError(t, err, errs.NotFound, "STAFF_MEMBER_NOT_FOUND")
		_, err = create(ada, bob, time.Hour, 0)
		wantError(t, err, errs.Invalid, "ABSENCE_TIME_INVALID")
		made, err := create(ada, bob, -time.Hour, 72*time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		_, err = create(ada, bob, 71*time.Hour, 80*time.Hour)
		wantError(t, err, errs.Precondition, "ABSENCE_OVERLAP")
		if _, err := create(bob, cy, -time.Hour, 24*time.Hour); err != nil {
			t.Fatal(err)
		}
		if _, err := create(cy, bob, 100*time.Hour, 110*time.Hour); err != nil {
			t.Fatal(err)
		}
		list, err := p.workdays().ListAbsences(asAda, &identityv1.ListAbsencesRequest{Parent: ada})
		if err != nil || len(list.GetAbsences()) != 1 || list.GetAbsences()[0].GetEtag() != made.GetEtag() {
			t.Errorf("list: %v %v", list, err)
		}
		keep := identityv1.Task_DAY_OFF_RULE_KEEP
		p.task(ctx, "soon", &identityv1.Task{Assignee: ada, DueTime: dated(now.Add(time.Hour)), DayOffRule: keep, Recurrence: "FREQ=WEEKLY"})
		p.task(ctx, "later", &identityv1.Task{Assignee: ada, DueTime: dated(now.Add(80 * time.Hour)), DayOffRule: keep})
		p.task(ctx, "some-day", &identityv1.Task{Assignee: ada})
		p, ctx = p.swept()
		p.until(func() bool { return p.todo(ctx, org, "") == "soon@cy later@ada some-day@ada" })
		covered, err := p.tasks().CompleteTask(ctx, &identityv1.CompleteTaskRequest{Name: org + "/tasks/soon"})
		if err != nil || covered.GetCoveredFor() != ada {
			t.Fatalf("covered: %v %v", covered, err)
		}
		next, err := p.tasks().GetTask(ctx, &identityv1.GetTaskRequest{Name: covered.GetNextTask()})
		if err != nil || next.GetAssignee() != ada {
			t.Errorf("the next is whose it was: %v %v", next, err)
		}
		if _, err := p.workdays().DeleteAbsence(ctx, &identityv1.DeleteAbsenceRequest{Name: made.GetName(), Etag: made.GetEtag()}); err != nil {
			t.Error(err)
		}
		_, err = p.workdays().GetAbsence(ctx, &identityv1.GetAbsenceRequest{Name: made.GetName()})
		wantError(t, err, errs.NotFound, "ABSENCE_NOT_FOUND")
	})
}

func TestTask_ofSomebodyWhoLeftIsTakenOver(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		p.colleague(ctx, "ada")
		p.colleague(ctx, "bob")
		_, asCy := p.colleague(ctx, "cy")
		c := p.add(ctx, "c1", &identityv1.Customer{}).GetName()
		if err := p.assign(ctx, c, bob); err != nil {
			t.Fatal(err)
		}
		p.task(asCy, "made-by-cy", &identityv1.Task{Assignee: ada})
		p.task(asCy, "of-bobs-customer", &identityv1.Task{Assignee: ada, Customer: c})
		if _, err := p.staff().DisableStaffMember(ctx, &identityv1.DisableStaffMemberRequest{Name: ada}); err != nil {
			t.Fatal(err)
		}
		p, ctx = p.swept()
		p.until(func() bool { return p.todo(ctx, org, "") == "made-by-cy@cy of-bobs-customer@bob" })
		resp, err := p.tasks().ReassignTasks(ctx, &identityv1.ReassignTasksRequest{Parent: org, Assignee: cy, Successors: []string{admin, bob}})
		if err != nil || resp.GetReassignedCount() != 1 || resp.GetMore() {
			t.Errorf("reassign: %v %v", resp, err)
		}
		_, err = p.tasks().ReassignTasks(ctx, &identityv1.ReassignTasksRequest{Parent: org, Assignee: cy, Successors: []string{ada}})
		wantError(t, err, errs.Precondition, "ASSIGNEE_NOT_ACTIVE")
		if _, err := p.customers().DeleteCustomer(ctx, &identityv1.DeleteCustomerRequest{Name: c}); err != nil {
			t.Fatal(err)
		}
		if _, err := p.staff().DeleteStaffMember(ctx, &identityv1.DeleteStaffMemberRequest{Name: cy}); err != nil {
			t.Fatal(err)
		}
		p.clock.advance(31 * 24 * time.Hour)
		p, ctx = p.swept()
		p.until(func() bool { return p.todo(ctx, org, "") == "made-by-cy@admin" })
		if left, err := p.tasks().GetTask(ctx, &identityv1.GetTaskRequest{Name: org + "/tasks/made-by-cy"}); err != nil || left.GetCreator() != "" {
			t.Errorf("who is gone is named: %v %v", left, err)
		}
	})
}

func TestTask_itsAssigneeIsRemindedOnce(t *testing.T) {
	eachEngineAt(t, friday(), func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		p.china(ctx)
		if _, err := p.staff().UpdateStaffMember(ctx, &identityv1.UpdateStaffMemberRequest{
			StaffMember: &identityv1.StaffMember{Name: admin, Email: "admin@example.com", Language: "zh-CN"},
		}); err != nil {
			t.Fatal(err)
		}
		made := p.task(ctx, "call", &identityv1.Task{DueTime: dated(p.clock.now().Add(2 * time.Hour)), RemindBefore: durationpb.New(time.Hour)})
		get := func() *identityv1.Task {
			now, err := p.tasks().GetTask(ctx, &identityv1.GetTaskRequest{Name: made.GetName()})
			if err != nil {
				t.Fatal(err)
			}
			return now
		}
		p, ctx = p.swept()
		if get().GetRemindedTime() != nil {
			t.Error("reminded too early")
		}
		p.clock.advance(61 * time.Minute)
		p, ctx = p.swept()
		m := p.awaitMail("TASK_REMINDER", "admin@example.com")
		if m.Text != "您在acme有一项任务需要在 2026-10-30 12:00 Asia/Shanghai 前完成。\n\n任务内容请查看您的任务列表。" {
			t.Errorf("the reminder says %q", m.Text)
		}
		p, ctx = p.swept()
		snoozed, err := p.tasks().SnoozeTask(ctx, &identityv1.SnoozeTaskRequest{Name: made.GetName(), Until: dated(p.clock.now().Add(time.Hour))})
		if err != nil || snoozed.GetSnoozeCount() != 1 || snoozed.GetRemindedTime() != nil {
			t.Errorf("snooze: %v %v", snoozed, err)
		}
		p.clock.advance(2 * time.Hour)
		p, ctx = p.swept()
		reminders := func() int { // a process that stops may send a message again, under its id
			ids := map[string]bool{}
			for _, m := range p.mailbox() {
				ids[m.ID] = true
			}
			return len(ids)
		}
		p.await("the second reminder", func() bool { return reminders() == 2 })
		if p.swept(); reminders() != 2 {
			t.Errorf("%d reminders", reminders())
		}
	})
}
