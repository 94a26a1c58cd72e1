package identity_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/errs"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

func TestTask_isTheBusinessOfItsAssigneeAndItsMaker(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		_, asAda := p.colleague(ctx, "ada")
		_, asBob := p.colleague(ctx, "bob")
		_, asCy := p.colleague(ctx, "cy")
		chief, _ := other(t, p, ctx)
		made := p.task(asAda, "call", &identityv1.Task{Assignee: bob, Related: org + "/complaints/x", Priority: identityv1.Task_PRIORITY_HIGH})
		if made.GetCreator() != ada || made.GetState() != identityv1.Task_STATE_OPEN {
			t.Errorf("made: %v", made)
		}
		if own := p.task(asAda, "own", &identityv1.Task{}); own.GetAssignee() != ada {
			t.Errorf("a task for nobody in particular: %v", own)
		}
		p.permission.set(false, lacking("identity.tasks.list"), lacking("identity.tasks.reassign"))
		get := &identityv1.GetTaskRequest{Name: made.GetName()}
		if _, err := p.tasks().GetTask(asBob, get); err != nil {
			t.Error(err)
		}
		_, err := p.tasks().GetTask(asCy, get)
		wantError(t, err, errs.NotFound, "TASK_NOT_FOUND")
		_, err = p.tasks().CompleteTask(asCy, &identityv1.CompleteTaskRequest{Name: made.GetName()})
		wantError(t, err, errs.NotFound, "TASK_NOT_FOUND")
		_, err = p.tasks().GetTask(chief, get)
		wantError(t, err, errs.NotFound, "RESOURCE_NOT_FOUND")
		_, err = p.tasks().CompleteTask(asBob, &identityv1.CompleteTaskRequest{Name: made.GetName(), Etag: "other"})
		wantError(t, err, errs.Conflict, "ETAG_MISMATCH")
		complete := &identityv1.CompleteTaskRequest{Name: made.GetName(), Outcome: "reached", Etag: made.GetEtag(), RequestId: "r1"}
		done, err := p.tasks().CompleteTask(asBob, complete)
		if err != nil || done.GetState() != identityv1.Task_STATE_DONE || done.GetOutcome() != "reached" || done.GetNextTask() != "" {
			t.Fatalf("complete: %v %v", done, err)
		}
		if again, err := p.tasks().CompleteTask(asBob, complete); err != nil || again.GetEtag() != done.GetEtag() {
			t.Errorf("the same request again: %v %v", again, err)
		}
		_, err = p.tasks().CompleteTask(asBob, &identityv1.CompleteTaskRequest{Name: made.GetName(), RequestId: "r1"})
		wantError(t, err, errs.Invalid, "REQUEST_ID_REUSED")
		_, err = p.tasks().CancelTask(asBob, &identityv1.CancelTaskRequest{Name: made.GetName()})
		wantError(t, err, errs.Precondition, "TASK_ENDED")
		_, err = p.tasks().UpdateTask(asBob, &identityv1.UpdateTaskRequest{Task: &identityv1.Task{Name: made.GetName(), Title: "other"}})
		wantError(t, err, errs.Precondition, "TASK_ENDED")
		if got := strings.Join(about(p.events(ctx, "guildhall.identity.task"), made.GetName()), " "); got != "task.created task.completed" {
			t.Errorf("events: %s", got)
		}
		if gone, err := p.tasks().DeleteTask(asAda, &identityv1.DeleteTaskRequest{Name: made.GetName()}); err != nil || gone.GetTitle() != "call" {
			t.Errorf("delete: %v %v", gone, err)
		}
	})
}

func TestTask_badInputSaysWhy(t *testing.T) {
	p := newHost(t, "bolt").start(config())
	ctx := p.asAdmin()
	name, asAda := p.colleague(ctx, "ada")
	if _, err := p.staff().DisableStaffMember(ctx, &identityv1.DisableStaffMemberRequest{Name: name}); err != nil {
		t.Fatal(err)
	}
	_ = asAda
	tomorrow := dated(p.clock.now().Add(24 * time.Hour))
	for _, c := range []struct {
		task   *identityv1.Task
		kind   errs.Kind
		reason string
	}{
		{&identityv1.Task{}, errs.Invalid, "TASK_TITLE_MISSING"},
		{&identityv1.Task{Title: "x", Assignee: ada}, errs.Precondition, "ASSIGNEE_NOT_ACTIVE"},
		{&identityv1.Task{Title: "x", Assignee: org + "/staff/none"}, errs.NotFound, "STAFF_MEMBER_NOT_FOUND"},
		{&identityv1.Task{Title: "x", Assignee: "organizations/other/staff/x"}, errs.NotFound, "STAFF_MEMBER_NOT_FOUND"},
		{&identityv1.Task{Title: "x", Customer: org + "/customers/none"}, errs.NotFound, "CUSTOMER_NOT_FOUND"},
		{&identityv1.Task{Title: "x", Customer: "organizations/other/customers/x"}, errs.Invalid, "PARENT_MISMATCH"},
		{&identityv1.Task{Title: "x", RemindBefore: durationpb.New(time.Hour)}, errs.Invalid, "DUE_TIME_MISSING"},
		{&identityv1.Task{Title: "x", Recurrence: "FREQ=DAILY"}, errs.Invalid, "DUE_TIME_MISSING"},
		{&identityv1.Task{Title: "x", DueTime: tomorrow, Recurrence: "FREQ=HOURLY"}, errs.Invalid, "RECURRENCE_INVALID"},
		{&identityv1.Task{Title: "x", DueTime: dated(time.Unix(0, 0))}, errs.Invalid, "DUE_TIME_INVALID"},
	} {
		_, err := p.tasks().CreateTask(ctx, &identityv1.CreateTaskRequest{Parent: org, Task: c.task})
		wantError(t, err, c.kind, c.reason)
	}
	days := int32(1)
	_, err := p.tasks().CreateTask(ctx, &identityv1.CreateTaskRequest{Parent: org, BusinessDays: &days, Task: &identityv1.Task{Title: "x", DueTime: tomorrow}})
	wantError(t, err, errs.Invalid, "DUE_TIME_AMBIGUOUS")
	made := p.task(ctx, "x", &identityv1.Task{})
	_, err = p.tasks().CreateTask(ctx, &identityv1.CreateTaskRequest{Parent: org, TaskId: "x", Task: &identityv1.Task{Title: "x"}})
	wantError(t, err, errs.Exists, "TASK_EXISTS")
	_, err = p.tasks().SnoozeTask(ctx, &identityv1.SnoozeTaskRequest{Name: made.GetName(), Until: dated(p.clock.now())})
	wantError(t, err, errs.Invalid, "SNOOZE_TIME_INVALID")
	_, err = p.tasks().ReassignTask(ctx, &identityv1.ReassignTaskRequest{Name: made.GetName(), Assignee: ada})
	wantError(t, err, errs.Precondition, "ASSIGNEE_NOT_ACTIVE")
	_, err = p.tasks().UpdateTask(ctx, &identityv1.UpdateTaskRequest{
		Task: &identityv1.Task{Name: made.GetName(), Assignee: admin}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"assignee"}},
	})
	wantError(t, err, errs.Invalid, "UPDATE_MASK_INVALID")
	_, err = p.tasks().ListTasks(ctx, &identityv1.ListTasksRequest{Parent: org, Filter: `title = "x"`})
	wantError(t, err, errs.Invalid, "FILTER_INVALID")
}

func TestTask_listsByAssigneeCustomerStateAndTime(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := p.asAdmin()
		_, asAda := p.colleague(ctx, "ada")
		c := p.add(ctx, "c1", &identityv1.Customer{}).GetName()
		in := func(d time.Duration) *identityv1.Task {
			return &identityv1.Task{DueTime: dated(p.clock.now().Add(d)), DayOffRule: identityv1.Task_DAY_OFF_RULE_KEEP}
		}
		with := func(t *identityv1.Task, assignee, customer string) *identityv1.Task {
			t.Assignee, t.Customer = assignee, customer
			return t
		}
		p.task(ctx, "never", with(&identityv1.Task{}, ada, ""))
		p.task(ctx, "late", with(in(-time.Hour), ada, c))
		p.task(ctx, "soon", with(in(time.Hour), admin, c))
		p.task(ctx, "far", with(in(48*time.Hour), ada, ""))
		if _, err := p.tasks().CompleteTask(ctx, &identityv1.CompleteTaskRequest{Name: p.task(ctx, "done", with(in(-2*time.Hour), ada, "")).GetName()}); err != nil {
			t.Fatal(err)
		}
		day := p.clock.now().Add(24 * time.Hour).UTC().Format(time.RFC3339)
		for filter, want := range map[string]string{
			"":                                    "done@ada late@ada soon@admin far@ada never@ada",
			`state = "OPEN"`:                      "late@ada soon@admin far@ada never@ada",
			`customer = "` + c + `"`:              "late@ada soon@admin",
			`assignee = "` + ada + `"`:            "done@ada late@ada far@ada never@ada",
			`assignee = ""`:                       "",
			`effective_due_time < "` + day + `"`:  "done@ada late@ada soon@admin",
			`effective_due_time >= "` + day + `"`: "far@ada",
			`state = "OPEN" AND customer = "` + c + `" AND assignee = "` + ada + `"`: "late@ada",
			`customer = "organizations/other/customers/c1"`:                          "",
			`priority = "URGENT"`: "",
		} {
			if got := p.todo(ctx, org, filter); got != want {
				t.Errorf("%s: %q, want %q", filter, got, want)
			}
		}
		if got := p.todo(asAda, ada, `customer = "`+c+`"`); got != "late@ada" {
			t.Errorf("of ada: %q", got)
		}
		report, err := p.tasks().GetTaskReport(asAda, &identityv1.GetTaskReportRequest{Name: ada + "/taskReport"})
		if err != nil || report.GetOpenCount() != 3 || report.GetOverdueCount() != 1 || report.GetDoneCount() != 1 || report.GetLateShare() != 1 || report.GetPartial() {
			t.Errorf("report: %v %v", report, err)
		}
		report, err = p.tasks().GetTaskReport(ctx, &identityv1.GetTaskReportRequest{Name: org + "/taskReport"})
		if err != nil || report.GetOverdueShare() != 0.25 {
			t.Errorf("report: %v %v", report, err)
		}
		_, err = p.tasks().GetTaskReport(ctx, &identityv1.GetTaskReportRequest{Name: c + "/taskReport"})
		wantError(t, err, errs.Invalid, "RESOURCE_NAME_INVALID")
	})
}

func TestTask_theNextOfASeriesIsMadeOnce(t *testing.T) {
	eachEngineAt(t, time.Date(2026, 9, 28, 1, 0, 0, 0, time.UTC), func(t *testing.T, p *process) { // a Monday, 09:00 in Shanghai
		ctx := p.asAdmin()
		p.china(ctx)
		first := p.task(ctx, "report", &identityv1.Task{
			DueTime: dated(p.clock.now().Add(time.Hour)), Recurrence: "FREQ=DAILY;INTERVAL=3;COUNT=3", RemindBefore: durationpb.New(30 * time.Minute),
		})
		if first.GetOccurrence() != 1 || first.GetRemindTime().AsTime() != first.GetDueTime().AsTime().Add(-30*time.Minute) {
			t.Errorf("first: %v", first)
		}
		done, err := p.tasks().CompleteTask(ctx, &identityv1.CompleteTaskRequest{Name: first.GetName()})
		if err != nil {
			t.Fatal(err)
		}
		again, err := p.tasks().CompleteTask(ctx, &identityv1.CompleteTaskRequest{Name: first.GetName()})
		if err != nil || again.GetNextTask() != done.GetNextTask() || again.GetEtag() != done.GetEtag() {
			t.Errorf("again: %v %v", again, err)
		}
		next, err := p.tasks().GetTask(ctx, &identityv1.GetTaskRequest{Name: done.GetNextTask()})
		// 1 October is in a holiday, which 8 October is the first day behind.
		if err != nil || next.GetOccurrence() != 2 || next.GetDueTime().AsTime().Day() != 1 || next.GetEffectiveDueTime().AsTime().Day() != 8 ||
			next.GetRemindTime().AsTime() != next.GetEffectiveDueTime().AsTime().Add(-30*time.Minute) {
			t.Fatalf("next: %v %v", next, err)
		}
		skipped, err := p.tasks().CancelTask(ctx, &identityv1.CancelTaskRequest{Name: next.GetName(), Skip: true})
		if err != nil || skipped.GetNextTask() == "" {
			t.Fatalf("skip: %v %v", skipped, err)
		}
		last, err := p.tasks().CompleteTask(ctx, &identityv1.CompleteTaskRequest{Name: skipped.GetNextTask()})
		if err != nil || last.GetOccurrence() != 3 || last.GetNextTask() != "" {
			t.Errorf("last: %v %v", last, err)
		}
	})
}
